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
import { packRetention, RETENTION, type Retention } from "./retention-script.ts";
import { CANCEL_FIELD, UNKNOWN_SINCE_FIELD, type StoredJob } from "./stored-job.ts";

/** What is to become of a delivery. */
export type Settlement = { readonly leased: Leased } & (
  /** `wasAsked`: maybe to be cancelled; then the request goes with it. */
  | { readonly kind: "ack"; readonly result: string; readonly keep: Retention; readonly wasAsked?: boolean }
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

const KINDS = { ack: 1, fail: 2, retry: 3, release: 4 } as const;
const packr = new Packr({ useRecords: false });

function packSettlement(settlement: Settlement): unknown[] {
  const { job, token } = settlement.leased;
  const head = [job.id, token, job.starts, KINDS[settlement.kind]];
  switch (settlement.kind) {
    case "ack":
      return [...head, settlement.result, ...packRetention(settlement.keep), standsAlone(job) && settlement.wasAsked !== true ? job.attemptsMade + 1 : 0];
    case "fail":
      return [...head, settlement.reason, ...packRetention(settlement.keep), JSON.stringify(settlement.stack), settlement.attempts];
    case "retry":
      return [...head, settlement.reason, settlement.delayMs, job.options.lifo === true ? 1 : 0, JSON.stringify(settlement.stack)];
    case "release":
      return [...head, settlement.unknown === true ? 1 : 0, settlement.delayMs];
  }
}

/**
 * Whether what the reservation showed of a job still tells that nobody waits for it: it was put by us, under no parent
 * and no deduplication id. Of others a flow may have become the parent since.
 */
function standsAlone({ version, isLinked }: StoredJob): boolean {
  return version !== undefined && !isLinked;
}

export const ACTIVE_OF = `
-- Which of these ids are active, each once. Those of the oldest batch stand together at the old end: tail of them.
local function activeOf(ids)
  local is, tail = {}, 0
  for _, id in ipairs(ids) do is[id] = 'asked' end
  local oldest = redis.call('LRANGE', active, -#ids, -1)
  for i = #oldest, 1, -1 do
    if is[oldest[i]] ~= 'asked' then break end
    is[oldest[i]] = 'tail'
    tail = tail + 1
  end
  for _, id in ipairs(ids) do
    if is[id] == 'asked' then is[id] = redis.call('LPOS', active, id, 'RANK', -1) and 'between' or nil end
  end
  return is, tail
end
`;

/**
 * `settle(rows)`: a code a row.
 * rows  {id, token, starts, 1, result, keep count, keep age, attempts made with this one, or 0: look it up}
 *       {id, token, starts, 2, reason, keep count, keep age, stacktrace, attempts}
 *       {id, token, starts, 3, reason, delayMs, lifo, stacktrace}
 *       {id, token, starts, 4, unknown, delayMs}
 * code  0 done, 1 left to the stock script, 2 refused: the lease has passed on; a text: to be cancelled, for this reason
 *
 * A lease that ran out while nobody took the job, so that it has not been started again, is still ours.
 */
export const SETTLE = `
${RETENTION}${ACTIVE_OF}
local function settle(rows)
  local codes, facts, retaken, mine, locks, families = {}, {}, {}, {}, {}, {}
  for i, row in ipairs(rows) do
    local key = base .. row[1]
    locks[i] = key .. ':lock'
    if row[4] == 1 then
      families[#families + 1] = key .. ':dependencies'
      families[#families + 1] = key .. ':unsuccessful'
    end
  end
  local leases = redis.call('MGET', unpack(locks))
  local anyFamily = #families > 0 and redis.call('EXISTS', unpack(families)) > 0
  for i, row in ipairs(rows) do
    local id, token, starts, kind = row[1], row[2], row[3], row[4]
    local key = base .. id
    local known = {}
    if kind ~= 1 or row[8] == 0 or not leases[i] then known = redis.call('HMGET', key, 'parentKey', 'deid', 'atm', 'priority', 'ats', '${CANCEL_FIELD}') end
    local reason = known[6] ~= '' and known[6]
    local expired = not leases[i] and tonumber(known[5]) == starts and redis.call('LPOS', active, id)
    if leases[i] ~= token and not expired then
      codes[i] = 2
    elseif reason and kind > 1 and not (kind == 2 and string.sub(row[5], 1, ${CANCELLED.length}) == '${CANCELLED}') then
      codes[i] = reason
    elseif kind <= 2 and ((known[1] and known[1] ~= '') or known[2] or (kind == 1 and anyFamily and redis.call('EXISTS', key .. ':dependencies', key .. ':unsuccessful') > 0)) then
      codes[i] = 1
      if expired then retaken[#retaken + 1] = row end
    else
      codes[i], facts[i] = 0, known
      mine[#mine + 1] = i
    end
  end
  for _, row in ipairs(retaken) do redis.call('SET', base .. row[1] .. ':lock', row[2], 'PX', 10000) end
  if #mine == 0 then return codes end
  local ids = {}
  for n, i in ipairs(mine) do ids[n] = rows[i][1] end
  local is, tail = activeOf(ids)
  local held, leased, between = {}, {}, {}
  for _, i in ipairs(mine) do
    local id = rows[i][1]
    if not is[id] then
      codes[i] = 2
    else
      held[#held + 1] = id
      leased[#leased + 1] = locks[i]
      if is[id] == 'between' then between[#between + 1] = id end
      is[id] = nil
    end
  end
  if #held == 0 then return codes end
  trimEvents(meta, events, state[5])

  local ended, scored, bounds, dropped = {}, {[completed] = {}, [failed] = {}}, {}, {}
  local function finish(row, key, known)
    local failing = row[4] == 2
    local target, field = failing and failed or completed, failing and 'failedReason' or 'returnvalue'
    local made = not failing and row[8] > 0 and row[8] or (tonumber(known[3]) or 0) + 1
    if row[6] == 0 then
      dropped[#dropped + 1] = key
    else
      redis.call('HSET', key, field, row[5], 'finishedOn', now, 'atm', made)
      if failing then
        redis.call('HSET', key, 'stacktrace', row[8])
        redis.call('HDEL', key, 'defa', '${CANCEL_FIELD}')
      elseif known[6] then
        redis.call('HDEL', key, '${CANCEL_FIELD}')
      end
      table.insert(scored[target], now)
      table.insert(scored[target], row[1])
      bounds[target .. row[6] .. '/' .. row[7]] = {target, row[6], row[7]}
    end
    ended[#ended + 1] = {row[1], failing and 'failed' or 'completed', field, row[5], failing and made >= row[9] and made}
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
      redis.call('HSETNX', key, '${UNKNOWN_SINCE_FIELD}', now)
    end
  end
  for _, i in ipairs(mine) do
    if codes[i] == 0 then
      local row = rows[i]
      if row[4] <= 2 then finish(row, base .. row[1], facts[i]) else giveBack(row, base .. row[1], facts[i]) end
    end
  end
  for target, members in pairs(scored) do
    if #members > 0 then redis.call('ZADD', target, unpack(members)) end
  end
  if tail > 0 then redis.call('LTRIM', active, 0, -tail - 1) end
  for _, id in ipairs(between) do redis.call('LREM', active, -1, id) end
  redis.call('DEL', unpack(leased))
  redis.call('SREM', stalled, unpack(held))
  for _, each in ipairs(ended) do
    local id, event, field, value, exhausted = unpack(each)
    redis.call('XADD', events, '*', 'event', event, 'jobId', id, field, value, 'prev', 'active')
    if exhausted then redis.call('XADD', events, '*', 'event', 'retries-exhausted', 'jobId', id, 'attemptsMade', exhausted) end
  end
  drop(dropped)
  for _, bound in pairs(bounds) do trim(bound[1], bound[2], bound[3]) end

  -- A capped queue has room again, and what was given back waits: whoever sleeps is woken.
  local waiting = redis.call('LLEN', wait) + redis.call('ZCARD', prioritized)
  if not state[1] and (ready or (state[2] and waiting > 0)) then redis.call('ZADD', marker, 0, '0') end
  if #ended > 0 and waiting == 0 and redis.call('LLEN', active) == 0 then redis.call('XADD', events, '*', 'event', 'drained') end
  return codes
end
`;
