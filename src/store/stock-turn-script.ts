/**
 * The script of a stock Worker's turn: what it has finished leaves, and what it asks for comes, in one round trip.
 *
 * It writes what BullMQ's `moveToFinished` and `moveToActive` would write one after the other, by the clock of whoever asks.
 * What belongs to a flow or a deduplication id, or is not in the order that it should be, is left alone, for BullMQ's own
 * script to do or to refuse. As all of ours it reads first, and places a job anew before it takes it from where it was.
 */
import { ForeignScript, type ForeignClient } from "../redis/foreign-script.ts";
import { packValues } from "../redis/script.ts";
import type { QueueKeys } from "./keys.ts";
import { ATTEMPT, NEXT_DELAYED, PRIORITIZE_JOB, PROMOTE_DUE, TRIM_EVENTS } from "./lua.ts";
import { fetchValues, readTaken, TAKE, type Fetch } from "./stock-fetch-script.ts";
import { FINISH, finishValues, type Finish } from "./stock-finish-script.ts";

export type { Fetch } from "./stock-fetch-script.ts";
export type { Finish } from "./stock-finish-script.ts";

export interface Limits {
  readonly worker: string;
  readonly lockMs: number;
  readonly limiter: { readonly max: number; readonly duration: number } | undefined;
  /** Minutes of which it is kept how many jobs have finished; 0 is none. */
  readonly metricsMost: number;
}

/** What BullMQ's script would have answered; `left`: nothing was done, it is to be asked. */
export type TurnAnswer = "left" | 0 | readonly [hash: readonly string[] | 0, id: string | 0, limitedForMs: number, nextDelayedAt: number];

/** @throws what ioredis and Redis throw, as they throw it */
export async function takeStockTurn(client: ForeignClient, keys: QueueKeys, limits: Limits, rows: readonly (Finish | Fetch)[]): Promise<TurnAnswer[]> {
  const { worker, lockMs, limiter, metricsMost } = limits;
  const finished = rows.filter((row) => row.target !== "active");
  const fetches = rows.filter((row) => row.target === "active");
  const packed = packValues([finished.length, fetches.length, ...finished.flatMap(finishValues), ...fetches.flatMap(fetchValues)]);
  const [left, told, limitedForMs, nextDelayedAt, why] = (await TURN.runPacked(
    client,
    [
      keys.wait, keys.active, keys.prioritized, keys.events, keys.stalled, keys.limiter, keys.delayed, keys.meta, keys.priorityCounter, keys.marker,
      keys.completed, keys.failed, keys.metricsCompleted, keys.metricsFailed,
    ],
    [keys.base, packed, Math.max(...rows.map(({ at }) => at)), lockMs, worker, limiter?.max ?? "", limiter?.duration ?? "", metricsMost],
  )) as [number[], (string | number | false)[], number, number, number];
  const jobs = readTaken(told);

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

/**
 * KEYS  wait, active, prioritized, events, stalled, limiter, delayed, meta, priority counter, marker, completed, failed,
 *       metrics of the completed, of the failed
 * ARGV  base, values as `packValues` packs them: how many rows of finish and of take, the rows; now, lockMs, worker or "",
 *       limiter's max or "", its duration or "", minutes of metrics or 0
 * reply msgpack {{positions of what was left, …}, {what `readTaken` reads, …}, limited for ms, next delayed at, 1 for nothing else 0}
 */
const TURN = new ForeignScript({
  name: "stock-turn",
  lua: `
local wait, active, prioritized, events, stalled, limiter, delayed, meta, counter, marker, completed, failed, metricsCompleted, metricsFailed = unpack(KEYS)
local base, now, lockMs, worker = ARGV[1], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local rows = {cmsgpack.unpack(ARGV[2])}
local state = redis.call('HMGET', meta, 'paused', 'concurrency', 'max', 'duration', 'opts.maxLenEvents')
${ATTEMPT}${TRIM_EVENTS}${NEXT_DELAYED}${PRIORITIZE_JOB}${PROMOTE_DUE}
local function open() trimEvents(meta, events, state[5]) end
local left, askers = {}, {}

${FINISH}${TAKE}
local done, from = 0, 3
if rows[1] > 0 then done, from = finish(from, rows[1]) end
local idle = done > #askers / 2
for i = from, #rows do askers[#askers + 1] = rows[i] end
local limited, nextAt, nothing = 0, 0, 0
local asked = #askers / 2
if asked > 0 then
  local next = promoteDue({delayed = delayed, wait = wait, prioritized = prioritized, counter = counter, events = events}, base, now, open)
  limited = limitedFor()
  local held = isHeld()
  if limited == 0 and not held then
    local most = asked
    if cap then most = math.min(most, cap - redis.call('LLEN', active)) end
    if rate then
      while taken < most and limitedFor() == 0 and take(1) == 1 do end
    else
      take(most)
    end
  end
  if taken < asked then
    limited = limitedFor()
    if limited == 0 and not isHeld() then
      nextAt = next
      if nextAt == 0 then nothing = 1 end
    end
  end
  if taken > 0 or (not held and redis.call('LLEN', wait) + redis.call('ZCARD', prioritized) > 0) then redis.call('ZADD', marker, 0, '0') end
end
if done > 0 and (idle or nothing == 1) and redis.call('LLEN', wait) == 0 and redis.call('LLEN', active) == 0 and redis.call('ZCARD', prioritized) == 0 then
  redis.call('XADD', events, '*', 'event', 'drained')
end
return cmsgpack.pack({left, told, limited, nextAt, nothing})
`,
});
