/** F23: a million jobs go through one queue, under the retention that it has by default. */
import { Redis } from "ioredis";
import { scenario } from "../scenario.ts";

const CHUNK = 25_000;
const JOBS = 1_000_000;
/** By then whatever is kept by count is full. */
const FILLED = 50_000;

export const f23 = scenario({
  row: "F23",
  title: "a million jobs",
  targets: { driftPercent: { label: "memory of Redis off its first value, percent", atMost: 5 } },
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
      if (!(await stage.comesTrue(isEmpty))) break;
      const used = Number(/^used_memory:(\d+)/m.exec(await client.info("memory"))?.[1]);
      if (put + CHUNK >= FILLED) memory.push(used);
    }
    // Nothing of it is in the ledger.
    await client.flushall();
    client.disconnect();
    return { driftPercent: Math.max(...memory.map((used) => Math.abs(used / memory[0]! - 1) * 100)) };
  },
});
