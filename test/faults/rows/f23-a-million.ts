/** F23: a million jobs go through one queue, under the retention that it has by default. */
import { Redis } from "ioredis";
import { scenario } from "../scenario.ts";

const CHUNK = 25_000;
const JOBS = 1_000_000;
/** By then whatever is kept by count is full. */
const FILLED = 50_000;
/** Of some four megabytes a twentieth comes and goes with the buffers of its clients and with what its scripts left. */
const LOOKS = 5;

export const f23 = scenario({
  row: "F23",
  title: "a million jobs",
  targets: { driftPercent: { label: "memory of Redis, by medians of five looks, off the first of them, percent", atMost: 5 } },
  mostPhases: 1,
  async play(stage) {
    const redis = await stage.redis({ appendonly: "no" });
    const client = new Redis(redis.url);
    const producer = await stage.producer(redis.url, { keeps: "default" });
    await stage.worker(redis.url, { concurrency: 200, keeps: "default" });
    const memory: number[] = [];
    const isEmpty = async (): Promise<boolean> => (await client.llen("bull:work:wait")) + (await client.llen("bull:work:active")) === 0;
    for (let put = 0; put < JOBS; put += CHUNK) {
      await producer.flood(CHUNK, put);
      if (!(await stage.comesTrue(isEmpty))) throw new Error(`${put + CHUNK} jobs put, and not all of them have ended`);
      const used = Number(/^used_memory:(\d+)/m.exec(await client.info("memory"))?.[1]);
      if (put + CHUNK >= FILLED) memory.push(used);
    }
    // Nothing of it is in the ledger.
    await client.flushall();
    client.disconnect();
    const medians = memory.slice(LOOKS - 1).map((_, i) => memory.slice(i, i + LOOKS).toSorted((one, other) => one - other)[(LOOKS - 1) / 2]!);
    return { driftPercent: Math.max(...medians.map((used) => Math.abs(used / medians[0]! - 1) * 100)) };
  },
});
