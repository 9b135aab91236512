/**
 * The part of the turn script that settles deliveries: acknowledges, fails or gives back what this process holds.
 *
 * The script reads every lease before it writes anything, and places each job anew before it writes about it. What
 * belongs to a flow or to a deduplication id is left to BullMQ's own script (`settle-by-stock.ts`).
 */
import { Packr } from "msgpackr";
import type { Leased } from "./reserve-script.ts";
import { UNKNOWN_SINCE_FIELD } from "./stored-job.ts";

/** How many finished jobs stay, and for how long; `undefined` is no bound of that kind. `count: 0` keeps none. */
export interface Retention {
  readonly count?: number | undefined;
  readonly ageMs?: number | undefined;
}

/** What is to become of a delivery. */
export type Settlement = { readonly leased: Leased } & (
  | { readonly kind: "ack"; readonly result: string; readonly keep: Retention }
  /** For good: the job becomes a dead letter. */
  | { readonly kind: "fail"; readonly reason: string; readonly stack: readonly string[]; readonly attempts: number; readonly keep: Retention }
  | { readonly kind: "retry"; readonly reason: string; readonly stack: readonly string[]; readonly delayMs: number }
  /** Given back, no attempt spent; `unknown` notes since when nobody knew its name or version. */
  | { readonly kind: "release"; readonly delayMs: number; readonly unknown?: boolean }
);

/** What the script says of a settlement. */
export const SETTLE_CODES = Object.freeze({ done: 0, leftToStock: 1, refused: 2 });

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
      return [...head, settlement.result, bound(settlement.keep.count), bound(settlement.keep.ageMs)];
    case "fail":
      return [...head, settlement.reason, bound(settlement.keep.count), bound(settlement.keep.ageMs), JSON.stringify(settlement.stack), settlement.attempts];
    case "retry":
      return [...head, settlement.reason, settlement.delayMs, job.options.lifo === true ? 1 : 0, JSON.stringify(settlement.stack)];
    case "release":
      return [...head, settlement.unknown === true ? 1 : 0, settlement.delayMs];
  }
}

/** -1 is no bound. What a stock producer stored as one may be anything, and must not stop the script half-way. */
function bound(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? Math.floor(value) : -1;
}

/**
 * `settle(rows)`: a code a row.
 * rows  {id, token, starts, 1, result, keep count, keep age}
 *       {id, token, starts, 2, reason, keep count, keep age, stacktrace, attempts}
 *       {id, token, starts, 3, reason, delayMs, lifo, stacktrace}
 *       {id, token, starts, 4, unknown, delayMs}
 * code  0 done, 1 left to the stock script, 2 refused: the lease has passed on
 *
 * A lease that ran out while nobody took the job, so that it has not been started again, is still ours.
 */
