/**
 * The part of the turn script that settles deliveries: acknowledges, fails or gives back what this process holds.
 *
 * The script checks every lease before it writes anything. What belongs to a flow or to a deduplication id goes to
 * BullMQ's own script instead, for just that job. After a refusal the job's state is read before it is judged: an
 * acknowledgement whose reply was lost is done, not refused.
 */
import { Packr } from "msgpackr";
import type { RedisQueueBackend } from "bullmq";
import type { Leased } from "./reserve-script.ts";
import { UNKNOWN_SINCE_FIELD } from "./stored-job.ts";
import type { StoredQueue } from "./stored-queue.ts";

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

/** `lost`: the lease had passed on or run out, and the job is not in the state that was asked for. */
export type Settled = "done" | "lost";

/** What the script takes of it. */
export function packSettlements(settlements: readonly Settlement[]): Buffer {
  return packr.pack(settlements.map(packSettlement));
}

/**
 * What became of each: from the script's codes, and where it refused or did not answer for, from BullMQ's script or the
 * job's state.
 */
export async function readSettled(queue: StoredQueue, settlements: readonly Settlement[], codes: readonly number[]): Promise<Settled[]> {
  if (codes.every((code) => code === DONE)) return settlements.map(() => "done");
  return Promise.all(
    settlements.map(async (settlement, i) => {
      if (codes[i] === DONE) return "done";
      if (codes[i] === STOCK) return settleByStock(await queue.stock(), settlement);
      return judge(await queue.stock(), settlement);
    }),
  );
}

const DONE = 0;
const STOCK = 1;
const KINDS = { ack: 1, fail: 2, retry: 3, release: 4 } as const;
const packr = new Packr({ useRecords: false });

function packSettlement(settlement: Settlement): unknown[] {
  const { job, token } = settlement.leased;
  const head = [job.id, token, KINDS[settlement.kind]];
  switch (settlement.kind) {
    case "ack":
      return [...head, settlement.result, settlement.keep.count ?? -1, settlement.keep.ageMs ?? -1];
    case "fail":
      return [...head, settlement.reason, settlement.keep.count ?? -1, settlement.keep.ageMs ?? -1, JSON.stringify(settlement.stack), settlement.attempts];
    case "retry":
      return [...head, settlement.reason, settlement.delayMs, job.options.lifo === true ? 1 : 0, JSON.stringify(settlement.stack)];
    case "release":
      return [...head, settlement.unknown === true ? 1 : 0, settlement.delayMs];
  }
}

async function settleByStock(backend: RedisQueueBackend, settlement: Settlement): Promise<Settled> {
  const { job, token } = settlement.leased;
  const minimal = { id: job.id, name: job.name, opts: job.options, data: undefined } as unknown as Parameters<RedisQueueBackend["moveToFailed"]>[0];
  try {
    if (settlement.kind === "ack") {
      const result = JSON.parse(settlement.result) as unknown;
      await backend.moveToCompleted(minimal, result, stockRetention(settlement.keep), token, false);
    } else if (settlement.kind === "fail") {
      const fields = { failedReason: settlement.reason, stacktrace: JSON.stringify(settlement.stack) };
      await backend.moveToFailed(minimal, settlement.reason, stockRetention(settlement.keep), token, false, fields);
    }
    return "done";
  } catch {
    return judge(backend, settlement);
  }
}

function stockRetention(keep: Retention): { count: number; age?: number } | { age: number } | boolean {
  if (keep.count === undefined && keep.ageMs === undefined) return false;
  if (keep.ageMs === undefined) return { count: keep.count ?? -1 };
  const age = Math.ceil(keep.ageMs / 1000);
  return keep.count === undefined ? { age } : { count: keep.count, age };
}

/** A refused settlement is done all the same when an earlier sending of it has been applied. */
async function judge(backend: RedisQueueBackend, settlement: Settlement): Promise<Settled> {
  const state = await backend.getState(settlement.leased.job.id);
  if (settlement.kind === "ack") return state === "completed" ? "done" : "lost";
  if (settlement.kind === "fail") return state === "failed" ? "done" : "lost";
  return state === "active" || state === "completed" || state === "failed" || state === "unknown" ? "lost" : "done";
}

/**
 * `settle(rows)`: a code a row.
 * rows  {id, token, 1, result, keep count, keep age}
 *       {id, token, 2, reason, keep count, keep age, stacktrace, attempts}
 *       {id, token, 3, reason, delayMs, lifo, stacktrace}
 *       {id, token, 4, unknown, delayMs}
 * code  0 done, 1 only the stock script may do it, -2 no lease, -3 not active, -6 another's lease
 */
