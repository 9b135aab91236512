/** F1: kill -9 of a worker in mid-job, twice. */
import { monotonicMs } from "../../support/journal.ts";
import type { Actor } from "../actor.ts";
import { scenario } from "../scenario.ts";
import type { Stage } from "../stage.ts";

const JOBS = 5;

export const f01 = scenario({
  row: "F1",
  title: "kill -9 of a worker in mid-job, and of the next one",
  targets: {
    rerunAfterMs: { label: "run again after", atMost: 15_000 },
    unfinished: { label: "not completed", atMost: 0 },
    attemptsOff: { label: "attempts counted wrong", atMost: 0 },
  },
  together: 5,
  quick: true,
  async play(stage) {
    const redis = await stage.redis();
    const producer = await stage.producer(redis.url);
    let victim = await stage.worker(redis.url);
    await producer.put(stage.works(JOBS, "sleep", [600_000, 600_000, 10]));
    await stage.until(() => stage.did("started").length === JOBS);
    let rerunAfterMs = 0;
    for (const crash of [1, 2]) {
      const heir = await stage.worker(redis.url);
      await stage.pause(stage.between(0, 5000));
      rerunAfterMs = Math.max(rerunAfterMs, await killed(stage, victim, JOBS * (crash + 1)));
      victim = heir;
      if (rerunAfterMs === Infinity) break;
    }
    await stage.comesTrue(() => stage.did("ended").length >= JOBS, 5000);
    const jobs = await stage.stored();
    return {
      rerunAfterMs,
      unfinished: JOBS - jobs.filter(({ states }) => states.includes("completed")).length,
      attemptsOff: jobs.filter(({ attemptsMade }) => attemptsMade !== 3).length,
    };
  },
});

/** @returns how long it took until all of its jobs were running elsewhere */
async function killed(stage: Stage, worker: Actor, starts: number): Promise<number> {
  const killedAt = monotonicMs();
  worker.kill("SIGKILL");
  const isOver = async (): Promise<boolean> => stage.did("started").length >= starts || (await stage.stored()).every(({ states }) => states.includes("failed"));
  await stage.comesTrue(isOver);
  const last = stage.did("started")[starts - 1];
  return last === undefined ? Infinity : last.at - killedAt;
}
