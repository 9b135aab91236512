/** F2: every worker is killed, and they come back later. */
import { scenario } from "../scenario.ts";
import { monotonicMs } from "../../support/journal.ts";

const JOBS = 20;

export const f02 = scenario({
  row: "F2",
  title: "all workers killed, then restarted",
  targets: {
    rerunAfterMs: { label: "all run again after the first is up, in", atMost: 15_000 },
    unfinished: { label: "not completed", atMost: 0 },
  },
  together: 5,
  quick: true,
  async play(stage) {
    const redis = await stage.redis();
    const producer = await stage.producer(redis.url);
    const workers = await Promise.all([stage.worker(redis.url), stage.worker(redis.url)]);
    await producer.put(stage.works(JOBS, "sleep", [600_000, 10]));
    await stage.until(() => stage.did("started").length === JOBS);
    await stage.pause(stage.between(0, 5000));
    for (const worker of workers) worker.kill("SIGKILL");
    await stage.pause(stage.between(0, 5000));
    await stage.worker(redis.url);
    const upAt = monotonicMs();
    await stage.worker(redis.url);
    await stage.comesTrue(() => stage.unfinished().length === 0);
    const last = stage.did("started")[2 * JOBS - 1];
    return { rerunAfterMs: last === undefined ? Infinity : Math.max(0, last.at - upAt), unfinished: stage.unfinished().length };
  },
});
