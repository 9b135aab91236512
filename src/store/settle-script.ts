/**
 * The part of the turn script that settles deliveries: acknowledges, fails or gives back what this process holds.
 *
 * The script reads every lease before it writes anything, and places each job anew before it writes about it. What
 * belongs to a flow or to a deduplication id is left to BullMQ's own script (`settle-by-stock.ts`). A job that is to be
 * cancelled ends completed or cancelled: anything else is answered with the reason, and whoever settles ends it so.
 */
import { CANCELLED } from "../job/state.ts";
import { FROM_ACTIVE } from "./active-script.ts";
import { DELAY_JOB, PRIORITIZE_JOB } from "./lua.ts";
import { FAMILY, RETENTION } from "./retention-script.ts";
import { AT, WIDTH } from "./settlement.ts";
import { CANCEL_FIELD, UNKNOWN_SINCE_FIELD } from "./stored-job.ts";

/** Writes where the jobs of the rows `placed` stand now, and notes in `bounds` how many of the finished stay. */
const PLACE = `
local scored = {[completed] = {}, [failed] = {}}
for n = 1, #placed do
  local i = placed[n]
  local at = where[i]
  local id, key, known, kind, value, text = ids[i], keys[i], facts[i], rows[at + ${AT.kind}], rows[at + ${AT.value}], rows[at + ${AT.text}]
  if kind <= 2 then
    local count, age = rows[at + ${AT.first}], rows[at + ${AT.second}]
    local target, field = completed, 'returnvalue'
    if kind == 2 then target, field = failed, 'failedReason' end
    redis.call('HSET', key, field, value, 'finishedOn', nowText, 'atm', known and (tonumber(known[3]) or 0) + 1 or text)
    if kind == 2 then
      redis.call('HSET', key, 'stacktrace', text)
      redis.call('HDEL', key, 'defa', '${CANCEL_FIELD}')
    elseif known and known[6] then
      redis.call('HDEL', key, '${CANCEL_FIELD}')
    end
    local members, bound = scored[target], bounds[#bounds]
    local last = #members
    members[last + 1], members[last + 2] = nowText, id
    if not (bound and bound[1] == target and bound[2] == count and bound[3] == age) then bounds[#bounds + 1] = {target, count, age} end
  else
    local delay, priority = rows[at + ${AT.first}], tonumber(known[4]) or 0
    if delay > 0 then
      ${DELAY_JOB}
      delayJob(delayed, events, id, now + delay)
      markDelayed(marker, delayed)
      redis.call('HSET', key, 'delay', delay)
    else
      if priority == 0 then
        redis.call((kind == 4 or rows[at + ${AT.second}] == 1) and 'RPUSH' or 'LPUSH', wait, id)
      elseif kind == 3 then
        ${PRIORITIZE_JOB}
        prioritizeJob(prioritized, counter, id, priority)
      else
        redis.call('ZADD', prioritized, priority * 0x100000000, id)
      end
      redis.call('XADD', events, '*', 'event', 'waiting', 'jobId', id, 'prev', 'active')
      isGivenBack = true
    end
    if kind == 3 then
      redis.call('HSET', key, 'failedReason', value, 'stacktrace', text, 'atm', (tonumber(known[3]) or 0) + 1)
      redis.call('HDEL', key, '${UNKNOWN_SINCE_FIELD}')
    elseif rows[at + ${AT.second}] == 1 then
      redis.call('HSETNX', key, '${UNKNOWN_SINCE_FIELD}', nowText)
    end
  end
end
for target, members in pairs(scored) do
  if #members > 0 then redis.call('ZADD', target, unpack(members)) end
end
`;

/**
 * Settles what `ARGV[2]` tells: notes a code a row in `codes` if not all are done, in `hasLeft` whether any job is active no more, in `hasEnded` whether
 * one has completed or failed for good, in `isGivenBack` whether one waits again.
 * rows  id, and false if the rest is as in the row before, or token, starts, kind, and by kind
 *   1 ack      result, keep count, keep age, attempts made with this one, or "": look it up
 *   2 fail     reason, keep count, keep age, stacktrace, attempts
 *   3 retry    reason, delayMs, lifo, stacktrace
 *   4 release  "", delayMs, unknown
 * code  0 done, 1 left to the stock script, 2 refused: the lease has passed on; a text: to be cancelled, for this reason
 *
 * A lease that ran out while nobody took the job, so that it has not been started again, is still ours.
 */