export const SETTLE = `
local function drop(key)
  redis.call('DEL', key, key .. ':logs', key .. ':dependencies', key .. ':processed', key .. ':failed', key .. ':unsuccessful')
end
-- A failed child whose parent was not told to mind may be the last that its parent waits for.
local function releaseParent(key)
  local parent = redis.call('HGET', key, 'parentKey')
  if not parent or redis.call('SREM', parent .. ':dependencies', key) == 0 or redis.call('SCARD', parent .. ':dependencies') > 0 then return end
  local parentBase, id = string.match(parent, '^(.*:)([^:]*)$')
  if redis.call('ZREM', parentBase .. 'waiting-children', id) == 0 then return end
  redis.call('RPUSH', parentBase .. 'wait', id)
  redis.call('XADD', parentBase .. 'events', '*', 'event', 'waiting', 'jobId', id, 'prev', 'waiting-children')
  local state = redis.call('HMGET', parentBase .. 'meta', 'paused', 'concurrency')
  local cap = tonumber(state[2])
  if not state[1] and not (cap and redis.call('LLEN', parentBase .. 'active') >= cap) then redis.call('ZADD', parentBase .. 'marker', 0, '0') end
end
local function trim(target, count, age)
  local function remove(ids)
    if #ids == 0 then return end
    redis.call('ZREM', target, unpack(ids))
    for _, id in ipairs(ids) do
      if target == failed then releaseParent(base .. id) end
      drop(base .. id)
    end
  end
  if age >= 0 then remove(redis.call('ZRANGE', target, '-inf', now - age, 'BYSCORE', 'LIMIT', 0, 1000)) end
  if count >= 0 then
    local over = math.min(redis.call('ZCARD', target) - count, 1000)
    if over > 0 then remove(redis.call('ZRANGE', target, 0, over - 1)) end
  end
end

local function settle(rows)
  local codes, facts, retaken, mine = {}, {}, {}, {}
  for i, row in ipairs(rows) do
    local id, token, starts, kind = row[1], row[2], row[3], row[4]
    local key = base .. id
    local lease = redis.call('GET', key .. ':lock')
    local known = redis.call('HMGET', key, 'parentKey', 'deid', 'atm', 'priority', 'ats')
    local expired = not lease and tonumber(known[5]) == starts and redis.call('LPOS', active, id)
    if lease ~= token and not expired then
      codes[i] = 2
    elseif kind <= 2 and ((known[1] and known[1] ~= '') or known[2] or (kind == 1 and redis.call('EXISTS', key .. ':dependencies', key .. ':unsuccessful') > 0)) then
      codes[i] = 1
      if expired then retaken[#retaken + 1] = row end
    else
      codes[i], facts[i] = 0, known
      mine[#mine + 1] = i
    end
  end
  for _, row in ipairs(retaken) do redis.call('SET', base .. row[1] .. ':lock', row[2], 'PX', 10000) end
  if #mine == 0 then return codes end
  trimEvents(meta, events, state[5])

  local held, locks, bounds, finished, ready = {}, {}, {}, false, false
  local function finish(row, key, known)
    local id, failing, count = row[1], row[4] == 2, row[6]
    local target, field = failing and failed or completed, failing and 'failedReason' or 'returnvalue'
    local made = (tonumber(known[3]) or 0) + 1
    if count == 0 then
      drop(key)
    else
      redis.call('ZADD', target, now, id)
      redis.call('HSET', key, field, row[5], 'finishedOn', now, 'atm', made)
      if failing then
        redis.call('HSET', key, 'stacktrace', row[8])
        redis.call('HDEL', key, 'defa')
      end
      bounds[target .. count .. '/' .. row[7]] = {target, count, row[7]}
    end
    redis.call('XADD', events, '*', 'event', failing and 'failed' or 'completed', 'jobId', id, field, row[5], 'prev', 'active')
    if failing and made >= row[9] then redis.call('XADD', events, '*', 'event', 'retries-exhausted', 'jobId', id, 'attemptsMade', made) end
    finished = true
  end
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
    local row = rows[i]
    local id, key = row[1], base .. row[1]
    if redis.call('LREM', active, -1, id) == 0 then
      codes[i] = 2
    else
      if row[4] <= 2 then finish(row, key, facts[i]) else giveBack(row, key, facts[i]) end
      held[#held + 1] = id
      locks[#locks + 1] = key .. ':lock'
    end
  end
  if #held == 0 then return codes end
  redis.call('DEL', unpack(locks))
  redis.call('SREM', stalled, unpack(held))
  for _, bound in pairs(bounds) do trim(bound[1], bound[2], bound[3]) end

  -- A capped queue has room again, and what was given back waits: whoever sleeps is woken.
  local waiting = redis.call('LLEN', wait) + redis.call('ZCARD', prioritized)
  if not state[1] and (ready or (state[2] and waiting > 0)) then redis.call('ZADD', marker, 0, '0') end
  if finished and waiting == 0 and redis.call('LLEN', active) == 0 then redis.call('XADD', events, '*', 'event', 'drained') end
  return codes
end
`;
