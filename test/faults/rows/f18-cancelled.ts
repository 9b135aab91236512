/** F18: jobs are cancelled from another process: running ones, one that does not listen, waiting and delayed ones. */
import { scenario } from "../scenario.ts";

const RUNNING = 50;
const DEAF = 4;

export const f18 = scenario({
  row: "F18",
  title: "cancel from another process",
  targets: {
    toldMs: { label: "the signal fires after", atMost: 1000 },
    slotFreeMs: { label: "one that ignores it frees its slot after", atMost: 5000 },
    otherwise: { label: "not ended as cancelled, or run again", atMost: 0 },
  },
  together: 3,
  quick: true,
  async play(stage) {
    const redis = await stage.redis();
    const [producer, other] = [await stage.producer(redis.url), await stage.producer(redis.url)];
    await stage.worker(redis.url, { concurrency: RUNNING + DEAF });
    const running = stage.works(RUNNING, "sleep", [600_000]);
    const deaf = stage.works(DEAF, "ignore", [600_000]);
    const [waiting, delayed] = [stage.works(5, "sleep", [10]), stage.works(5, "sleep", [10])];
    await producer.put([...running, ...deaf]);
    await stage.until(() => stage.did("started").length === RUNNING + DEAF);
    await producer.put(waiting);
    await producer.put(delayed, { delayMs: 600_000 });
    await stage.pause(stage.between(0, 2000));
    await other.cancel(stage.jobs([...delayed, ...waiting]));
    // The places of these have to be free in time for these.
    await other.cancel(stage.jobs(deaf));
    const next = stage.works(DEAF, "sleep", [10]);
    await producer.put(next);
    await stage.comesTrue(() => next.every(({ n }) => stage.did("started").some((run) => run.n === n)), 30_000);
    const askedAt = Math.min(...deaf.map(({ n }) => stage.did("asked").find((asked) => asked.n === n)!.at));
    const freeAt = next.map(({ n }) => stage.did("started").find((run) => run.n === n)?.at ?? Infinity);
    for (const work of running) {
      await other.cancel(stage.jobs([work]));
      await stage.pause(stage.between(0, 100));
    }
    await stage.comesTrue(() => running.every(({ n }) => stage.did("told").some((told) => told.n === n)), 30_000);
    const waits = running.map(({ n }) => (stage.did("told").find((told) => told.n === n)?.at ?? Infinity) - stage.did("asked").find((asked) => asked.n === n)!.at);
    const cancelled = new Set([...running, ...deaf, ...waiting, ...delayed].map(({ n }) => n));
    const isEnded = async (): Promise<boolean> => (await stage.stored()).every(({ states }) => states.includes("failed") || states.includes("completed"));
    await stage.comesTrue(isEnded, 10_000);
    // One that was removed instead is not ended as it was asked, and is not lost either.
    for (const n of cancelled) stage.forgiven.add(n);
    const jobs = (await stage.stored()).filter(({ n }) => cancelled.has(n));
    const asAsked = jobs.filter(({ n, states, failedReason }) => {
      return states.includes("failed") && failedReason?.startsWith("cancelled:") && stage.did("started").filter((run) => run.n === n).length <= 1;
    });
    return { toldMs: Math.max(...waits), slotFreeMs: Math.max(...freeAt) - askedAt, otherwise: cancelled.size - asAsked.length };
  },
});
