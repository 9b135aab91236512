/**
 * The script of a stock Worker's turn: what it has finished leaves, and what it asks for comes, in one round trip.
 *
 * It writes what BullMQ's `moveToFinished` and `moveToActive` would write one after the other, by the clock of whoever asks.
 * What belongs to a flow or a deduplication id, or is not in the order that it should be, is left alone, for BullMQ's own
 * script to do or to refuse. As all of ours it reads first, and places a job anew before it takes it from where it was.
 */
import { Packr } from "msgpackr";
import { ForeignScript, type ForeignClient } from "../redis/foreign-script.ts";
import type { QueueKeys } from "./keys.ts";
import { DELAY_JOB, PRIORITIZE_JOB, PROMOTE_DUE, TRIM_EVENTS } from "./lua.ts";
import { RETENTION } from "./retention-script.ts";
import { ACTIVE_OF } from "./settle-script.ts";

/** A job that has ended in a Worker's hands. */
export interface Finish {
  readonly id: string;
  readonly token: string;
  readonly target: "completed" | "failed";
  /** The result as JSON, or the reason. */
  readonly value: string;
  /** -1 is no bound; a count of 0 keeps none. */
  readonly keepCount: number;
  readonly keepAgeMs: number;
  /** Also asks for another job, under the same token. */
  readonly fetchNext: boolean;
  /** By this process's clock, as all that BullMQ writes. */
  readonly at: number;
  readonly attempts: number;
  /** More fields of its hash: name, value, … */
  readonly fields: readonly string[];
}

/** A Worker asks for a job. */
export interface Fetch {
  readonly token: string;
  readonly target: "active";
  readonly at: number;
}

export interface Limits {
  readonly worker: string;
  readonly lockMs: number;
  readonly limiter: { readonly max: number; readonly duration: number } | undefined;
}

/** What BullMQ's script would have answered; `left`: nothing was done, it is to be asked. */
export type TurnAnswer = "left" | 0 | readonly [hash: readonly string[] | 0, id: string | 0, limitedForMs: number, nextDelayedAt: number];

/** @throws what ioredis and Redis throw, as they throw it */
export async function takeStockTurn(client: ForeignClient, keys: QueueKeys, limits: Limits, rows: readonly (Finish | Fetch)[]): Promise<TurnAnswer[]> {
  const { worker, lockMs, limiter } = limits;
  const finished = rows.filter((row) => row.target !== "active");
  const fetches = rows.filter((row) => row.target === "active");
  const packed = packr.pack([
    finished.map((row) => [
      row.id, row.token, row.target === "failed" ? 2 : 1, row.value, row.keepCount, row.keepAgeMs, row.fetchNext ? 1 : 0, String(row.at), row.attempts, row.fields,
    ]),
    fetches.map(({ token, at }) => [token, String(at)]),
  ]);
  const [left, jobs, limitedForMs, nextDelayedAt, why] = (await TURN.runPacked(
    client,
    [
      keys.wait, keys.active, keys.prioritized, keys.events, keys.stalled, keys.limiter, keys.delayed, keys.meta, keys.priorityCounter, keys.marker,
      keys.completed, keys.failed,
    ],
    [keys.base, packed, Math.max(...rows.map(({ at }) => at)), lockMs, worker, limiter?.max ?? "", limiter?.duration ?? ""],
  )) as [number[], [string, string[]][], number, number, number];

  const isLeft = new Set(left.map((position) => finished[position - 1]));
  const answered = new Map<Finish | Fetch, TurnAnswer>();
  let taken = 0;
  // In the order in which the script gives jobs out.
  for (const row of [...finished, ...fetches]) {
    const asks = row.target === "active" || row.fetchNext;
    const [id, hash] = (asks && !isLeft.has(row as Finish) ? jobs[taken++] : undefined) ?? [];
    if (isLeft.has(row as Finish)) answered.set(row, "left");
    else if (id !== undefined) answered.set(row, [hash!, id, 0, 0]);
    else if (!asks || (why === NOTHING && row.target !== "active")) answered.set(row, 0);
    else answered.set(row, [0, 0, limitedForMs, nextDelayedAt]);
  }
  return rows.map((row) => answered.get(row)!);
}

/** Why there was no job for who asked: nothing waits, and nothing is delayed. */
const NOTHING = 1;

const packr = new Packr({ useRecords: false });

/**
 * KEYS  wait, active, prioritized, events, stalled, limiter, delayed, meta, priority counter, marker, completed, failed
 * ARGV  base, msgpack {{{id, token, 1 completed or 2 failed, value, keep count, keep age in ms, 1 to fetch or 0, at, attempts,
 *       {field, value, …}}, …}, {{token, at}, …}}, now, lockMs, worker or "", limiter's max or "", its duration or ""
 * reply msgpack {{positions of what was left, …}, {{id, {field, value, …}}, …}, limited for ms, next delayed at, 1 for nothing else 0}
 */
