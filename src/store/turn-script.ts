/** The script of the hot path: what ended is settled, and what is free is filled, in one round trip. */
import { runPacked, type Script } from "../redis/script.ts";
import { ATTEMPT, DELAY_JOB, NOW, PRIORITIZE_JOB, PROMOTE_DUE, TRIM_EVENTS } from "./lua.ts";
import { readReserved, RESERVE, type Reserved, type ReserveReply, type ReserveRequest } from "./reserve-script.ts";
import { readSettled, type Answer } from "./settle-by-stock.ts";
import { packSettlements, SETTLE, type SettleCode, type Settlement } from "./settle-script.ts";
import type { StoredQueue } from "./stored-queue.ts";

export interface Turn {
  /** What became of each settlement, in order. */
  readonly settled: readonly Answer[] | Promise<readonly Answer[]>;
  /** `undefined` when nothing was asked for. */
  readonly reserved: Reserved | undefined;
}

/**
 * Settles, then reserves: a job that is given back may come again at once, and a capped queue has room again.
 *
 * @param hasRun  whether an earlier sending of these settlements may have been applied
 * @throws BackendError; the script's own errors
 */
export async function takeTurn(queue: StoredQueue, settlements: readonly Settlement[], hasRun: boolean, request: ReserveRequest | undefined): Promise<Turn> {
  const { client, keys } = queue;
  const [now, codes, ...reply] = (await runPacked(
    client,
    TURN,
    [
      keys.wait, keys.active, keys.prioritized, keys.delayed, keys.completed, keys.failed, keys.events, keys.meta, keys.marker,
      keys.priorityCounter, keys.stalled, keys.limiter, keys.fence,
    ],
    [
      keys.base, settlements.length === 0 ? "" : packSettlements(settlements),
      request?.most ?? 0, request?.token ?? "", request?.leaseMs ?? 0, request?.worker ?? "", request?.onlyUnanswered ? 1 : 0,
      ...(request?.unanswered ?? []),
    ],
  )) as [number, SettleCode[], ...ReserveReply];
  return {
    settled: readSettled(queue, settlements, codes, hasRun),
    reserved: request === undefined ? undefined : readReserved(now, reply, request),
  };
}

/**
 * KEYS  wait, active, prioritized, delayed, completed, failed, events, meta, marker, priority counter, stalled, limiter, fence
 * ARGV  base, msgpack of settlements or "", most or 0, token, leaseMs, worker, 1 for nothing but what the following leased or 0, unanswered token…
 * reply msgpack {now, {code, …}, next delayed at, limited for ms, last fence, {told of the jobs}}
 */
const TURN: Script = {
  name: "turn",
  lua: `
local wait, active, prioritized, delayed, completed, failed, events, meta, marker, counter, stalled, limiter, fence = unpack(KEYS)
local base = ARGV[1]
local state = redis.call('HMGET', meta, 'paused', 'concurrency', 'max', 'duration', 'opts.maxLenEvents')
${NOW}${ATTEMPT}${TRIM_EVENTS}${DELAY_JOB}${PRIORITIZE_JOB}${PROMOTE_DUE}${SETTLE}${RESERVE}
local codes = {}
if ARGV[2] ~= '' then codes = settle(cmsgpack.unpack(ARGV[2])) end
local most = tonumber(ARGV[3])
if most == 0 then return cmsgpack.pack({now, codes, 0, 0, 0, {}}) end
local unanswered = {}
for i = 8, #ARGV do unanswered[ARGV[i]] = true end
local nextAt, limited, lastFence = reserve(most, ARGV[4], ARGV[5], ARGV[6], unanswered, ARGV[7] == '1')
return cmsgpack.pack({now, codes, nextAt, limited, lastFence, told})
`,
};
