/** F11: Redis is down when a worker and a producer start, comes up, and goes down for good. */
import { monotonicMs } from "../../support/journal.ts";
import { scenario } from "../scenario.ts";
import type { Stage } from "../stage.ts";

const DRAIN_MS = 1000;
const GRACE_MS = 1000;
/** Long enough for a put to have settled in time. */
const LOOK_MS = 8000;

export const f11 = scenario({
  row: "F11",
  title: "Redis down at start, or later",
  targets: {
    putMs: { label: "a put settles within", atMost: 5000 },
    untold: { label: "refusals that do not say whether the job may exist", atMost: 0 },
    backAfterMs: { label: "works again after Redis is up, in", atMost: 2000 },
    exitMs: { label: "a worker told to end exits within", atMost: DRAIN_MS + GRACE_MS + 3000 },
  },
  together: 5,
  quick: true,
  async play(stage) {
    const redis = await stage.redis();
    await redis.stop();
    const worker = stage.unreadyWorker(redis.url, { concurrency: 10, drainMs: DRAIN_MS, graceMs: GRACE_MS });
    const producer = await stage.producer(redis.url);
    const down = stage.works(3, "sleep", [10]);
    void producer.put(down);
    await stage.pause(LOOK_MS + stage.between(0, 2000));
    await redis.start();
    const upAt = monotonicMs();
    void producer.put(stage.works(1, "sleep", [10]));
    const [put, run] = await Promise.all([stage.next("acknowledged", upAt), stage.next("started", upAt)]);
    const backAfterMs = Math.max(put?.at ?? Infinity, run?.at ?? Infinity) - upAt;

    // It holds a job that ends when it is told to, whose end it cannot tell any more.
    void producer.put(stage.works(1, "sleep", [600_000]));
    await stage.next("started", run?.at ?? upAt);
    await redis.stop();
    const later = stage.works(3, "sleep", [10]);
    void producer.put(later);
    await stage.pause(stage.between(0, 2000));
    worker.kill("SIGTERM");
    const toldAt = monotonicMs();
    const hasLeft = await stage.comesTrue(() => worker.isOver, 60_000);
    await stage.pause(LOOK_MS);
    const putMs = Math.max(...[...down, ...later].map(({ n }) => settledAfter(stage, n)));
    const untold = stage.did("refused").filter(({ jobMayExist }) => jobMayExist === undefined).length;
    const exitMs = hasLeft ? (await worker.ended).at - toldAt : Infinity;
    await redis.start();
    return { putMs, untold, backAfterMs, exitMs };
  },
});


function settledAfter(stage: Stage, n: number): number {
  const [put, settled] = stage.entries().filter((entry) => entry.n === n && ["put", "acknowledged", "refused"].includes(entry.did));
  return put === undefined || settled === undefined ? Infinity : settled.at - put.at;
}
