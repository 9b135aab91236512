/** F1: kill -9 of a worker in mid-job, twice. */
import { monotonicMs } from "../../support/journal.ts";
import type { Actor } from "../actor.ts";
import { scenario } from "../scenario.ts";
import type { Stage } from "../stage.ts";
import type { WorkerOptions } from "../subject.ts";

const JOBS = 5;

export const f01 = scenario({
  row: "F1",
  title: "kill -9 of a worker in mid-job, and of the next one",
  targets: {
    rerunAfterMs: { label: "run again after", atMost: 15_000 },
    fastAfterMs: { label: "with fast recovery after", atMost: 7000 },
    unfinished: { label: "not completed", atMost: 0 },
    attemptsOff: { label: "attempts counted wrong", atMost: 0 },
  },
  together: 5,
  quick: true,
  async play(stage) {
    const redis = await stage.redis();
    const producer = await stage.producer(redis.url);
    /** The first workers of these jobs are killed one after the other, and the last one ends them. @returns the longest wait for the next */
    const crashes = async (count: number, options: WorkerOptions): Promise<number> => {
      const before = stage.did("started").length;
      let victim = await stage.worker(redis.url, options);
      await producer.put(stage.works(JOBS, "sleep", [...Array.from({ length: count }, () => 600_000), 10]));
      await stage.until(() => stage.did("started").length === before + JOBS);
      let longestMs = 0;
      for (let crash = 1; crash <= count && longestMs < Infinity; crash += 1) {
        const heir = await stage.worker(redis.url, options);
        await stage.pause(stage.between(0, 5000));
        longestMs = Math.max(longestMs, await killed(stage, victim, before + JOBS * (crash + 1)));
        victim = heir;
      }
      await stage.comesTrue(() => stage.did("ended").length >= JOBS * (before === 0 ? 1 : 2), 5000);
      // That a run has ended is known before Redis has heard of it.
      await stage.comesTrue(async () => (await stage.stored()).every(({ states }) => !states.includes("active")), 5000);
      victim.kill("SIGKILL");
      return longestMs;
    };
    const rerunAfterMs = await crashes(2, { concurrency: 10 });
    const jobs = await stage.stored();
    const fastAfterMs = rerunAfterMs === Infinity ? Infinity : await crashes(1, { concurrency: 10, fast: true });
    return {
      rerunAfterMs,
      fastAfterMs,
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
