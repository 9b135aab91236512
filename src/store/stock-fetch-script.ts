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
local mark = worker == '' and {} or {'pb', worker}
-- What a job has that was put without anything special and starts for the first time.
local plain = {'name', 'data', 'opts', 'timestamp', 'delay', 'priority', 'processedOn', 'ats', mark[1]}
local function tell(id, theirs, values)
  local isSame, n = theirs == names, #told
  if not isSame and #theirs == #names then
    isSame = true
    for i, name in ipairs(names) do isSame = isSame and theirs[i] == name end
  end
  told[n + 1], told[n + 2] = id, false
  n = n + 2
  if not isSame then
    names = theirs
    told[n] = #names
    for i, name in ipairs(names) do told[n + i] = name end
    n = n + #names
  end
  for i = 1, #names do told[n + i] = values[i] end
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
    local theirs, starts, deferred = plain, 1, false
    -- Most are plain: to ask for their values is cheaper than for fields and values.
    local values = redis.call('HLEN', key) == 6 and redis.call('HMGET', key, unpack(plain, 1, 6))
    if not (values and values[1] and values[2] and values[3] and values[4] and values[5] and values[6]) then
      local hash = redis.call('HGETALL', key)
      theirs, values = {}, {}
      for i = 1, #hash, 2 do
        theirs[#theirs + 1], values[#values + 1] = hash[i], hash[i + 1]
        if hash[i] == 'ats' then starts = (tonumber(hash[i + 1]) or 0) + 1 elseif hash[i] == 'defa' then deferred = true end
      end
      for i = 7, #plain do theirs[#theirs + 1] = plain[i] end
    end
    local n, startsText = #values, starts == 1 and '1' or tostring(starts)
    values[n + 1], values[n + 2], values[n + 3] = at, startsText, mark[2]
    redis.call('HSET', key, 'processedOn', at, 'ats', startsText, unpack(mark))
    redis.call('XADD', events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
    taken = taken + 1
    tell(id, theirs, values)
    if rate and not deferred and redis.call('INCR', limiter) == 1 then redis.call('PEXPIRE', limiter, math.floor(math.abs(duration))) end
  end
  return #ids
end
`;
