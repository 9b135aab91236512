/** The part of the turn script that reserves jobs: takes what is ready from a queue and leases it to this process. */
import { readJobs, TELL_JOBS, type ToldJobs } from "./reserved-jobs.ts";
import type { StoredJob } from "./stored-job.ts";

/** Where a batch has more than so much text it ends; one job goes whatever its size. */
const BATCH_BYTES = 1 << 20;

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

/** What is asked of a queue: at most `most` jobs (at least 1), leased under one token for `leaseMs`. */
export interface ReserveRequest {
  readonly most: number;
  readonly token: string;
  readonly leaseMs: number;
  /** Shown with the job as `processedBy`. */
  readonly worker: string;
  /** Tokens of requests that Redis did not answer: what they leased comes before anything else. */
  readonly unanswered: readonly string[];
  /** Nothing but that. */
  readonly onlyUnanswered?: true;
}

/** What the script answers of it. */
export type ReserveReply = readonly [nextDelayedAt: number, limitedForMs: number, lastFence: number, jobs: ToldJobs];

export function readReserved(now: number, reply: ReserveReply, request: ReserveRequest): Reserved {
  const [nextDelayedAt, limitedForMs, lastFence, told] = reply;
  const jobs = readJobs(told);
  const leased = jobs.map((job, i) => ({ job, token: request.token, fence: lastFence - jobs.length + 1 + i }));
  return { leased, now, nextDelayedAt, limitedForMs };
}

/**
 * `reserve(…)`: the first three of a {@link ReserveReply}, and the jobs in `told`. Pause, global concurrency and rate limit are BullMQ's, kept in `meta`.
 *
 * Who takes the last of what it asked for, or as many bytes as a batch may have, may not be back soon: it passes on whatever
 * else waits, or will be due.
 */
export const RESERVE = `
local function leasedBefore(most, unanswered)
  local ids = {}
  if not next(unanswered) then return ids end
  for _, id in ipairs(redis.call('LRANGE', active, 0, -1)) do
    if #ids == most then break end
    if unanswered[redis.call('GET', base .. id .. ':lock')] then ids[#ids + 1] = id end
  end
  return ids
end

${TELL_JOBS}
local function reserve(most, token, leaseMs, worker, unanswered, onlyUnanswered)
  local ids = leasedBefore(most, unanswered)
  if #ids > 0 then
    trimEvents(meta, events, state[5])
    for _, id in ipairs(ids) do
      local key = base .. id
      redis.call('SET', key .. ':lock', token, 'PX', leaseMs)
      tell(id, key, false)
    end
    redis.call('ZADD', marker, '0', '0')
    return 0, 0, redis.call('INCRBY', fence, #ids)
  end
  if onlyUnanswered then return 0, 0, 0 end

  local function open() trimEvents(meta, events, state[5]) end
  promoteDue({delayed = delayed, wait = wait, prioritized = prioritized, counter = counter, events = events}, base, now, open)
  local asked, cap, rate, duration = most, tonumber(state[2]), tonumber(state[3]), tonumber(state[4])
  if state[1] then return 0, 0, 0 end
  if cap then most = math.min(most, cap - redis.call('LLEN', active)) end
  if rate and duration then
    local used = tonumber(redis.call('GET', limiter)) or 0
    if used >= rate then
      local left = redis.call('PTTL', limiter)
      if left > 0 then return 0, left, 0 end
      redis.call('DEL', limiter)
      used = 0
    end
    most = math.min(most, rate - used)
  end
  if most < 1 then return nextDelayedAt(delayed), 0, 0 end

  local waiting = redis.call('LRANGE', wait, -most, '-1')
  for i = #waiting, 1, -1 do ids[#ids + 1] = waiting[i] end
  local high = #ids < most and redis.call('ZRANGE', prioritized, '0', most - #ids - 1) or {}
  for _, id in ipairs(high) do ids[#ids + 1] = id end
  if #ids == 0 then
    redis.call('DEL', counter)
    return nextDelayedAt(delayed), 0, 0
  end
  local keys, startsOf, total = {}, {}, 0
  for i, id in ipairs(ids) do
    if total > ${BATCH_BYTES} then break end
    local key = base .. id
    local starts, bytes = tell(id, key, true)
    keys[i], startsOf[i] = key, starts
    total = total + bytes
  end
  local isCut = #startsOf < #ids
  for i = #ids, #startsOf + 1, -1 do ids[i] = nil end
  local fromWait = math.min(#waiting, #ids)
  open()
  redis.call('LPUSH', active, unpack(ids))
  local trimmedTo = 0
  attempt(function()
    if fromWait > 0 then redis.call('LTRIM', wait, '0', -fromWait - 1) end
    trimmedTo = fromWait
    if #ids > fromWait then redis.call('ZREM', prioritized, unpack(high, 1, #ids - fromWait)) end
  end, function()
    redis.call('LTRIM', active, #ids, -1)
    for i = trimmedTo, 1, -1 do redis.call('RPUSH', wait, ids[i]) end
  end)

  local limited = 0
  if rate and duration then
    local used = redis.call('INCRBY', limiter, #ids)
    if used == #ids then redis.call('PEXPIRE', limiter, math.floor(math.abs(duration))) end
    if used >= rate then limited = math.max(redis.call('PTTL', limiter), 0) end
  end
  for i, id in ipairs(ids) do
    local key = keys[i]
    -- With GET the answer is nothing at all, where OK would be a table.
    redis.call('SET', key .. ':lock', token, 'PX', leaseMs, 'GET')
    redis.call('HSET', key, 'processedOn', nowText, 'pb', worker, 'ats', startsOf[i])
    redis.call('XADD', events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
  end
  local full = isCut or #ids == asked
  if full and (redis.call('LLEN', wait) > 0 or redis.call('ZCARD', prioritized) > 0) then
    redis.call('ZADD', marker, '0', '0')
  elseif full then
    markDelayed(marker, delayed)
  end
  return full and 0 or nextDelayedAt(delayed), limited, redis.call('INCRBY', fence, #ids)
end
`;
