/** The script that reserves jobs: takes what is ready from a queue and leases it to this process. */
import { runPacked, type Script } from "../redis/script.ts";
import { DELAY_JOB, NOW, PRIORITIZE_JOB, PROMOTE_DUE } from "./lua.ts";
import { readStoredJob, type StoredJob } from "./stored-job.ts";
import type { StoredQueue } from "./stored-queue.ts";

/** A job under a lease. */
export interface Leased {
  readonly job: StoredJob;
  /** BullMQ's lock value: who holds the token holds the lease. */
  readonly token: string;
  /** Grows with every delivery of the queue; a side effect can refuse a smaller one than it has seen. */
  readonly fence: number;
}

export interface Reserved {
  readonly leased: readonly Leased[];
  /** The server's clock when the script ran, in milliseconds. */
  readonly now: number;
  /** When the next delayed job is due, if fewer jobs came than were asked for; 0 is none. */
  readonly nextDelayedAt: number;
  /** The queue's rate limit leaves no room for so many milliseconds; 0 is no limit reached. */
  readonly limitedForMs: number;
}

/**
 * @param most    at most so many jobs; at least 1
 * @param token   the lease's token, one a batch
 * @param leaseMs how long the lease holds unless it is renewed
 * @param worker  name shown as `processedBy`
 */
export async function reserveJobs(
  queue: StoredQueue,
  request: { readonly most: number; readonly token: string; readonly leaseMs: number; readonly worker: string },
): Promise<Reserved> {
  const { client, keys } = queue;
  const reply = (await runPacked(
    client,
    RESERVE,
    [
      keys.wait, keys.active, keys.prioritized, keys.delayed, keys.events, keys.meta, keys.marker, keys.priorityCounter,
      keys.limiter, keys.fence,
    ],
    [keys.base, request.most, request.token, request.leaseMs, request.worker],
  )) as [number, number, number, number, [string, string[]][]];
  const [now, nextDelayedAt, limitedForMs, lastFence, rows] = reply;
  const leased = rows.map(([id, flat], i) => ({
    job: readStoredJob(id, flat),
    token: request.token,
    fence: lastFence - rows.length + 1 + i,
  }));
  return { leased, now, nextDelayedAt, limitedForMs };
}

/**
 * KEYS  wait, active, prioritized, delayed, events, meta, marker, priority counter, limiter, fence
 * ARGV  base, most, token, leaseMs, worker
 * reply msgpack {now, next delayed at, limited for ms, last fence, {{id, {field, value, …}}, …}}
 *
 * Pause, global concurrency and rate limit are BullMQ's, kept in `meta`.
 */
const RESERVE: Script = {
  name: "reserve",
  lua: `
local wait, active, prioritized, delayed, events, meta, marker, counter, limiter, fence = unpack(KEYS)
local base, most, token, leaseMs, worker = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
${NOW}${DELAY_JOB}${PRIORITIZE_JOB}${PROMOTE_DUE}
promoteDue({delayed = delayed, wait = wait, prioritized = prioritized, counter = counter, events = events}, base, now)

local asked = most
local state = redis.call('HMGET', meta, 'paused', 'concurrency', 'max', 'duration')
if state[1] then return cmsgpack.pack({now, 0, 0, 0, {}}) end
if state[2] then most = math.min(most, tonumber(state[2]) - redis.call('LLEN', active)) end
local rate = tonumber(state[3])
if rate then
  local used = tonumber(redis.call('GET', limiter)) or 0
  if used >= rate then
    local left = redis.call('PTTL', limiter)
    if left > 0 then return cmsgpack.pack({now, 0, left, 0, {}}) end
    redis.call('DEL', limiter)
    used = 0
  end
  most = math.min(most, rate - used)
end
if most < 1 then return cmsgpack.pack({now, nextDelayedAt(delayed), 0, 0, {}}) end

local ids = redis.call('RPOP', wait, most) or {}
if #ids < most then
  local popped = redis.call('ZPOPMIN', prioritized, most - #ids)
  for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
  if #popped == 0 then redis.call('DEL', counter) end
end
if #ids == 0 then return cmsgpack.pack({now, nextDelayedAt(delayed), 0, 0, {}}) end
local full = #ids == asked

redis.call('LPUSH', active, unpack(ids))
if rate and redis.call('INCRBY', limiter, #ids) == #ids then redis.call('PEXPIRE', limiter, math.floor(tonumber(state[4]))) end
local rows = {}
for i, id in ipairs(ids) do
  local key = base .. id
  redis.call('SET', key .. ':lock', token, 'PX', leaseMs)
  redis.call('HSET', key, 'processedOn', now, 'pb', worker)
  redis.call('HINCRBY', key, 'ats', 1)
  redis.call('XADD', events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
  rows[i] = {id, redis.call('HGETALL', key)}
end
-- Others are woken only where more may be waiting than was asked for here.
if full and (redis.call('LLEN', wait) > 0 or redis.call('ZCARD', prioritized) > 0) then
  redis.call('ZADD', marker, 0, '0')
end
return cmsgpack.pack({now, full and 0 or nextDelayedAt(delayed), 0, redis.call('INCRBY', fence, #ids), rows})
`,
};
