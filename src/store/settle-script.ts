/**
 * The part of the turn script that settles deliveries: acknowledges, fails or gives back what this process holds.
 *
 * The script reads every lease before it writes anything, and places each job anew before it writes about it. What
 * belongs to a flow or to a deduplication id is left to BullMQ's own script (`settle-by-stock.ts`). A job that is to be
 * cancelled ends completed or cancelled: anything else is answered with the reason, and whoever settles ends it so.
 */
import { Packr } from "msgpackr";
import { CANCELLED } from "../job/state.ts";
import { FROM_ACTIVE } from "./active-script.ts";
import type { Leased } from "./reserve-script.ts";
import { packBound, RETENTION, type Retention } from "./retention-script.ts";
import { CANCEL_FIELD, UNKNOWN_SINCE_FIELD, type StoredJob } from "./stored-job.ts";

/** What is to become of a delivery. */
export type Settlement = { readonly leased: Leased } & (
  /** `isUnsure`: it may be to be cancelled, and the request goes with it; or its processor may have given it children. */
  | { readonly kind: "ack"; readonly result: string; readonly keep: Retention; readonly isUnsure?: boolean }
  /** For good: the job becomes a dead letter. */
  | { readonly kind: "fail"; readonly reason: string; readonly stack: readonly string[]; readonly attempts: number; readonly keep: Retention }
  | { readonly kind: "retry"; readonly reason: string; readonly stack: readonly string[]; readonly delayMs: number }
  /** Given back, no attempt spent. `unknown` notes since when nobody knew its name or version; `limitedForMs`: so long the queue is rate limited. */
  | { readonly kind: "release"; readonly delayMs: number; readonly unknown?: boolean; readonly limitedForMs?: number }
);

/** What the script says of a settlement. */
export const SETTLE_CODES = Object.freeze({ done: 0, leftToStock: 1, refused: 2 });

export type SettleCode = number | string;

/** What the script takes of the settlements: one flat list, since each list within a list costs Redis as much as three values. */
export function packSettlements(settlements: readonly Settlement[]): Buffer {
  return packr.pack(settlements.flatMap(rowOf));
}

const packr = new Packr({ useRecords: false });

/** Where a settlement's values stand in its part of the list; some have another meaning by kind. */
const AT = Object.freeze({ id: 1, token: 2, starts: 3, kind: 4, value: 5, first: 6, second: 7, text: 8, limit: 9 });
const WIDTH = 9;

function rowOf(settlement: Settlement): unknown[] {
  const { job, token } = settlement.leased;
  const { id, starts } = job;
  switch (settlement.kind) {
    case "ack": {
      const made = standsAlone(job) && settlement.isUnsure !== true ? String(job.attemptsMade + 1) : "";
      return [id, token, starts, 1, settlement.result, packBound(settlement.keep.count), packBound(settlement.keep.ageMs), made, 0];
    }
    case "fail":
      return [id, token, starts, 2, settlement.reason, packBound(settlement.keep.count), packBound(settlement.keep.ageMs), JSON.stringify(settlement.stack), settlement.attempts];
    case "retry":
      return [id, token, starts, 3, settlement.reason, settlement.delayMs, job.options.lifo === true ? 1 : 0, JSON.stringify(settlement.stack), 0];
    case "release":
      return [id, token, starts, 4, "", settlement.delayMs, settlement.unknown === true ? 1 : 0, "", 0];
  }
}

/**
 * Whether what the reservation showed of a job still tells that it waits for nobody, and nobody for it: it was put by us,
 * under no parent and no deduplication id. Others a flow may have made its own since.
 */
function standsAlone({ version, isLinked }: StoredJob): boolean {
  return version !== undefined && !isLinked;
}

/**
 * `settle(rows)`: a code a row.
 * rows  id, token, starts, kind, and by kind
 *   1 ack      result, keep count, keep age, attempts made with this one, or "": look it up
 *   2 fail     reason, keep count, keep age, stacktrace, attempts
 *   3 retry    reason, delayMs, lifo, stacktrace
 *   4 release  "", delayMs, unknown
 * code  0 done, 1 left to the stock script, 2 refused: the lease has passed on; a text: to be cancelled, for this reason
 *
 * A lease that ran out while nobody took the job, so that it has not been started again, is still ours.
 */
