/** F4: SIGTERM while a handler runs that never ends, whatever it is told; and a second SIGTERM. */
import { monotonicMs } from "../../support/journal.ts";
import type { Actor } from "../actor.ts";
import { scenario } from "../scenario.ts";
import type { Stage } from "../stage.ts";

const JOBS = 4;

export const f04 = scenario({
  row: "F4",
  title: "SIGTERM, a handler never ends",
  targets: {
    exitMs: { label: "exit after", atMost: 30_000 },
    rerunMs: { label: "then run elsewhere after", atMost: 1000 },
    hurriedRerunMs: { label: "run elsewhere after a second signal", atMost: 1000 },
    attemptsSpent: { label: "attempts spent", atMost: 0 },
  },
  together: 5,
  quick: true,
  async play(stage) {
    const redis = await stage.redis();
    const producer = await stage.producer(redis.url);
    const [patient, hurried] = [await occupied(), await occupied()];
    await stage.worker(redis.url);
    patient.kill("SIGTERM");
    const toldAt = monotonicMs();
    hurried.kill("SIGTERM");
    await stage.pause(stage.between(500, 5000));
    hurried.kill("SIGTERM");
    const hurriedAt = monotonicMs();
    const hurriedRerunMs = (await allRerun(stage, JOBS)) - hurriedAt;
    const hasLeft = await stage.comesTrue(() => patient.isOver, 45_000);
    const exitMs = hasLeft ? (await patient.ended).at - toldAt : Infinity;
    // It is given back before the process ends.
    const rerunMs = hasLeft ? Math.max(0, (await allRerun(stage, 2 * JOBS)) - (await patient.ended).at) : Infinity;
    const reruns = stage.did("started").slice(2 * JOBS);
    return { exitMs, rerunMs, hurriedRerunMs, attemptsSpent: reruns.filter(({ attempt }) => attempt !== 1).length };

    async function occupied(): Promise<Actor> {
      const worker = await stage.worker(redis.url, { concurrency: JOBS });
      const works = stage.works(JOBS, "ignore", [600_000, 10]);
      await producer.put(works);
      await stage.until(() => works.every(({ n }) => stage.did("started").some((run) => run.n === n)));
      return worker;
    }
  },
});

/** When the last of so many ran again. */
async function allRerun(stage: Stage, reruns: number): Promise<number> {
  await stage.comesTrue(() => stage.did("started").length >= 2 * JOBS + reruns, 20_000);
  return stage.did("started")[2 * JOBS + reruns - 1]?.at ?? Infinity;
}
