/** The script that puts jobs into a queue: numbered, so that it may be sent twice; all of a batch or nothing. */
import { packValues, runScript, type Script } from "../redis/script.ts";
import { producerKey } from "./keys.ts";
import { ATTEMPT, DELAY_JOB, NEXT_DELAYED, NOW, PRIORITIZE_JOB, TRIM_EVENTS } from "./lua.ts";
import { REMEMBERED_MS } from "./put-numbers.ts";
import { DEADLINE_FIELD, EXPIRE_FIELD, TIMEOUT_FIELD } from "./stored-job.ts";
import type { StoredQueue } from "./stored-queue.ts";

/** One job to put. Its payload and options are JSON already; options in BullMQ's stored form, with the contract's version as `mv`. */
export interface NewJob {
  readonly id: string;
  readonly name: string;
  readonly data: string;
  readonly options: string;
  /** Milliseconds from the server's now; 0 is at once. */
  readonly delayMs: number;
  /** Instant it is due, instead of `delayMs`; 0 is none. */
  readonly runAtMs: number;
  /** 1 is first, 0 is none. */
  readonly priority: number;
  readonly lifo: boolean;
  /** Limit of one attempt, 0 is none. */
  readonly timeoutMs: number;
  /** Limit of the whole, from now, 0 is none. */
  readonly deadlineMs: number;
  /** Instant before which it must have started, 0 is none. */
  readonly expireAtMs: number;
}

export type PutReply =
  /** Acknowledged. `existing`: positions of jobs whose id was there already; those were left alone. */
  | { readonly state: "put"; readonly existing: ReadonlySet<number> }
  /** The queue is bounded and has room for `room` jobs only: nothing was written. */
  | { readonly state: "full"; readonly room: number };

/**
 * @param number  the batch's own number, the lowest one this producer still has open, and those whose answers it has heard
 * @param maxSize  most jobs that may wait in the queue; 0 is no bound
 */
export async function putJobs(
  queue: Pick<StoredQueue, "client" | "keys">,
  producerId: string,
  number: { readonly own: number; readonly lowestOpen: number; readonly heard?: readonly number[] },
  maxSize: number,
  jobs: readonly NewJob[],
): Promise<PutReply> {
  const { client, keys } = queue;
  const reply = (await runScript(
    client,
    PUT,
    [keys.wait, keys.active, keys.prioritized, keys.delayed, keys.events, keys.meta, keys.marker, keys.priorityCounter, producerKey(keys, producerId)],
    [keys.base, number.own, packJobs([number.own, number.lowestOpen, maxSize, jobs.length], jobs), ...(number.heard ?? [])],
  )) as number[];
  if (reply[0] === 1) return { state: "full", room: reply[1] ?? 0 };
  return { state: "put", existing: new Set(reply.slice(1).map((position) => position - 1)) };
}

/** Of each job its id and payload, and the rest, or `false` where that is the same as of the one before: most jobs of a batch are of one contract. */
function packJobs(head: readonly number[], jobs: readonly NewJob[]): Buffer {
  const values: unknown[] = [...head];
  let last: readonly unknown[] = [];
  for (const job of jobs) {
    const rest = [job.name, job.options, job.delayMs, job.runAtMs, job.priority, job.lifo ? 1 : 0, job.timeoutMs, job.deadlineMs, job.expireAtMs];
    if (rest.every((value, n) => value === last[n])) values.push(job.id, job.data, false);
    else values.push(job.id, job.data, ...rest);
    last = rest;
  }
  return packValues(values);
}

/** One put in so many trims the event stream. */
export const TRIM_EVERY = 8;
/** Values before the first job's, and of the rest of a job, in what the script takes. */
const HEAD = 4;
const REST = 9;

/**
 * KEYS  wait, active, prioritized, delayed, events, meta, marker, priority counter, producer
 * ARGV  base, number, values as `packJobs` packs them: number, lowest open number, maxSize, how many jobs, and then of each
 *       id, data, and false or name, options, delayMs, runAtMs, priority, lifo, timeoutMs, deadlineMs, expireAtMs; number whose answer was heard…
 * reply {0, positions that existed…} put; {1, room} full, nothing written
 *
 * The producer's hash: `n` is the highest number seen; a field `<number>` is empty while that number has not come, and
 * holds its answer where that was more than "put", so that a repeat gets the answer that was lost, until it was heard.
 * From `r` on the next call renews its life, and forgets what stands below the lowest open number: nobody asks again.
 *
 * A full Redis refuses the first write. Should anything fail later, a key of another type for one, the jobs are taken back. The number has come with the last write. A repeat writes as well: see
 * `replicated-put.ts`.
 */
