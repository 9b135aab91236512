/** The part of the stock turn script that gives out jobs: what BullMQ's `moveToActive` does. */

/** A Worker asks for a job. */
export interface Fetch {
  readonly token: string;
  readonly target: "active";
  readonly at: number;
}

export function packFetch({ token, at }: Fetch): unknown[] {
  return [token, String(at)];
}

/** `take(most)` gives jobs to `askers`, {token, at} each, and notes them in `jobs`; `limitedFor()` and `isHeld()` say why it may not. */
export const TAKE = `
local cap, duration = tonumber(state[2]), tonumber(ARGV[7]) or tonumber(state[4])
local rate = duration and tonumber(state[3] or ARGV[6])
local function limitedFor()
  if not rate or rate > (tonumber(redis.call('GET', limiter)) or 0) then return 0 end
  local ttl = redis.call('PTTL', limiter)
  if ttl == 0 then redis.call('DEL', limiter) end
  return math.max(ttl, 0)
end
local function isHeld() return state[1] or (cap and redis.call('LLEN', active) >= cap) end

-- The next jobs, as many as there are.
local function nextIds(most)
  local ids = {}
  local waiting = redis.call('LRANGE', wait, -most, -1)
  for i = #waiting, 1, -1 do
    -- Once BullMQ's marker.
    if string.sub(waiting[i], 1, 2) == '0:' then
      open()
      redis.call('LREM', wait, 0, waiting[i])
      return nextIds(most)
    end
    ids[#ids + 1] = waiting[i]
  end
  local high = #ids < most and redis.call('ZRANGE', prioritized, 0, most - #ids - 1) or {}
  for _, id in ipairs(high) do ids[#ids + 1] = id end
  return ids, #waiting, high
end

local jobs = {}
local function take(most)
  local ids, fromWait, high = nextIds(most)
  if #ids == 0 then
    redis.call('DEL', counter)
    return 0
  end
  open()
  redis.call('LPUSH', active, unpack(ids))
  local trimmedTo = 0
  attempt(function()
    if fromWait > 0 then redis.call('LTRIM', wait, 0, -fromWait - 1) end
    trimmedTo = fromWait
    if #high > 0 then redis.call('ZREM', prioritized, unpack(high)) end
  end, function()
    redis.call('LTRIM', active, #ids, -1)
    for i = trimmedTo, 1, -1 do redis.call('RPUSH', wait, ids[i]) end
  end)
  for _, id in ipairs(ids) do
    local key, asker = base .. id, askers[#jobs + 1]
    redis.call('SET', key .. ':lock', asker[1], 'PX', lockMs)
    local hash = redis.call('HGETALL', key)
    local starts, deferred = 1, false
    for i = 1, #hash, 2 do
      if hash[i] == 'ats' then starts = (tonumber(hash[i + 1]) or 0) + 1 elseif hash[i] == 'defa' then deferred = true end
    end
    local changed = {'processedOn', asker[2], 'ats', tostring(starts)}
    if worker ~= '' then
      changed[5] = 'pb'
      changed[6] = worker
    end
    redis.call('HSET', key, unpack(changed))
    redis.call('XADD', events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
    for i = 1, #changed do hash[#hash + 1] = changed[i] end
    jobs[#jobs + 1] = {id, hash}
    if rate and not deferred and redis.call('INCR', limiter) == 1 then redis.call('PEXPIRE', limiter, math.floor(math.abs(duration))) end
  end
  return #ids
end
`;
