/** The part of the turn script that reserves jobs: takes what is ready from a queue and leases it to this process. */
import { PRIORITIZE_JOB, PROMOTE_DUE, TRIM_EVENTS } from "./lua.ts";
import { readJobs, TELL_JOB, type ToldJobs } from "./reserved-jobs.ts";
import type { StoredJob } from "./stored-job.ts";

/** Where a batch has more than so much text it ends; one job goes whatever its size. */
const BATCH_BYTES = 1 << 20;
/** The event stream is trimmed once in so many deliveries. */
const TRIM_JOBS = 100;

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
export type ReserveReply = readonly [now: number, nextDelayedAt: number, limitedForMs: number, lastFence: number, told: ToldJobs];

export function readReserved([now, nextDelayedAt, limitedForMs, lastFence, told]: ReserveReply, request: ReserveRequest): Reserved {
  const jobs = readJobs(told);
  const leased = jobs.map((job, i) => ({ job, token: request.token, fence: lastFence - jobs.length + 1 + i }));
  return { leased, now, nextDelayedAt, limitedForMs };
}

/**
 * Reserves up to `most` jobs: how many in `taken`, told in `plain` and `others`; `isFull`: more may wait; `nextAt`, `limited` and `lastFence` as in a
 * {@link ReserveReply}. Pause, global concurrency and rate limit are BullMQ's, kept in `meta`.
 *
 * Jobs are taken from where they wait before anything else is written, which needs no memory: consumers drain a Redis that is full.
 */
export const RESERVE = `
local token, leaseMs, worker = ARGV[4], ARGV[5], ARGV[6]
local ids, scores, isStarting, free = {}, {}, true, most
if #ARGV > 7 then
  local unanswered = {}
  for i = 8, #ARGV do unanswered[ARGV[i]] = true end
  local held = redis.call('LRANGE', active, 0, -1)
  for n = #held, 1, -1 do
    if #ids == most then break end
    if unanswered[redis.call('GET', base .. held[n] .. ':lock')] then ids[#ids + 1] = held[n] end
  end
  isStarting = #ids == 0
end
local rate, duration = tonumber(state[3]), tonumber(state[4])
nextAt = nextDelayedAt(delayed)
if not isStarting then
  ${TRIM_EVENTS}
  trimEvents(meta, events, state[5])
elseif ARGV[7] == '1' then
  free = 0
else
  if nextAt > 0 and nextAt <= now then
    ${TRIM_EVENTS}${PRIORITIZE_JOB}${PROMOTE_DUE}
    nextAt = promoteDue({delayed = delayed, wait = wait, prioritized = prioritized, counter = counter, events = events}, base, now, function() trimEvents(meta, events, state[5]) end)
  end
  if state[1] then
    free, nextAt = 0, 0
  elseif state[2] then
    free = math.min(free, math.ceil((tonumber(state[2]) or math.huge) - redis.call('LLEN', active)))
  end
  if rate and duration and free > 0 then
    local used = tonumber(redis.call('GET', limiter)) or 0
    if used >= rate then
      limited = math.max(redis.call('PTTL', limiter), 0)
      if limited == 0 then redis.call('DEL', limiter) end
      used = limited > 0 and rate or 0
    end
    free = math.min(free, math.ceil(rate - used))
    if limited > 0 then nextAt = 0 end
  end
end

if isStarting and free > 0 then
  ids = redis.call('RPOP', wait, free) or {}
  local high = #ids < free and redis.pcall('ZPOPMIN', prioritized, free - #ids) or {}
  for n = 1, #high, 2 do
    ids[#ids + 1] = high[n]
    scores[#ids] = high[n + 1]
  end
  local pushed = #ids > 0 and not high.err and redis.pcall('LPUSH', active, unpack(ids))
  local failure = high.err or (type(pushed) == 'table' and pushed.err)
  if failure then
    for i = #ids, 1, -1 do
      if scores[i] then redis.call('ZADD', prioritized, scores[i], ids[i]) else redis.call('RPUSH', wait, ids[i]) end
    end
    error(failure)
  end
  if #ids == 0 then redis.call('DEL', counter) end
end

local total, toldName, toldOpts, isCut, lease = 0, nil, nil, false, nil
for i = 1, #ids do
  local id = ids[i]
  local key = base .. id
  local lock, starts = key .. ':lock', nil
  if lease then
    -- A copy takes its time to live along, and costs half of what it does to set one.
    if redis.call('COPY', lease, lock) == 0 then redis.call('COPY', lease, lock, 'REPLACE') end
  else
    -- With GET the answer is nothing at all, where OK would be a table.
    redis.call('SET', lock, token, 'PX', leaseMs, 'GET')
    lease = lock
  end
  ${TELL_JOB}
  if isStarting then
    redis.call('HSET', key, 'processedOn', nowText, 'pb', worker, 'ats', starts)
    redis.call('XADD', events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
  end
  if total > ${BATCH_BYTES} and isStarting and i < #ids then
    isCut = true
    -- The rest goes back to where it was; the last of them is the newest of the active.
    for n = #ids, i + 1, -1 do
      if scores[n] then
        attempt(function()
          redis.call('ZADD', prioritized, scores[n], ids[n])
          redis.call('LPOP', active)
        end, function() redis.call('ZREM', prioritized, ids[n]) end)
      else
        redis.call('LMOVE', active, wait, 'LEFT', 'RIGHT')
      end
      ids[n] = nil
    end
    break
  end
end
taken = #ids
isFull = taken > 0 and (isCut or taken == most or not isStarting)
if taken > 0 then
  if rate and duration and isStarting then
    local used = redis.call('INCRBY', limiter, taken)
    if used == taken then redis.call('PEXPIRE', limiter, math.floor(math.abs(duration))) end
    if used >= rate then limited = math.max(redis.call('PTTL', limiter), 0) end
  end
  lastFence = redis.call('INCRBY', fence, taken)
  if lastFence % ${TRIM_JOBS} < taken or not state[5] then
    ${TRIM_EVENTS}
    trimEvents(meta, events, state[5])
  end
end
`;
