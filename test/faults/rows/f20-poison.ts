/** F20: one job kills whatever process runs it, with nine innocent ones beside it. Processes are started again, as by any supervisor. */
import type { Actor } from "../actor.ts";
import { scenario } from "../scenario.ts";

const INNOCENT = 9;

export const f20 = scenario({
  row: "F20",
  title: "one poison job that kills the process, nine innocent ones",
  targets: {
    innocentLost: { label: "innocent jobs not completed", atMost: 0 },
    poisonRuns: { label: "runs of the poison", atMost: 3, atLeast: 3 },
    poisonAlive: { label: "poison that is no dead letter", atMost: 0 },
  },
  together: 3,
  async play(stage) {
    const redis = await stage.redis();
    const producer = await stage.producer(redis.url);
    const workers: Actor[] = [await stage.worker(redis.url)];
    const [poison] = stage.works(1, "die", [stage.between(200, 1000)]);
    await producer.put([...stage.works(INNOCENT, "sleep", [3000]), poison!]);
    const isOver = async (): Promise<boolean> => {
      if (workers.at(-1)!.isOver) workers.push(await stage.worker(redis.url));
      return (await stage.stored()).every(({ states }) => states.includes("completed") || states.includes("failed"));
    };
    await stage.comesTrue(isOver, 150_000);
    const jobs = await stage.stored();
    return {
      innocentLost: jobs.filter(({ n, states }) => n !== poison!.n && !states.includes("completed")).length,
      poisonRuns: stage.did("started").filter(({ n }) => n === poison!.n).length,
      poisonAlive: jobs.filter(({ n, states }) => n === poison!.n && !states.includes("failed")).length,
    };
  },
});
