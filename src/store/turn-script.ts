/** The script of the hot path: what ended is settled, and what is free is filled, in one round trip. */
import { runRaw, type Script, unpack } from "../redis/script.ts";
import { ATTEMPT, NEXT_DELAYED, NOW } from "./lua.ts";
import { readReserved, RESERVE, type Reserved, type ReserveRequest } from "./reserve-script.ts";
import type { ToldJobs } from "./reserved-jobs.ts";
import { readSettled, type Answer } from "./settle-by-stock.ts";
import { SETTLE } from "./settle-script.ts";
import { packSettlements, type SettleCode, type Settlement } from "./settlement.ts";
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
 * @param client  another one than for commands that do not block
 * @throws BackendError; the script's own errors
 */
export async function takeTurn(queue: StoredQueue, settlements: readonly Settlement[], hasRun: boolean, request: ReserveRequest | undefined, client = queue.client): Promise<Turn> {
  const { keys } = queue;
  const [now, nextDelayedAt, limitedForMs, lastFence, plain, rest, ...data] = (await runRaw(
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
  )) as [number, number, number, number, Buffer, Buffer, ...Buffer[]];
  const [codes, others] = (rest.length === 0 ? [[], []] : unpack(rest)) as [SettleCode[], ToldJobs["others"]];
  const told: ToldJobs = { plain: plain.length === 0 ? [] : (unpack(plain) as ToldJobs["plain"]), data, others };
  return {
    settled: readSettled(queue, settlements, codes, hasRun),
    reserved: request === undefined ? undefined : readReserved([now, nextDelayedAt, limitedForMs, lastFence, told], request),
  };
}

/**
 * KEYS  wait, active, prioritized, delayed, completed, failed, events, meta, marker, priority counter, stalled, limiter, fence
 * ARGV  base, settlements as packed or "", most or 0, token, leaseMs, worker, 1 for nothing but what the following leased or 0, unanswered token…
 * reply {now, next delayed at, limited for ms, last fence, msgpack {plain jobs' values, …} or "", msgpack {{code, …} or {} if all are done, {other job, …}} or "", plain job's payload…}
 *
 * Straight on, without functions where most turns pass: each is made anew in every run, and takes each variable from outside that it uses
 * along. What is rare stands in the branch that needs it, with its functions (0018 tells what that costs).
 */
const TURN: Script = {
  name: "turn",
  lua: `
local wait, active, prioritized, delayed, completed, failed, events, meta, marker, counter, stalled, limiter, fence = unpack(KEYS)
local base = ARGV[1]
local state = redis.call('HMGET', meta, 'paused', 'concurrency', 'max', 'duration', 'opts.maxLenEvents')
${NOW}${ATTEMPT}${NEXT_DELAYED}
local codes, hasLeft, hasEnded, isGivenBack = {}, false, false, false
if ARGV[2] ~= '' then
  ${SETTLE}
end
local taken, isFull, nextAt, limited, lastFence, plain, others, reply = 0, false, 0, 0, 0, {}, {}, {0, 0, 0, 0, '', ''}
local most = tonumber(ARGV[3])
if most > 0 then
  ${RESERVE}
end

-- Who took all that it asked for may not be back soon, a capped queue has room again, and what was given back waits: whoever sleeps is woken.
if isFull or isGivenBack or (hasLeft and state[2]) or (hasEnded and taken == 0) then
  local anyWaits = redis.call('LLEN', wait) > 0 or redis.call('ZCARD', prioritized) > 0
  if anyWaits and not state[1] then
    if isFull or isGivenBack or state[2] then redis.call('ZADD', marker, '0', '0') end
  elseif isFull and nextAt > 0 then
    redis.call('ZADD', marker, nextAt, '1')
  end
  if hasEnded and taken == 0 and not anyWaits and redis.call('LLEN', active) == 0 then redis.call('XADD', events, '*', 'event', 'drained') end
end
reply[1], reply[2], reply[3], reply[4] = now, isFull and 0 or nextAt, limited, lastFence
if #plain > 0 then reply[5] = cmsgpack.pack(plain) end
if #codes > 0 or #others > 0 then reply[6] = cmsgpack.pack({codes, others}) end
return reply
`,
};
