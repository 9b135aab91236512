/**
 * The part of the turn script that settles deliveries: acknowledges, fails or gives back what this process holds.
 *
 * The script reads every lease before it writes anything, and places each job anew before it writes about it. What
 * belongs to a flow or to a deduplication id is left to BullMQ's own script (`settle-by-stock.ts`). A job that is to be
 * cancelled ends completed or cancelled: anything else is answered with the reason, and whoever settles ends it so.
 */
import { Packr } from "msgpackr";
import { CANCELLED } from "../job/state.ts";
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

/** What the script takes of the settlements. */
export function packSettlements(settlements: readonly Settlement[]): Buffer {
  return packr.pack(settlements.map(packSettlement));
}

const packr = new Packr({ useRecords: false });

function packSettlement(settlement: Settlement): unknown[] {
  const { job, token } = settlement.leased;
  const { id, starts } = job;
  switch (settlement.kind) {
    case "ack": {
      const made = standsAlone(job) && settlement.isUnsure !== true ? String(job.attemptsMade + 1) : "";
      return [id, token, starts, 1, settlement.result, packBound(settlement.keep.count), packBound(settlement.keep.ageMs), made];
    }
    case "fail":
      return [id, token, starts, 2, settlement.reason, packBound(settlement.keep.count), packBound(settlement.keep.ageMs), JSON.stringify(settlement.stack), settlement.attempts];
    case "retry":
      return [id, token, starts, 3, settlement.reason, settlement.delayMs, job.options.lifo === true ? 1 : 0, JSON.stringify(settlement.stack)];
    case "release":
      return [id, token, starts, 4, settlement.unknown === true ? 1 : 0, settlement.delayMs];
  }
}

/**
 * Whether what the reservation showed of a job still tells that it waits for nobody, and nobody for it: it was put by us,
 * under no parent and no deduplication id. Others a flow may have made its own since.
 */
function standsAlone({ version, isLinked }: StoredJob): boolean {
  return version !== undefined && !isLinked;
}

export const ACTIVE_OF = `
-- How many of these ids stand together at the old end of active; which of the others stand further up; and, by its place
-- among the ids, what stands nowhere, or came before. Mostly jobs end in the order in which they were reserved.
local function activeOf(ids)
  local oldest, tail = redis.call('LRANGE', active, -#ids, -1), 0
  while tail < #ids and oldest[#oldest - tail] == ids[tail + 1] do tail = tail + 1 end
  if tail == #ids then return tail, {}, {} end
  local isTail, between, gone = {}, {}, {}
  for _, id in ipairs(ids) do isTail[id] = false end
  tail = 0
  while isTail[oldest[#oldest - tail]] == false do
    isTail[oldest[#oldest - tail]] = true
    tail = tail + 1
  end
  for n, id in ipairs(ids) do
    if isTail[id] == false and redis.call('LPOS', active, id, 'RANK', -1) then
      between[#between + 1] = id
    elseif not isTail[id] then
      gone[n] = true
    end
    isTail[id] = nil
  end
  return tail, between, gone
end

-- Places them anew, and takes them from active. Should that fail, those that stay leave their new places again.
local function moveFromActive(ids, tail, between, place)
  attempt(function()
    place()
    if tail > 0 then redis.call('LTRIM', active, 0, -tail - 1) end
    for _, id in ipairs(between) do redis.call('LREM', active, -1, id) end
  end, function()
    for _, id in ipairs(ids) do
      if redis.call('LPOS', active, id, 'RANK', -1) then
        for _, set in ipairs({completed, failed, delayed, prioritized}) do redis.call('ZREM', set, id) end
        redis.call('LREM', wait, 0, id)
      end
    end
  end)
end
`;

/**
 * `settle(rows)`: a code a row.
 * rows  {id, token, starts, 1, result, keep count, keep age, attempts made with this one, or "": look it up}
 *       {id, token, starts, 2, reason, keep count, keep age, stacktrace, attempts}
 *       {id, token, starts, 3, reason, delayMs, lifo, stacktrace}
 *       {id, token, starts, 4, unknown, delayMs}
 * code  0 done, 1 left to the stock script, 2 refused: the lease has passed on; a text: to be cancelled, for this reason
 *
 * A lease that ran out while nobody took the job, so that it has not been started again, is still ours.
 */
