/** Counts the jobs of queues in BullMQ's key layout. */
import { Redis } from "ioredis";
import type { Counts } from "../subject.ts";

export async function countBull(url: string, queues: readonly string[]): Promise<Counts> {
  const redis = new Redis(url);
  try {
    const counts = { waiting: 0, active: 0, failed: 0 };
    for (const queue of queues) {
      counts.waiting += (await redis.llen(`bull:${queue}:wait`)) + (await redis.zcard(`bull:${queue}:delayed`));
      counts.active += await redis.llen(`bull:${queue}:active`);
      counts.failed += await redis.zcard(`bull:${queue}:failed`);
    }
    return counts;
  } finally {
    redis.disconnect();
  }
}