export const SETTLE = `
${RETENTION}${FROM_ACTIVE}
local function settle(rows)
  local codes, facts, keys, locks, families = {}, {}, {}, {}, {}
  for i = 1, #rows / ${WIDTH} do
    local at = (i - 1) * ${WIDTH}
    local key = base .. rows[at + ${AT.id}]
    keys[i], locks[i] = key, key .. ':lock'
    if rows[at + ${AT.kind}] == 1 and rows[at + ${AT.text}] == '' then for n = 1, 2 do families[#families + 1] = key .. FAMILY[n] end end
  end
  local leases = redis.call('MGET', unpack(locks))
  local anyFamily = #families > 0 and redis.call('EXISTS', unpack(families)) > 0

  -- What became of a row whose job has to be looked at, what was seen of it, and whether its lease had run out.
  local function judge(i, at)
    local key, kind = keys[i], rows[at + ${AT.kind}]
    local known = redis.call('HMGET', key, 'parentKey', 'deid', 'atm', 'priority', 'ats', '${CANCEL_FIELD}')
    local reason = known[6] ~= '' and known[6]
    local expired = not leases[i] and tonumber(known[5]) == rows[at + ${AT.starts}] and redis.call('LPOS', active, rows[at + ${AT.id}])
    if leases[i] ~= rows[at + ${AT.token}] and not expired then return 2 end
    if reason and kind > 1 and not (kind == 2 and string.sub(rows[at + ${AT.value}], 1, ${CANCELLED.length}) == '${CANCELLED}') then return reason end
    local isLinked = kind <= 2 and ((known[1] and known[1] ~= '') or known[2] or (kind == 1 and anyFamily and redis.call('EXISTS', key .. ':dependencies', key .. ':unsuccessful') > 0))
    return isLinked and 1 or 0, known, expired
  end

  local mine, ids, retaken = {}, {}, {}
  for i = 1, #locks do
    local at = (i - 1) * ${WIDTH}
    local code, expired = 0, false
    if leases[i] ~= rows[at + ${AT.token}] or rows[at + ${AT.kind}] ~= 1 or rows[at + ${AT.text}] == '' then code, facts[i], expired = judge(i, at) end
    codes[i] = code
    if code == 0 then
      mine[#mine + 1], ids[#ids + 1] = i, rows[at + ${AT.id}]
    elseif code == 1 and expired then
      retaken[#retaken + 1] = i
    end
  end
  for _, i in ipairs(retaken) do redis.call('SET', locks[i], rows[(i - 1) * ${WIDTH} + ${AT.token}], 'PX', 10000) end
  if #mine == 0 then return codes end
  local found = activeOf(ids)
  if next(found.gone) then
    local held, heldIds = {}, {}
    for n, i in ipairs(mine) do
      if found.gone[n] then
        codes[i] = 2
      else
        held[#held + 1], heldIds[#heldIds + 1] = i, ids[n]
      end
    end
    mine, ids = held, heldIds
  end
  if #mine == 0 then return codes end
  trimEvents(meta, events, state[5])

  local scored, bounds, dropped = {[completed] = {}, [failed] = {}}, {}, {}
  local function finish(i, at)
    local key, known, failing, count, age = keys[i], facts[i], rows[at + ${AT.kind}] == 2, rows[at + ${AT.first}], rows[at + ${AT.second}]
    dropped[#dropped + 1] = locks[i]
    if count == 0 then
      dropped[#dropped + 1] = key
      dropped[#dropped + 1] = key .. ':logs'
      if known then for _, part in ipairs(FAMILY) do dropped[#dropped + 1] = key .. part end end
      return
    end
    local target, field = failing and failed or completed, failing and 'failedReason' or 'returnvalue'
    redis.call('HSET', key, field, rows[at + ${AT.value}], 'finishedOn', nowText, 'atm', known and (tonumber(known[3]) or 0) + 1 or rows[at + ${AT.text}])
    if failing then
      redis.call('HSET', key, 'stacktrace', rows[at + ${AT.text}])
      redis.call('HDEL', key, 'defa', '${CANCEL_FIELD}')
    elseif known and known[6] then
      redis.call('HDEL', key, '${CANCEL_FIELD}')
    end
    local members = scored[target]
    members[#members + 1] = nowText
    members[#members + 1] = rows[at + ${AT.id}]
    local bound = bounds[#bounds]
    if not (bound and bound[1] == target and bound[2] == count and bound[3] == age) then bounds[#bounds + 1] = {target, count, age} end
  end
  local ready = false
  local function giveBack(i, at)
    local key, known, id, retrying, delay = keys[i], facts[i], rows[at + ${AT.id}], rows[at + ${AT.kind}] == 3, rows[at + ${AT.first}]
    local priority = tonumber(known[4]) or 0
    dropped[#dropped + 1] = locks[i]
    if delay > 0 then
      delayJob(delayed, events, id, now + delay)
      markDelayed(marker, delayed)
      redis.call('HSET', key, 'delay', delay)
    else
      if priority == 0 then
        redis.call((not retrying or rows[at + ${AT.second}] == 1) and 'RPUSH' or 'LPUSH', wait, id)
      elseif retrying then
        prioritizeJob(prioritized, counter, id, priority)
      else
        redis.call('ZADD', prioritized, priority * 0x100000000, id)
      end
      redis.call('XADD', events, '*', 'event', 'waiting', 'jobId', id, 'prev', 'active')
      ready = true
    end
    if retrying then
      redis.call('HSET', key, 'failedReason', rows[at + ${AT.value}], 'stacktrace', rows[at + ${AT.text}], 'atm', (tonumber(known[3]) or 0) + 1)
      redis.call('HDEL', key, '${UNKNOWN_SINCE_FIELD}')
    elseif rows[at + ${AT.second}] == 1 then
      redis.call('HSETNX', key, '${UNKNOWN_SINCE_FIELD}', nowText)
    end
  end
  moveFromActive(ids, found, function()
    for _, i in ipairs(mine) do
      local at = (i - 1) * ${WIDTH}
      if rows[at + ${AT.kind}] <= 2 then finish(i, at) else giveBack(i, at) end
    end
    for target, members in pairs(scored) do
      if #members > 0 then redis.call('ZADD', target, unpack(members)) end
    end
  end)
  redis.call('DEL', unpack(dropped))
  redis.call('SREM', stalled, unpack(ids))
  local ended = false
  for n, i in ipairs(mine) do
    local id, at = ids[n], (i - 1) * ${WIDTH}
    if rows[at + ${AT.kind}] == 1 then
      redis.call('XADD', events, '*', 'event', 'completed', 'jobId', id, 'returnvalue', rows[at + ${AT.value}], 'prev', 'active')
      ended = true
    elseif rows[at + ${AT.kind}] == 2 then
      local made = (tonumber(facts[i][3]) or 0) + 1
      redis.call('XADD', events, '*', 'event', 'failed', 'jobId', id, 'failedReason', rows[at + ${AT.value}], 'prev', 'active')
      if made >= rows[at + ${AT.limit}] then redis.call('XADD', events, '*', 'event', 'retries-exhausted', 'jobId', id, 'attemptsMade', made) end
      ended = true
    end
  end
  for _, bound in ipairs(bounds) do trim(bound[1], bound[2], bound[3]) end

  -- A capped queue has room again, and what was given back waits: whoever sleeps is woken.
  local anyWaiting = redis.call('LLEN', wait) > 0 or redis.call('ZCARD', prioritized) > 0
  if not state[1] and (ready or (state[2] and anyWaiting)) then redis.call('ZADD', marker, '0', '0') end
  if ended and not anyWaiting and redis.call('LLEN', active) == 0 then redis.call('XADD', events, '*', 'event', 'drained') end
  return codes
end
`;
