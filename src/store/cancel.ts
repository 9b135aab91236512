/**
 * The request that a job be cancelled. It is written down with the job, so that it outlives whoever made it and whoever
 * runs it: the script that settles gives back no job of which this was asked.
 */
import { runPacked, runScript, type Script } from "../redis/script.ts";
import type { Leased } from "./reserve-script.ts";
import { ATTEMPT } from "./lua.ts";
import { CANCEL_FIELD, readStoredJob } from "./stored-job.ts";
import type { StoredQueue } from "./stored-queue.ts";

export type CancelReply =
  /** It has ended already, or is not there. */
  | { readonly state: "ended" }
  /** It runs: the request stands, and whoever listens has been woken. */
  | { readonly state: "requested" }
  /** It did not run; now it does, as ours, so that we can end it. Should we not, whoever recovers it will. */
  | { readonly state: "claimed"; readonly leased: Leased };

/**
 * Asks for the end of a job; the first reason stands. May be sent again under the same token.
 *
 * @throws BackendError, BackendFullError
 */
export async function requestCancel(
  queue: StoredQueue,
  id: string,
  request: { readonly reason: string; readonly token: string; readonly leaseMs: number },
): Promise<CancelReply> {
  const { client, keys } = queue;
  const reply = (await runPacked(
    client,
    CANCEL,
    [keys.wait, keys.paused, keys.active, keys.prioritized, keys.delayed, keys.waitingChildren, keys.stalled, keys.fence],
    [keys.base, id, request.reason, request.token, request.leaseMs, cancelChannel(queue)],
  )) as [0 | 1] | [2, number, string[]];
  if (reply[0] === 2) return { state: "claimed", leased: { job: readStoredJob(id, reply[2]), token: request.token, fence: reply[1] } };
  return { state: reply[0] === 1 ? "requested" : "ended" };
}

/** On it the ids of jobs are named that run and are to be cancelled. */
export function cancelChannel({ keys }: StoredQueue): string {
  return `${keys.base}millrace:cancel`;
}

/** Why each of these jobs is to be cancelled, in order; `undefined` where nobody asked for it. @throws BackendError */
export async function cancelRequests({ client, keys }: StoredQueue, ids: readonly string[]): Promise<(string | undefined)[]> {
  const reasons = (await runScript(client, REQUESTS, [keys.meta], [keys.base, ...ids])) as (string | null)[];
  return reasons.map((reason) => reason || undefined);
}

/**
 * KEYS  wait, paused, active, prioritized, delayed, waiting-children, stalled, fence
 * ARGV  base, id, reason, token, leaseMs, channel
 * reply msgpack {0} has ended, or is not there; {1} requested; {2, fence, {field, value, …}} claimed
 *
 * It is placed before it leaves. Lists are searched from the end that is taken from: who cancels many begins there. The first write needs no memory: a full Redis refuses one that does, and none after it.
 */
const CANCEL: Script = {
  name: "cancel",
  lua: `${ATTEMPT}
local wait, paused, active, prioritized, delayed, children, stalled, fence = unpack(KEYS)
local id, reason, token = ARGV[2], ARGV[3], ARGV[4]
local key = ARGV[1] .. id
if redis.call('EXISTS', key) == 0 then return cmsgpack.pack({0}) end
local function writeDown()
  if (redis.call('HGET', key, '${CANCEL_FIELD}') or '') == '' then redis.call('HSET', key, '${CANCEL_FIELD}', reason) end
end
local running = redis.call('LPOS', active, id)
local ours = running and redis.call('GET', key .. ':lock') == token
if running and not ours then
  writeDown()
  redis.pcall('PUBLISH', ARGV[6], id)
  return cmsgpack.pack({1})
end
if not ours then
  local set, list
  for _, each in ipairs({delayed, prioritized, children}) do set = set or (redis.call('ZSCORE', each, id) and each) end
  if not set then
    for _, each in ipairs({wait, paused}) do list = list or (redis.call('LPOS', each, id, 'RANK', -1) and each) end
    if not list then return cmsgpack.pack({0}) end
  end
  redis.call('SREM', stalled, id)
  redis.call('LPUSH', active, id)
  attempt(
    function() if set then redis.call('ZREM', set, id) else redis.call('LREM', list, -1, id) end end,
    function() redis.call('LPOP', active) end
  )
  redis.call('HINCRBY', key, 'ats', 1)
end
redis.call('SET', key .. ':lock', token, 'PX', ARGV[5])
writeDown()
return cmsgpack.pack({2, redis.call('INCR', fence), redis.call('HGETALL', key)})
`,
};

/**
 * KEYS  meta, for the slot that a cluster looks for it in
 * ARGV  base, id…
 * reply {reason or nothing, …}
 */
const REQUESTS: Script = {
  name: "cancel-requests",
  lua: `
local reasons = {}
for i = 2, #ARGV do reasons[#reasons + 1] = redis.call('HGET', ARGV[1] .. ARGV[i], '${CANCEL_FIELD}') end
return reasons
`,
};