export const SETTLE = `
local function settle(rows)
  local codes, mine, held = {}, {}, {}
  for i, row in ipairs(rows) do
    local key = base .. row[1]
    local lease = redis.call('GET', key .. ':lock')
    local finishing = row[3] <= 2
    local known = redis.call('HMGET', key, 'name', 'parentKey', 'deid')
    if lease ~= row[2] then
      codes[i] = not lease and -2 or -6
    elseif finishing and ((known[2] and known[2] ~= '') or known[3]) then
      codes[i] = 1
    elseif row[3] == 1 and redis.call('EXISTS', key .. ':dependencies', key .. ':unsuccessful') > 0 then
      codes[i] = 1
    elseif redis.call('LREM', active, -1, row[1]) == 0 then
      codes[i] = -3
    else
      codes[i] = 0
      mine[#mine + 1] = i
      held[#held + 1] = row[1]
    end
  end
  if #mine == 0 then return codes end

  local locks = {}
  for i, id in ipairs(held) do locks[i] = base .. id .. ':lock' end
  redis.call('DEL', unpack(locks))
  redis.call('SREM', stalled, unpack(held))
  trimEvents(meta, events)

  local function drop(ids)
    for _, id in ipairs(ids) do
      local key = base .. id
      redis.call('DEL', key, key .. ':logs', key .. ':dependencies', key .. ':processed', key .. ':failed', key .. ':unsuccessful')
    end
  end
  local trimmed = {}
  local function trim(target, count, age)
    local bound = target .. count .. '/' .. age
    if trimmed[bound] then return end
    trimmed[bound] = true
    if age >= 0 then
      local old = redis.call('ZRANGE', target, '-inf', '(' .. (now - age), 'BYSCORE', 'LIMIT', 0, 1000)
      if #old > 0 then
        drop(old)
        redis.call('ZREM', target, unpack(old))
      end
    end
    if count >= 0 then
      local over = math.min(redis.call('ZCARD', target) - count, 1000)
      if over > 0 then
        drop(redis.call('ZRANGE', target, 0, over - 1))
        redis.call('ZREMRANGEBYRANK', target, 0, over - 1)
      end
    end
  end

  local bounds, finished, ready = {}, false, false
  for _, i in ipairs(mine) do
    local row = rows[i]
    local id, kind = row[1], row[3]
    local key = base .. id
    if kind <= 2 then
      local target = kind == 1 and completed or failed
      local field = kind == 1 and 'returnvalue' or 'failedReason'
      local made = redis.call('HINCRBY', key, 'atm', 1)
      finished = true
      if row[5] == 0 then
        drop({id})
      else
        redis.call('ZADD', target, now, id)
        redis.call('HSET', key, field, row[4], 'finishedOn', now)
        if kind == 2 then
          redis.call('HSET', key, 'stacktrace', row[7])
          redis.call('HDEL', key, 'defa')
        end
        bounds[#bounds + 1] = {target, row[5], row[6]}
      end
      redis.call('XADD', events, '*', 'event', kind == 1 and 'completed' or 'failed', 'jobId', id, field, row[4], 'prev', 'active')
      if kind == 2 and made >= row[8] then
        redis.call('XADD', events, '*', 'event', 'retries-exhausted', 'jobId', id, 'attemptsMade', made)
      end
    else
      local delay = row[5]
      local lifo, front = kind == 3 and row[6] == 1, kind == 4
      if kind == 3 then
        redis.call('HINCRBY', key, 'atm', 1)
        redis.call('HSET', key, 'failedReason', row[4], 'stacktrace', row[7])
      elseif row[4] == 1 then
        redis.call('HSETNX', key, '${UNKNOWN_SINCE_FIELD}', now)
      end
      if delay > 0 then
        redis.call('HSET', key, 'delay', delay)
        delayJob(delayed, events, id, now + delay)
        markDelayed(marker, delayed)
      else
        local priority = tonumber(redis.call('HGET', key, 'priority')) or 0
        if priority > 0 and front then
          redis.call('ZADD', prioritized, priority * 0x100000000, id)
        elseif priority > 0 then
          prioritizeJob(prioritized, counter, id, priority)
        else
          redis.call((front or lifo) and 'RPUSH' or 'LPUSH', wait, id)
        end
        redis.call('XADD', events, '*', 'event', 'waiting', 'jobId', id, 'prev', 'active')
        ready = true
      end
    end
  end
  for _, bound in ipairs(bounds) do trim(bound[1], bound[2], bound[3]) end

  -- A capped queue has room again, and what was given back waits: whoever sleeps is woken.
  local state = redis.call('HMGET', meta, 'paused', 'concurrency')
  local waiting = redis.call('LLEN', wait) + redis.call('ZCARD', prioritized)
  if not state[1] and (ready or (state[2] and waiting > 0)) then redis.call('ZADD', marker, 0, '0') end
  if finished and waiting == 0 and redis.call('LLEN', active) == 0 then redis.call('XADD', events, '*', 'event', 'drained') end
  return codes
end
`;
