/** F8: Redis, with its append-only file, is told to end or killed under load, and comes back. */
import { monotonicMs } from "../../support/journal.ts";
import { scenario } from "../scenario.ts";

export const f08 = scenario({
  row: "F8",
  title: "Redis SIGTERM or kill -9, with its append-only file",
  targets: {
    backAfterMs: { label: "puts and runs again after Redis is up, in", atMost: 2000 },
    orphansAfterMs: { label: "what was put before it is completed after", atMost: 15_000 },
    unfinished: { label: "not completed", atMost: 0 },
    failed: { label: "failed", atMost: 0 },
  },
  together: 2,
  quick: true,
  async play(stage) {
    const redis = await stage.redis();
    const producer = await stage.producer(redis.url);
    await Promise.all([stage.worker(redis.url), stage.worker(redis.url)]);
    const loaded = producer.load(stage.works(1, "sleep", [100])[0]!, { lanes: 10, pauseMs: 20 });
    await stage.pause(stage.between(1000, 3000));
    const downAt = monotonicMs();
    await (stage.random() < 0.5 ? redis.stop() : redis.kill());
    await stage.pause(stage.between(0, 4000));
    await redis.start();
    const upAt = monotonicMs();
    const [put, run] = await Promise.all([stage.next("acknowledged", upAt), stage.next("started", upAt)]);
    await stage.comesTrue(() => stage.unfinished(downAt).length === 0);
    const orphansAfterMs = stage.unfinished(downAt).length === 0 ? monotonicMs() - upAt : Infinity;
    await Promise.race([producer.rest().then(() => loaded), stage.pause(30_000)]);
    await stage.comesTrue(() => stage.unfinished().length === 0);
    const jobs = await stage.stored();
    return {
      backAfterMs: Math.max(put?.at ?? Infinity, run?.at ?? Infinity) - upAt,
      orphansAfterMs,
      unfinished: stage.unfinished().length,
      failed: jobs.filter(({ states }) => states.includes("failed")).length,
    };
  },
});
