/**
 * The physical limit: a Redis Stream and a consumer group, and nothing of what makes a queue. No leases that are renewed, no
 * retries, no results, no states, no events, no priorities or delays.
 */
import { Redis } from "ioredis";
import { chunks, type Handle, type Payload, type Subject } from "../subject.ts";

const GROUP = "workers";
/** What is read at once, where there are as many slots. */
const MOST = 100;

type Entry = [id: string, fields: [string, string]];

export const streams: Subject = {
  store: "redis",
  notes: "XADD, XREADGROUP of as many as there are slots, 100 at most, XACK and XDEL: no renewed leases, retries, results, states, events, priorities or delays",
  async open(url, { queues, slots }) {
    const redis = new Redis(url);
    let ended = false;
    let consuming: Promise<unknown> = Promise.resolve();
    return {
      put: (data) => redis.xadd(queues[0]!, "*", "payload", JSON.stringify(data)),
      async putMany(payloads) {
        for (const queue of queues) {
          for (const chunk of chunks(payloads())) {
            const pipeline = redis.pipeline();
            for (const data of chunk) pipeline.xadd(queue, "*", "payload", JSON.stringify(data));
            await pipeline.exec();
          }
        }
      },
      async consume(handle) {
        for (const queue of queues) await redis.xgroup("CREATE", queue, GROUP, "0", "MKSTREAM").catch(() => {});
        consuming = Promise.all(queues.map((queue) => consume(redis, queue, Math.min(slots, MOST), handle, () => ended)));
      },
      async close() {
        ended = true;
        await consuming;
        redis.disconnect();
      },
    };
  },
  async count(url, queues) {
    const redis = new Redis(url);
    const counts = { waiting: 0, active: 0, failed: 0 };
    for (const queue of queues) {
      const pending = (await redis.xpending(queue, GROUP).catch(() => [0])) as [number];
      counts.active += pending[0];
      counts.waiting += (await redis.xlen(queue)) - pending[0];
    }
    redis.disconnect();
    return counts;
  },
};

/** What was read is acknowledged with the next reading, in one round trip. */
async function consume(redis: Redis, queue: string, count: number, handle: Handle, ended: () => boolean): Promise<void> {
  let done: string[] = [];
  for (let reads = true; reads || done.length > 0; ) {
    reads = !ended();
    const pipeline = redis.pipeline();
    if (done.length > 0) pipeline.xack(queue, GROUP, ...done).xdel(queue, ...done);
    if (reads) pipeline.xreadgroup("GROUP", GROUP, "one", "COUNT", count, "STREAMS", queue, ">");
    const results = (await pipeline.exec()) ?? [];
    for (const [error] of results) if (error) throw error;
    const [[, entries]] = (reads ? (results.at(-1)?.[1] as [[string, Entry[]]] | null) : null) ?? [["", []]];
    await Promise.all(entries.map(([, [, text]]) => handle(JSON.parse(text) as Payload)));
    done = entries.map(([id]) => id);
  }
}
