/** The pieces of Lua that several scripts of the store share. They follow what BullMQ's scripts write, key by key. */

/** `now`: the server's clock, in milliseconds. `nowText` is what to write: Redis takes its time over a number of Lua's. */
export const NOW = `
local time = redis.call('TIME')
local nowText = time[1] .. (#time[2] == 6 and string.sub(time[2], 1, 3) or string.format('%03d', math.floor(time[2] / 1000)))
local now = tonumber(nowText)
`;

/**
 * `attempt(work, undo)`: Redis does not undo what a script wrote before it failed. Should `work` fail, `undo` does, and the
 * script fails all the same: a job stands in one place, and whoever runs the script again finds it there.
 */
export const ATTEMPT = `
local function attempt(work, undo)
  local ok, failure = pcall(work)
  if ok then return failure end
  undo()
  error(failure)
end
`;

/**
 * Trims the event stream once a script, before anything is added to it. `max`: `opts.maxLenEvents` of the queue's meta.
 *
 * A full Redis refuses a script's first write where it needs memory, and no later one. Trimming needs none: what begins
 * with it goes on, so that consumers drain a Redis that takes nothing new.
 */
export const TRIM_EVENTS = `
local trimmed = false
local function trimEvents(metaKey, eventsKey, max)
  if trimmed then return end
  trimmed = true
  redis.call('XTRIM', eventsKey, 'MAXLEN', '~', max or '10000')
  if not max then redis.call('HSET', metaKey, 'opts.maxLenEvents', '10000') end
end
`;

/** `nextDelayedAt(key)`: when the first of `delayed` is due, 0 for none. Whatever a stock producer made of a delay: an instant before 1970 is not none, nor is "never" beyond what a reply can say. */
export const NEXT_DELAYED = `
local function nextDelayedAt(delayedKey)
  local next = redis.call('ZRANGE', delayedKey, '0', '0', 'WITHSCORES')
  return next[2] and math.min(math.max(math.floor(next[2] / 0x1000), 1), 2^53) or 0
end
`;

/**
 * Places a job in `delayed`. Needs `NEXT_DELAYED`. Score: 12 bits of order below the milliseconds, as in BullMQ, so that jobs of one
 * millisecond keep their order.
 */
export const DELAY_JOB = `
local function delayJob(delayedKey, eventsKey, id, dueAt)
  local first = dueAt * 0x1000
  local last = first + 0xfff
  local score = first
  local taken = redis.call('ZRANGE', delayedKey, last, first, 'BYSCORE', 'REV', 'LIMIT', 0, 1, 'WITHSCORES')
  if taken[2] then score = math.min(tonumber(taken[2]) + 1, last) end
  redis.call('ZADD', delayedKey, score, id)
  redis.call('XADD', eventsKey, '*', 'event', 'delayed', 'jobId', id, 'delay', dueAt)
end
local function markDelayed(markerKey, delayedKey)
  local at = nextDelayedAt(delayedKey)
  if at > 0 then redis.call('ZADD', markerKey, at, '1') end
end
`;

/** Places a job in `prioritized`: by priority, then in the order put. */
export const PRIORITIZE_JOB = `
local function prioritizeJob(prioritizedKey, counterKey, id, priority)
  local order = redis.call('INCR', counterKey)
  redis.call('ZADD', prioritizedKey, priority * 0x100000000 + order % 0x100000000, id)
end
`;

/**
 * `promoteDue(…)` moves what is due from `delayed` to where it waits, at most 1000 a call; it returns when the next one is due, 0 for none.
 * `open()` comes before the first write. Needs `ATTEMPT`, `NEXT_DELAYED` and `PRIORITIZE_JOB`.
 */
export const PROMOTE_DUE = `
local function promoteDue(keys, base, now, open)
  local nextAt = nextDelayedAt(keys.delayed)
  if nextAt == 0 or nextAt > now then return nextAt end
  local due = redis.call('ZRANGE', keys.delayed, '-inf', (now + 1) * 0x1000 - 1, 'BYSCORE', 'LIMIT', '0', '1000')
  open()
  local priorities = {}
  for i, id in ipairs(due) do priorities[i] = tonumber(redis.call('HGET', base .. id, 'priority')) or 0 end
  for i, id in ipairs(due) do
    if priorities[i] == 0 then
      redis.call('LPUSH', keys.wait, id)
    else
      prioritizeJob(keys.prioritized, keys.counter, id, priorities[i])
    end
    attempt(function() redis.call('ZREM', keys.delayed, id) end, function()
      if priorities[i] == 0 then redis.call('LPOP', keys.wait) else redis.call('ZREM', keys.prioritized, id) end
    end)
    redis.call('XADD', keys.events, '*', 'event', 'waiting', 'jobId', id, 'prev', 'delayed')
    redis.call('HSET', base .. id, 'delay', 0)
  end
  return nextDelayedAt(keys.delayed)
end
`;
