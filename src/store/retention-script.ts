/** The part of the turn script that lets finished jobs go, by number and by age. */

import { FAMILY_PARTS } from "./job-parts.ts";

/** How many finished jobs stay, and for how long; `undefined` is no bound of that kind. `count: 0` keeps none. */
export interface Retention {
  readonly count?: number | undefined;
  readonly ageMs?: number | undefined;
}

/** What the script takes of a count or an age; -1 is no bound. What a stock producer stored as one may be anything, and must not stop the script half-way. */
export function packBound(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? Math.floor(value) : -1;
}

/** What a job has beside its hash and its logs, if a flow has to do with it. */
export const FAMILY = `
local FAMILY = {${FAMILY_PARTS.map((part) => `':${part}'`).join(", ")}}
`;

/** `drop(keys)` and `trim(target, count, age)`, where `target` is the set of the completed or of the failed. Needs `FAMILY` and `ATTEMPT`. */
export const RETENTION = `
-- Deletes jobs with all that belongs to them; unpack ends near 8,000.
local function drop(keys)
  for from = 1, #keys, 1000 do
    local all, last = {}, 0
    for i = from, math.min(from + 999, #keys) do
      local key = keys[i]
      all[last + 1], all[last + 2] = key, key .. ':logs'
      for n, part in ipairs(FAMILY) do all[last + 2 + n] = key .. part end
      last = last + 2 + #FAMILY
    end
    redis.call('DEL', unpack(all))
  end
end
-- A failed child whose parent was not told to mind may be the last that its parent waits for.
local function releaseParent(key)
  local parent = redis.call('HGET', key, 'parentKey')
  if not parent or redis.call('SISMEMBER', parent .. ':dependencies', key) == 0 then return end
  local parentBase, id = string.match(parent, '^(.*:)([^:]*)$')
  local goes = redis.call('SCARD', parent .. ':dependencies') == 1 and redis.call('ZSCORE', parentBase .. 'waiting-children', id)
  if goes then
    redis.call('RPUSH', parentBase .. 'wait', id)
    attempt(function() redis.call('ZREM', parentBase .. 'waiting-children', id) end, function() redis.call('RPOP', parentBase .. 'wait') end)
  end
  redis.call('SREM', parent .. ':dependencies', key)
  if not goes then return end
  redis.call('XADD', parentBase .. 'events', '*', 'event', 'waiting', 'jobId', id, 'prev', 'waiting-children')
  local state = redis.call('HMGET', parentBase .. 'meta', 'paused', 'concurrency')
  local cap = tonumber(state[2])
  if not state[1] and not (cap and redis.call('LLEN', parentBase .. 'active') >= cap) then redis.call('ZADD', parentBase .. 'marker', 0, '0') end
end
local function trim(target, count, age)
  local function remove(ids)
    if #ids == 0 then return end
    local keys = {}
    for i, id in ipairs(ids) do
      keys[i] = base .. id
      if target == failed then releaseParent(keys[i]) end
    end
    -- Who goes last from the set is found there again, should this break off.
    drop(keys)
    redis.call('ZREM', target, unpack(ids))
  end
  if age >= 0 then remove(redis.call('ZRANGE', target, '-inf', now - age, 'BYSCORE', 'LIMIT', 0, 1000)) end
  if count >= 0 then
    local over = math.min(redis.call('ZCARD', target) - count, 1000)
    if over > 0 then remove(redis.call('ZRANGE', target, 0, over - 1)) end
  end
end
`;
