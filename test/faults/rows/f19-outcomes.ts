/** F19: producers wait for outcomes while workers die, Redis restarts, events are trimmed and jobs are removed. */
import { Redis } from "ioredis";
import { monotonicMs } from "../../support/journal.ts";
import { scenario } from "../scenario.ts";

const JOBS = 10;

export const f19 = scenario({
  row: "F19",
  title: "waiting for results during F1, F8, removal, event trim",
  targets: {
    hanging: { label: "waits that never end", atMost: 0 },
    lateMs: { label: "settled after the truth by", atMost: 1000 },
    afterOutageMs: { label: "what became true before Redis was up, after that by", atMost: 2000 },
    untrue: { label: "outcomes that are not true", atMost: 0 },
  },
  together: 3,
  async play(stage) {
    const redis = await stage.redis();
    const [producer, waiter] = [await stage.producer(redis.url), await stage.producer(redis.url)];
    const doomed = await stage.worker(redis.url);
    const client = new Redis(redis.url, { maxRetriesPerRequest: null });
    client.on("error", () => undefined);
    const works = [...stage.works(JOBS, "sleep", () => [stage.between(2000, 10_000)])];
    const removed = stage.works(2, "sleep", [10]);
    await producer.put(works);
    await producer.put(removed, { delayMs: 600_000 });
    await stage.until(() => stage.did("started").length === JOBS);
    void waiter.follow(stage.jobs([...works, ...removed]));
    await stage.worker(redis.url);

    await stage.pause(stage.between(0, 1000));
    doomed.kill("SIGKILL");
    for (const { id } of stage.jobs(removed)) await client.multi().zrem("bull:work:delayed", id).del(`bull:work:${id}`).exec();
    const removedAt = monotonicMs();
    await stage.pause(stage.between(0, 3000));
    const downAt = monotonicMs();
    await redis.kill();
    await stage.pause(stage.between(0, 2000));
    await redis.start();
    const upAt = monotonicMs();
    const trims = setInterval(() => void client.xtrim("bull:work:events", "MAXLEN", 0).catch(() => 0), 50);
    const settled = () => stage.did("settled").length;
    await stage.comesTrue(() => settled() === JOBS + removed.length, 60_000);
    clearInterval(trims);
    client.disconnect();
    for (const { n } of removed) stage.forgiven.add(n);

    const truths = new Map(stage.did("ended").map(({ n, at }) => [n, at]));
    const outcomes = stage.did("settled");
    const waits = outcomes.map(({ n, at }) => ({ trueAt: truths.get(n) ?? removedAt, at }));
    const late = waits.filter(({ trueAt, at }) => trueAt > upAt || at < downAt).map(({ trueAt, at }) => at - trueAt);
    const hidden = waits.filter(({ trueAt, at }) => trueAt <= upAt && at >= downAt).map(({ at }) => at - upAt);
    const isTrue = (n: number, state = ""): boolean => (removed.some((work) => work.n === n) ? /^(removed|unknown)/.test(state) : state === "completed" && truths.has(n));
    return {
      hanging: JOBS + removed.length - outcomes.length,
      lateMs: Math.max(0, ...late),
      afterOutageMs: Math.max(0, ...hidden),
      untrue: outcomes.filter(({ n, code }) => !isTrue(n, code)).length,
    };
  },
});
