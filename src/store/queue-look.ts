/** What tells how a queue fares, beside its counts: how long its oldest job waits, and how many failed of late. */
import { asBackendError } from "../redis/errors.ts";
import type { StoredQueue } from "./stored-queue.ts";

export interface QueueLook {
  /** When the job that has waited longest was put, by the server's clock; of those with a priority, the next one counts. */
  readonly oldestPutAt: number | undefined;
  /** Jobs that failed for good in that time and are still kept, cancelled ones among them. */
  readonly failedSince: number;
}

/** @throws BackendError */
export async function lookAtQueue({ client, keys, connections }: StoredQueue, sinceMs: number): Promise<QueueLook> {
  try {
    const [next, paused, [prioritized], failedSince] = await Promise.all([
      client.lindex(keys.wait, "-1"),
      client.lindex(keys.paused, "-1"),
      client.zrange(keys.prioritized, "0", "0"),
      client.zcount(keys.failed, String(connections.clock.now() - sinceMs), "+inf"),
    ]);
    const ids = [next, paused, prioritized].filter((id) => typeof id === "string");
    const putAt = (await Promise.all(ids.map((id) => client.hget(keys.base + id, "timestamp")))).flatMap((text) => (text === null ? [] : [Number(text)]));
    return { oldestPutAt: putAt.length === 0 ? undefined : Math.min(...putAt), failedSince };
  } catch (error) {
    throw asBackendError(error);
  }
}
