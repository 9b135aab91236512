/** The part of the stock turn script that gives out jobs: what BullMQ's `moveToActive` does. */

/** A Worker asks for a job. */
export interface Fetch {
  readonly token: string;
  readonly target: "active";
  readonly at: number;
}

export function fetchValues({ token, at }: Fetch): unknown[] {
  return [token, String(at)];
}

/** What BullMQ's script answers of a job: its fields and values, one behind the other. */
export type TakenJob = readonly [id: string, hash: readonly string[]];

/** Reads what `take` has noted in `told`. */
export function readTaken(told: readonly (string | number | false)[]): TakenJob[] {
  const jobs: TakenJob[] = [];
  let names: readonly string[] = [];
  for (let at = 0; at < told.length; at += names.length) {
    const id = told[at] as string;
    const named = told[at + 1] as number | false;
    at += 2;
    if (named !== false) {
      names = told.slice(at, at + named) as string[];
      at += named;
    }
    const hash: string[] = [];
    for (let n = 0; n < names.length; n += 1) hash.push(names[n]!, told[at + n] as string);
    jobs.push([id, hash]);
  }
  return jobs;
}

/**
 * `take(most)` gives jobs to `askers`, token and instant each, counts them in `taken` and notes of each in `told` its id, how many fields it has and their
 * names, or `false` where these are those of the job before, and the values. `limitedFor()` and `isHeld()` say why it may not.
 */
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

local taken, told, names = 0, {}, {}
local function tell(id, hash)
  local isSame, n = #hash == 2 * #names, #told
  if isSame then
    for i, name in ipairs(names) do
      if hash[2 * i - 1] ~= name then
        isSame = false
        break
      end
    end
  end
  told[n + 1], told[n + 2] = id, false
  n = n + 2
  if not isSame then
    names = {}
    for i = 1, #hash / 2 do names[i] = hash[2 * i - 1] end
    told[n] = #names
    for i, name in ipairs(names) do told[n + i] = name end
    n = n + #names
  end
  for i = 1, #names do told[n + i] = hash[2 * i] end
end
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
    local key, token, at = base .. id, askers[2 * taken + 1], askers[2 * taken + 2]
    -- With GET the answer is nothing at all, where OK would be a table.
    redis.call('SET', key .. ':lock', token, 'PX', lockMs, 'GET')
    local hash = redis.call('HGETALL', key)
    local starts, deferred, n = 1, false, #hash
    for i = 1, n, 2 do
      if hash[i] == 'ats' then starts = (tonumber(hash[i + 1]) or 0) + 1 elseif hash[i] == 'defa' then deferred = true end
    end
    hash[n + 1], hash[n + 2], hash[n + 3], hash[n + 4] = 'processedOn', at, 'ats', starts == 1 and '1' or tostring(starts)
    if worker ~= '' then hash[n + 5], hash[n + 6] = 'pb', worker end
    redis.call('HSET', key, unpack(hash, n + 1))
    redis.call('XADD', events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
    taken = taken + 1
    tell(id, hash)
    if rate and not deferred and redis.call('INCR', limiter) == 1 then redis.call('PEXPIRE', limiter, math.floor(math.abs(duration))) end
  end
  return #ids
end
`;
