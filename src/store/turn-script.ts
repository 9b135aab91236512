/** The script of the hot path: what ended is settled, and what is free is filled, in one round trip. */
import { runPacked, type Script } from "../redis/script.ts";
import { DELAY_JOB, NOW, PRIORITIZE_JOB, PROMOTE_DUE, TRIM_EVENTS } from "./lua.ts";
import { readReserved, RESERVE, type Reserved, type ReserveReply, type ReserveRequest } from "./reserve-script.ts";
import { packSettlements, readSettled, SETTLE, type Settled, type Settlement } from "./settle-script.ts";
import type { StoredQueue } from "./stored-queue.ts";

export interface Turn {
  /** What became of each settlement, in order. */
  readonly settled: Promise<Settled[]>;
  /** `undefined` when nothing was asked for. */
  readonly reserved: Reserved | undefined;
}

/** Settles, then reserves: a job that is given back may come again at once, and a capped queue has room again. */
export async function takeTurn(queue: StoredQueue, settlements: readonly Settlement[], request: ReserveRequest | undefined): Promise<Turn> {
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
      request?.most ?? 0, request?.token ?? "", request?.leaseMs ?? 0, request?.worker ?? "",
    ],
  )) as [number, number[], ...ReserveReply];
  return {
    settled: readSettled(queue, settlements, codes),
    reserved: request === undefined ? undefined : readReserved(now, reply, request),
  };
}

/**
 * KEYS  wait, active, prioritized, delayed, completed, failed, events, meta, marker, priority counter, stalled, limiter, fence
 * ARGV  base, msgpack of settlements or "", most or 0, token, leaseMs, worker
 * reply msgpack {now, {code, …}, next delayed at, limited for ms, last fence, {{id, {field, value, …}}, …}}
 */
const TURN: Script = {
  name: "turn",
  lua: `
local wait, active, prioritized, delayed, completed, failed, events, meta, marker, counter, stalled, limiter, fence = unpack(KEYS)
local base = ARGV[1]
${NOW}${TRIM_EVENTS}${DELAY_JOB}${PRIORITIZE_JOB}${PROMOTE_DUE}${SETTLE}${RESERVE}
local codes = {}
if ARGV[2] ~= '' then codes = settle(cmsgpack.unpack(ARGV[2])) end
local most = tonumber(ARGV[3])
if most == 0 then return cmsgpack.pack({now, codes, 0, 0, 0, {}}) end
local next, limited, lastFence, rows = reserve(most, ARGV[4], ARGV[5], ARGV[6])
return cmsgpack.pack({now, codes, next, limited, lastFence, rows})
`,
};
