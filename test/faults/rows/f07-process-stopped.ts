/** F7: a worker is stopped in its tracks for longer than its leases last, and wakes up. */
import { monotonicMs } from "../../support/journal.ts";
import { scenario } from "../scenario.ts";

const JOBS = 6;

export const f07 = scenario({
  row: "F7",
  title: "SIGSTOP 45 s or 75 s",
  targets: {
    toldMs: { label: "told LEASE_LOST after it wakes, in", atMost: 1000 },
    staleAcks: { label: "acknowledged by whoever lost the job", atMost: 0 },
    sameFence: { label: "second runs under the fence of the first", atMost: 0 },
    unfinished: { label: "not completed", atMost: 0 },
  },
  together: 5,
  async play(stage) {
    const redis = await stage.redis();
    const producer = await stage.producer(redis.url);
    const stopped = await stage.worker(redis.url);
    const pauseMs = stage.random() < 0.5 ? 45_000 : 75_000;
    // Half of them are done the moment it wakes; the others are still at work.
    const sleepers = stage.works(JOBS / 2, "sleep", [600_000, 10]);
    await producer.put([...sleepers, ...stage.works(JOBS / 2, "ignore", [10_000, 10])]);
    await stage.until(() => stage.did("started").length === JOBS);
    await stage.pause(stage.between(0, 5000));
    stopped.kill("SIGSTOP");
    // Not before: on a busy machine a start takes longer than what is to be stopped in its midst.
    await stage.worker(redis.url);
    await stage.pause(pauseMs);
    stopped.kill("SIGCONT");
    const wokenAt = monotonicMs();
    const told = () => stage.did("told").filter(({ n, code }) => code === "LEASE_LOST" && sleepers.some((work) => work.n === n));
    await stage.comesTrue(() => told().length === sleepers.length, 10_000);
    await stage.comesTrue(async () => (await stage.stored()).every(({ states }) => states.includes("completed")));
    const starts = stage.did("started");
    const jobs = await stage.stored();
    return {
      toldMs: told().length === sleepers.length ? Math.max(...told().map(({ at }) => at)) - wokenAt : Infinity,
      staleAcks: jobs.filter(({ n, result }) => starts.some((run) => run.n === n && run.fence! > (result?.fence ?? Infinity))).length,
      sameFence: starts.length - new Set(starts.map(({ n, fence }) => `${n} ${fence}`)).size,
      unfinished: JOBS - jobs.filter(({ states }) => states.includes("completed")).length,
    };
  },
});