export const SETTLE = `
${RETENTION}${ACTIVE_OF}
-- What became of a row whose job has to be looked at, and what was seen of it.
local function judge(row, key, lease, anyFamily)
  local id, token, starts, kind = row[1], row[2], row[3], row[4]
  local known = redis.call('HMGET', key, 'parentKey', 'deid', 'atm', 'priority', 'ats', '${CANCEL_FIELD}')
  local reason = known[6] ~= '' and known[6]
  local expired = not lease and tonumber(known[5]) == starts and redis.call('LPOS', active, id)
  if lease ~= token and not expired then return 2 end
  if reason and kind > 1 and not (kind == 2 and string.sub(row[5], 1, ${CANCELLED.length}) == '${CANCELLED}') then return reason end
  local isLinked = kind <= 2 and ((known[1] and known[1] ~= '') or known[2] or (anyFamily and redis.call('EXISTS', key .. ':dependencies', key .. ':unsuccessful') > 0))
  return isLinked and 1 or 0, known, expired
end

local function settle(rows)
  local codes, facts, keys, locks, families = {}, {}, {}, {}, {}
  for i, row in ipairs(rows) do
    local key = base .. row[1]
    keys[i], locks[i] = key, key .. ':lock'
    if row[4] == 1 and row[8] == '' then for n = 1, 2 do families[#families + 1] = key .. FAMILY[n] end end
  end
  local leases = redis.call('MGET', unpack(locks))
  local anyFamily = #families > 0 and redis.call('EXISTS', unpack(families)) > 0
  local mine, ids, retaken = {}, {}, {}
  for i, row in ipairs(rows) do
    local code, expired = 0, false
    if leases[i] ~= row[2] or row[4] ~= 1 or row[8] == '' then code, facts[i], expired = judge(row, keys[i], leases[i], row[4] == 1 and anyFamily) end
    codes[i] = code
    if code == 0 then
      mine[#mine + 1] = i
      ids[#ids + 1] = row[1]
    elseif code == 1 and expired then
      retaken[#retaken + 1] = i
    end
  end
  for _, i in ipairs(retaken) do redis.call('SET', locks[i], rows[i][2], 'PX', 10000) end
  if #mine == 0 then return codes end
  local tail, between, gone = activeOf(ids)
  if next(gone) then
    local held, heldIds = {}, {}
    for n, i in ipairs(mine) do
      if gone[n] then
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
  local function finish(row, key, known)
    local failing = row[4] == 2
    local target, field = failing and failed or completed, failing and 'failedReason' or 'returnvalue'
    if row[6] == 0 then
      dropped[#dropped + 1] = key
      dropped[#dropped + 1] = key .. ':logs'
      if known then for _, part in ipairs(FAMILY) do dropped[#dropped + 1] = key .. part end end
      return
    end
    redis.call('HSET', key, field, row[5], 'finishedOn', nowText, 'atm', known and (tonumber(known[3]) or 0) + 1 or row[8])
    if failing then
      redis.call('HSET', key, 'stacktrace', row[8])
      redis.call('HDEL', key, 'defa', '${CANCEL_FIELD}')
    elseif known and known[6] then
      redis.call('HDEL', key, '${CANCEL_FIELD}')
    end
    local members = scored[target]
    members[#members + 1] = nowText
    members[#members + 1] = row[1]
    local bound = bounds[#bounds]
    if not (bound and bound[1] == target and bound[2] == row[6] and bound[3] == row[7]) then bounds[#bounds + 1] = {target, row[6], row[7]} end
  end
  local ready = false
  local function giveBack(row, key, known)
    local id, retrying, delay, priority = row[1], row[4] == 3, row[6], tonumber(known[4]) or 0
    if delay > 0 then
      delayJob(delayed, events, id, now + delay)
      markDelayed(marker, delayed)
      redis.call('HSET', key, 'delay', delay)
    else
      if priority == 0 then
        redis.call((not retrying or row[7] == 1) and 'RPUSH' or 'LPUSH', wait, id)
      elseif retrying then
        prioritizeJob(prioritized, counter, id, priority)
      else
        redis.call('ZADD', prioritized, priority * 0x100000000, id)
      end
      redis.call('XADD', events, '*', 'event', 'waiting', 'jobId', id, 'prev', 'active')
      ready = true
    end
    if retrying then
      redis.call('HSET', key, 'failedReason', row[5], 'stacktrace', row[8], 'atm', (tonumber(known[3]) or 0) + 1)
      redis.call('HDEL', key, '${UNKNOWN_SINCE_FIELD}')
    elseif row[5] == 1 then
      redis.call('HSETNX', key, '${UNKNOWN_SINCE_FIELD}', nowText)
    end
  end
  moveFromActive(ids, tail, between, function()
    for _, i in ipairs(mine) do
      local row = rows[i]
      if row[4] <= 2 then finish(row, keys[i], facts[i]) else giveBack(row, keys[i], facts[i]) end
    end
    for target, members in pairs(scored) do
      if #members > 0 then redis.call('ZADD', target, unpack(members)) end
    end
  end)
  local leased, ended = {}, false
  for n, i in ipairs(mine) do leased[n] = locks[i] end
  for _, key in ipairs(dropped) do leased[#leased + 1] = key end
  redis.call('DEL', unpack(leased))
  redis.call('SREM', stalled, unpack(ids))
  for _, i in ipairs(mine) do
    local row = rows[i]
    if row[4] == 1 then
      redis.call('XADD', events, '*', 'event', 'completed', 'jobId', row[1], 'returnvalue', row[5], 'prev', 'active')
      ended = true
    elseif row[4] == 2 then
      local made = (tonumber(facts[i][3]) or 0) + 1
      redis.call('XADD', events, '*', 'event', 'failed', 'jobId', row[1], 'failedReason', row[5], 'prev', 'active')
      if made >= row[9] then redis.call('XADD', events, '*', 'event', 'retries-exhausted', 'jobId', row[1], 'attemptsMade', made) end
      ended = true
    end
  end
  for _, bound in ipairs(bounds) do trim(bound[1], bound[2], bound[3]) end

  -- A capped queue has room again, and what was given back waits: whoever sleeps is woken.
  local anyWaiting = redis.call('LLEN', wait) > 0 or redis.call('ZCARD', prioritized) > 0
  if not state[1] and (ready or (state[2] and anyWaiting)) then redis.call('ZADD', marker, 0, '0') end
  if ended and not anyWaiting and redis.call('LLEN', active) == 0 then redis.call('XADD', events, '*', 'event', 'drained') end
  return codes
end
`;
