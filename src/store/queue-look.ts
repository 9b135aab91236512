/** What tells how a queue fares, beside its counts: how long its oldest job waits, and how many failed of late. */
import { runScript, type Script } from "../redis/script.ts";
import type { StoredQueue } from "./stored-queue.ts";

export interface QueueLook {
  /** When the job that has waited longest was put, by the server's clock; of those with a priority, the next one counts. */
  readonly oldestPutAt: number | undefined;
  /** Jobs that failed for good in that time and are still kept, cancelled ones among them. */
  readonly failedSince: number;
}

/** @throws BackendError */
export async function lookAtQueue({ client, keys, connections }: StoredQueue, sinceMs: number): Promise<QueueLook> {
  const [putAt, failedSince] = (await runScript(client, LOOK, [keys.wait, keys.paused, keys.prioritized, keys.failed], [keys.base, connections.clock.now() - sinceMs])) as [string[], number];
  return { oldestPutAt: putAt.length === 0 ? undefined : Math.min(...putAt.map(Number)), failedSince };
}

/**
 * KEYS  wait, paused, prioritized, failed
 * ARGV  base, instant
 * reply {{when the next job of each was put, …}, jobs that failed since then}
 */
const LOOK: Script = {
  name: "look-at-queue",
  lua: `
local putAt = {}
local next = {redis.call('LINDEX', KEYS[1], -1), redis.call('LINDEX', KEYS[2], -1), redis.call('ZRANGE', KEYS[3], 0, 0)[1]}
for i = 1, 3 do
  local at = next[i] and redis.call('HGET', ARGV[1] .. next[i], 'timestamp')
  if at then putAt[#putAt + 1] = at end
end
return {putAt, redis.call('ZCOUNT', KEYS[4], ARGV[2], '+inf')}
`,
};
