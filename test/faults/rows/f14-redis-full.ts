/** F14: Redis has no memory left and evicts nothing. */
import { Redis } from "ioredis";
import { monotonicMs } from "../../support/journal.ts";
import { scenario } from "../scenario.ts";

const JOBS = 100;

export const f14 = scenario({
  row: "F14",
  title: "Redis full, noeviction",
  targets: {
    refusedMs: { label: "a put is refused within", atMost: 100 },
    untyped: { label: "refused by another error than BACKEND_FULL, or taken", atMost: 0 },
    left: { label: "not drained while it was full", atMost: 0 },
    recoversMs: { label: "puts again when there is room, after", atMost: 5000 },
  },
  together: 3,
  quick: true,
  async play(stage) {
    const redis = await stage.redis();
    const producer = await stage.producer(redis.url);
    const client = new Redis(redis.url);
    try {
      const works = stage.works(JOBS, "sleep", [50]);
      await producer.putMany(works);
      await stage.worker(redis.url, { concurrency: 2 });
      await stage.until(() => stage.did("ended").length > stage.between(1, 20));
      await client.config("SET", "maxmemory", "1mb");
      const isDrained = stage.comesTrue(() => stage.unfinished().length === 0, 30_000);
      const refused = stage.works(10, "sleep", [10]);
      for (const work of refused) await producer.put([work]);
      const refusals = stage.did("refused").filter(({ n }) => refused.some((work) => work.n === n));
      const waits = refusals.map(({ n, at }) => at - stage.did("put").find((put) => put.n === n)!.at);
      await isDrained;
      const left = stage.unfinished().length;
      const loaded = producer.load({ n: 1000, does: "sleep", ms: [10] }, { lanes: 1, pauseMs: 20 });
      await stage.pause(500);
      await client.config("SET", "maxmemory", "0");
      const roomAt = monotonicMs();
      const put = await stage.next("acknowledged", roomAt);
      await producer.rest();
      await loaded;
      await stage.comesTrue(() => stage.unfinished().length === 0);
      return {
        refusedMs: Math.max(...waits),
        untyped: refused.length - refusals.filter(({ code }) => code === "BACKEND_FULL").length,
        left,
        recoversMs: (put?.at ?? Infinity) - roomAt,
      };
    } finally {
      client.disconnect();
    }
  },
});