const PUT: Script = {
  name: "put",
  lua: `
local wait, active, prioritized, delayed, events, meta, marker, counter, producer = unpack(KEYS)
local base = ARGV[1]
local rows = {cmsgpack.unpack(ARGV[3])}
local number, lowest, maxSize, count = unpack(rows, 1, 4)
${NOW}${ATTEMPT}
local seen = redis.call('HMGET', producer, 'n', 'r', ARGV[2])
local highest, renewAt, kept = tonumber(seen[1]) or (lowest - 1), tonumber(seen[2]) or 0, seen[3]
if number <= highest and kept ~= '' then
  redis.call('PEXPIRE', producer, ${2 * REMEMBERED_MS})
  return kept and cmsgpack.unpack(kept) or {0}
end

local state = redis.call('HMGET', meta, 'paused', 'concurrency', 'opts.maxLenEvents')
local capped = state[2] and redis.call('LLEN', active) >= (tonumber(state[2]) or math.huge)
local room = maxSize > 0 and maxSize - redis.call('LLEN', wait) - redis.call('ZCARD', prioritized) - redis.call('ZCARD', delayed)
local isFull = room and room < count
local answer = isFull and {1, math.max(room, 0)} or {0}
local waiting, written, last, isPushed = {}, {}, 0, false

local function put()
  local anyDelayed, anyReady = false, false
  local at = ${HEAD} + 1
  local name, options, delay, runAt, priority, lifo, timeout, deadline, expireAt, delayText, priorityText
  for i = 1, count do
    local id, data = rows[at], rows[at + 1]
    local key = base .. id
    if rows[at + 2] then
      name, options, delay, runAt, priority, lifo, timeout, deadline, expireAt = unpack(rows, at + 2, at + ${REST} + 1)
      if runAt > 0 then delay = math.max(runAt - now, 0) end
      -- Redis takes its time over a number of Lua's, and most of these are none.
      delayText, priorityText = delay == 0 and '0' or string.format('%.0f', delay), priority == 0 and '0' or string.format('%.0f', priority)
      at = at + 2 + ${REST}
    else
      at = at + 3
    end
    if redis.call('EXISTS', key) == 1 then
      redis.call('XADD', events, '*', 'event', 'duplicated', 'jobId', id)
      answer[#answer + 1] = i
    else
      written[#written + 1] = id
      redis.call('HSET', key, 'name', name, 'data', data, 'opts', options, 'timestamp', nowText, 'delay', delayText, 'priority', priorityText)
      if timeout > 0 then redis.call('HSET', key, '${TIMEOUT_FIELD}', timeout) end
      if deadline > 0 then redis.call('HSET', key, '${DEADLINE_FIELD}', deadline) end
      if expireAt > 0 then redis.call('HSET', key, '${EXPIRE_FIELD}', expireAt) end
      redis.call('XADD', events, '*', 'event', 'added', 'jobId', id, 'name', name)
      if delay > 0 then
        ${NEXT_DELAYED}${DELAY_JOB}
        delayJob(delayed, events, id, now + delay)
        anyDelayed = true
      else
        if priority > 0 then
          ${PRIORITIZE_JOB}
          prioritizeJob(prioritized, counter, id, priority)
        elseif lifo == 1 then
          redis.call('RPUSH', wait, id)
          last = last + 1
        else
          waiting[#waiting + 1] = id
        end
        redis.call('XADD', events, '*', 'event', 'waiting', 'jobId', id)
        anyReady = true
      end
    end
  end
  if #waiting > 0 then
    redis.call('LPUSH', wait, unpack(waiting))
    isPushed = true
  end
  if anyDelayed then
    ${NEXT_DELAYED}${DELAY_JOB}
    markDelayed(marker, delayed)
  end
  if anyReady and not state[1] and not capped then redis.call('ZADD', marker, '0', '0') end
  -- Not before: a full Redis that has let anything go takes what follows.
  if number % ${TRIM_EVERY} == 0 or not state[3] then
    ${TRIM_EVENTS}
    trimEvents(meta, events, state[3])
  end
end
local function note()
  for missing = math.max(highest + 1, lowest), number - 1 do redis.call('HSET', producer, missing, '') end
  for i = 4, #ARGV do redis.call('HDEL', producer, ARGV[i]) end
  if now >= renewAt then
    redis.call('HSET', producer, 'r', now + ${REMEMBERED_MS})
    redis.call('PEXPIRE', producer, ${2 * REMEMBERED_MS})
    for _, field in ipairs(redis.call('HKEYS', producer)) do
      if (tonumber(field) or lowest) < lowest then redis.call('HDEL', producer, field) end
    end
  end
  local isNewest = number > highest
  if #answer > 1 then
    local packed = cmsgpack.pack(answer)
    if isNewest then redis.call('HSET', producer, number, packed, 'n', ARGV[2]) else redis.call('HSET', producer, number, packed) end
  else
    if kept then redis.call('HDEL', producer, number) end
    if isNewest then redis.call('HSET', producer, 'n', ARGV[2]) end
  end
end
attempt(function()
  if not isFull then put() end
  note()
end, function()
  -- Each for itself: where a key is of another type, there is nothing to be taken out of it.
  if isPushed then redis.pcall('LTRIM', wait, #waiting, -1) end
  if last > 0 then redis.pcall('LTRIM', wait, 0, -last - 1) end
  for _, id in ipairs(written) do
    redis.pcall('ZREM', delayed, id)
    redis.pcall('ZREM', prioritized, id)
    redis.pcall('DEL', base .. id)
  end
end)
return answer
`,
};