export const SETTLE = `
${FROM_ACTIVE}${FAMILY}local rows = {cmsgpack.unpack(ARGV[2])}
-- By row: its job, and where the rest of it stands.
local ids, keys, locks, where, families = {}, {}, {}, {}, nil
local count, n, at = 0, 1, 0
while rows[n] do
  local id = rows[n]
  local key = base .. id
  count = count + 1
  if rows[n + 1] then
    at = n + 1
    n = at + ${WIDTH}
  else
    n = n + 2
  end
  ids[count], keys[count], locks[count], where[count] = id, key, key .. ':lock', at
  if rows[at + ${AT.kind}] == 1 and rows[at + ${AT.text}] == '' then
    families = families or {}
    for part = 1, 2 do families[#families + 1] = key .. FAMILY[part] end
  end
end
local leases = redis.call('MGET', unpack(locks))

-- What becomes of each row, which of them are ours to settle, and what was seen of jobs that have to be looked at.
local mine, ours, facts, judge = {}, 0, {}, nil
for i = 1, count do
  local at, code = where[i], nil
  if leases[i] ~= rows[at + ${AT.token}] or rows[at + ${AT.kind}] ~= 1 or rows[at + ${AT.text}] == '' then
    local anyFamily = judge == nil and families and redis.call('EXISTS', unpack(families)) > 0
    judge = judge or function(i, at, key)
      local kind, known = rows[at + ${AT.kind}], redis.call('HMGET', key, 'parentKey', 'deid', 'atm', 'priority', 'ats', '${CANCEL_FIELD}')
      local reason = known[6] ~= '' and known[6]
      local expired = not leases[i] and tonumber(known[5]) == rows[at + ${AT.starts}] and redis.call('LPOS', active, ids[i])
      if leases[i] ~= rows[at + ${AT.token}] and not expired then return 2 end
      if reason and kind > 1 and not (kind == 2 and string.sub(rows[at + ${AT.value}], 1, ${CANCELLED.length}) == '${CANCELLED}') then return reason end
      local isLinked = kind <= 2 and ((known[1] and known[1] ~= '') or known[2] or (kind == 1 and anyFamily and redis.call('EXISTS', key .. ':dependencies', key .. ':unsuccessful') > 0))
      return isLinked and 1 or nil, known
    end
    code, facts[i] = judge(i, at, keys[i])
  end
  if code then
    codes[i] = code
  else
    ours = ours + 1
    mine[ours] = i
  end
end
local heldIds = ids
if ours < count then
  heldIds = {}
  for i = 1, count do
    if codes[i] == 1 and not leases[i] then
      -- A full Redis takes it behind what needs no memory.
      redis.call('DEL', locks[i])
      redis.call('SET', locks[i], rows[where[i] + ${AT.token}], 'PX', 10000)
    end
  end
  for n, i in ipairs(mine) do heldIds[n] = ids[i] end
end
local found = #mine > 0 and activeOf(heldIds) or {gone = {}}
if next(found.gone) then
  local held = {}
  heldIds = {}
  for n, i in ipairs(mine) do
    if found.gone[n] then
      codes[i] = 2
    else
      held[#held + 1], heldIds[#heldIds + 1] = i, ids[i]
    end
  end
  mine = held
end
if #mine > 0 then
  hasLeft = true
  local dropped, last, placed, bounds = {}, 0, {}, {}
  for n = 1, #mine do
    local i = mine[n]
    local at, key = where[i], keys[i]
    last = last + 1
    dropped[last] = locks[i]
    if rows[at + ${AT.kind}] <= 2 and rows[at + ${AT.first}] == 0 then
      dropped[last + 1], dropped[last + 2] = key, key .. ':logs'
      last = last + 2
      if facts[i] then
        for n, part in ipairs(FAMILY) do dropped[last + n] = key .. part end
        last = last + #FAMILY
      end
    else
      placed[#placed + 1] = i
    end
  end
  if #placed == 0 then
    leaveActive(found)
  else
    moveFromActive(heldIds, found, function()
      ${PLACE}
    end)
  end
  redis.call('DEL', unpack(dropped))
  redis.call('SREM', stalled, unpack(heldIds))
  for n = 1, #mine do
    local i = mine[n]
    local at = where[i]
    if rows[at + ${AT.kind}] == 1 then
      redis.call('XADD', events, '*', 'event', 'completed', 'jobId', ids[i], 'returnvalue', rows[at + ${AT.value}], 'prev', 'active')
      hasEnded = true
    elseif rows[at + ${AT.kind}] == 2 then
      local made = (tonumber(facts[i][3]) or 0) + 1
      redis.call('XADD', events, '*', 'event', 'failed', 'jobId', ids[i], 'failedReason', rows[at + ${AT.value}], 'prev', 'active')
      if made >= rows[at + ${AT.limit}] then redis.call('XADD', events, '*', 'event', 'retries-exhausted', 'jobId', ids[i], 'attemptsMade', made) end
      hasEnded = true
    end
  end
  if #bounds > 0 then
    ${RETENTION}
    for _, bound in ipairs(bounds) do trim(bound[1], bound[2], bound[3]) end
  end
end
if #mine < count then
  for i = 1, count do codes[i] = codes[i] or 0 end
end
`;