const TURN = new ForeignScript({
  name: "stock-turn",
  lua: `
local wait, active, prioritized, events, stalled, limiter, delayed, meta, counter, marker, completed, failed = unpack(KEYS)
local base, now, lockMs, worker = ARGV[1], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local finishes, fetches = unpack(cmsgpack.unpack(ARGV[2]))
local state = redis.call('HMGET', meta, 'paused', 'concurrency', 'max', 'duration', 'opts.maxLenEvents')
${TRIM_EVENTS}${DELAY_JOB}${PRIORITIZE_JOB}${PROMOTE_DUE}${RETENTION}${ACTIVE_OF}
local function open() trimEvents(meta, events, state[5]) end
local left, askers = {}, {}

local function finish(rows)
  local locks, families, facts, mine, ids = {}, {}, {}, {}, {}
  for i, row in ipairs(rows) do
    local key = base .. row[1]
    locks[i] = key .. ':lock'
    if row[3] == 1 then
      families[#families + 1] = key .. ':dependencies'
      families[#families + 1] = key .. ':unsuccessful'
    end
  end
  local tokens = redis.call('MGET', unpack(locks))
  local anyFamily = #families > 0 and redis.call('EXISTS', unpack(families)) > 0
  for i, row in ipairs(rows) do
    local key = base .. row[1]
    local known = redis.call('HMGET', key, 'name', 'parentKey', 'deid', 'atm')
    local alone = known[1] and not (known[2] and known[2] ~= '') and not known[3]
    if alone and row[3] == 1 and anyFamily then alone = redis.call('EXISTS', key .. ':dependencies', key .. ':unsuccessful') == 0 end
    facts[i] = alone and tokens[i] == row[2] and known
    if facts[i] then ids[#ids + 1] = row[1] end
  end
  local tail, between, gone = 0, {}, {}
  if #ids > 0 then tail, between, gone = activeOf(ids) end
  local held, freed, n = {}, {}, 0
  for i, row in ipairs(rows) do
    if facts[i] then n = n + 1 end
    if facts[i] and not gone[n] then
      mine[#mine + 1] = i
      held[#held + 1] = row[1]
      freed[#freed + 1] = locks[i]
    else
      left[#left + 1] = i
    end
  end
  if #mine == 0 then return 0 end
  open()
  local scored, bounds, dropped, ended = {[completed] = {}, [failed] = {}}, {}, {}, {}
  for _, i in ipairs(mine) do
    local id, token, kind, value, count, age, fetching, at, attempts, fields = unpack(rows[i])
    local target, field = completed, 'returnvalue'
    if kind == 2 then target, field = failed, 'failedReason' end
    local key, made = base .. id, (tonumber(facts[i][4]) or 0) + 1
    if count == 0 then
      dropped[#dropped + 1] = key
    else
      if #fields > 0 then redis.call('HSET', key, unpack(fields)) end
      redis.call('HSET', key, field, value, 'finishedOn', at, 'atm', made)
      if kind == 2 then redis.call('HDEL', key, 'defa') end
      table.insert(scored[target], at)
      table.insert(scored[target], id)
      bounds[target .. count .. '/' .. age] = {target, count, age}
    end
    ended[#ended + 1] = {id, kind == 2 and 'failed' or 'completed', field, value, kind == 2 and made >= attempts and made}
    if fetching == 1 then askers[#askers + 1] = {token, at} end
  end
  for target, members in pairs(scored) do
    if #members > 0 then redis.call('ZADD', target, unpack(members)) end
  end
  if tail > 0 then redis.call('LTRIM', active, 0, -tail - 1) end
  for _, id in ipairs(between) do redis.call('LREM', active, -1, id) end
  redis.call('DEL', unpack(freed))
  redis.call('SREM', stalled, unpack(held))
  for _, bound in pairs(bounds) do trim(bound[1], bound[2], bound[3]) end
  drop(dropped)
  for _, each in ipairs(ended) do
    redis.call('XADD', events, '*', 'event', each[2], 'jobId', each[1], each[3], each[4], 'prev', 'active')
    if each[5] then redis.call('XADD', events, '*', 'event', 'retries-exhausted', 'jobId', each[1], 'attemptsMade', each[5]) end
  end
  return #mine
end

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
  if fromWait > 0 then redis.call('LTRIM', wait, 0, -fromWait - 1) end
  if #high > 0 then redis.call('ZREM', prioritized, unpack(high)) end
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

local done = #finishes > 0 and finish(finishes) or 0
local idle = done > #askers
for _, row in ipairs(fetches) do askers[#askers + 1] = row end
local limited, nextAt, nothing = 0, 0, 0
if #askers > 0 then
  promoteDue({delayed = delayed, wait = wait, prioritized = prioritized, counter = counter, events = events}, base, now, open)
  limited = limitedFor()
  local held = isHeld()
  if limited == 0 and not held then
    local most = #askers
    if cap then most = math.min(most, cap - redis.call('LLEN', active)) end
    if rate then
      while #jobs < most and limitedFor() == 0 and take(1) == 1 do end
    else
      take(most)
    end
  end
  if #jobs < #askers then
    limited = limitedFor()
    if limited == 0 and not isHeld() then
      nextAt = nextDelayedAt(delayed)
      if nextAt == 0 then nothing = 1 end
    end
  end
  if #jobs > 0 or (not held and redis.call('LLEN', wait) + redis.call('ZCARD', prioritized) > 0) then redis.call('ZADD', marker, 0, '0') end
end
if done > 0 and (idle or nothing == 1) and redis.call('LLEN', wait) == 0 and redis.call('LLEN', active) == 0 and redis.call('ZCARD', prioritized) == 0 then
  redis.call('XADD', events, '*', 'event', 'drained')
end
return cmsgpack.pack({left, jobs, limited, nextAt, nothing})
`,
});
