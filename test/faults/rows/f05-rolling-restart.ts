/** F5: ten deployments under load, as an orchestrator makes them: a new worker, SIGTERM to an old one, SIGKILL if it stays. */
import type { Actor } from "../actor.ts";
import { scenario } from "../scenario.ts";
import type { Stage } from "../stage.ts";

const RESTARTS = 10;
const OPTIONS = { concurrency: 20, drainMs: 1000, graceMs: 1000 };
const KILLED_AFTER_MS = 4000;

export const f05 = scenario({
  row: "F5",
  title: "rolling restart x10 under load",
  targets: {
    unfinished: { label: "not completed", atMost: 0 },
    failed: { label: "failed", atMost: 0 },
    attemptsSpent: { label: "attempts spent", atMost: 0 },
  },
  together: 2,
  async play(stage) {
    const redis = await stage.redis();
    const producer = await stage.producer(redis.url);
    const workers: Actor[] = [await stage.worker(redis.url, OPTIONS), await stage.worker(redis.url, OPTIONS)];
    // Some are longer than a deployment waits, and do not listen.
    await producer.put(stage.works(8, "ignore", [8000]));
    const loaded = producer.load(stage.works(1, "sleep", [300])[0]!, { lanes: 5, pauseMs: 50 });
    for (let restart = 0; restart < RESTARTS; restart += 1) {
      await stage.pause(stage.between(0, 1000));
      workers.push(await stage.worker(redis.url, OPTIONS));
      await replaced(stage, workers.shift()!);
    }
    await producer.rest();
    await loaded;
    await stage.comesTrue(async () => stage.unfinished().length === 0 || (await stage.stored()).every(({ states }) => states.includes("completed") || states.includes("failed")));
    const jobs = await stage.stored();
    const failed = jobs.filter(({ states }) => states.includes("failed")).length;
    return { unfinished: stage.unfinished().length, failed, attemptsSpent: jobs.filter(({ states, attemptsMade }) => states.includes("completed") && attemptsMade > 1).length };
  },
});

async function replaced(stage: Stage, worker: Actor): Promise<void> {
  worker.kill("SIGTERM");
  if (!(await stage.comesTrue(() => worker.isOver, KILLED_AFTER_MS))) worker.kill("SIGKILL");
}
