/**
 * Leases that have run out: their jobs are claimed anew when their holder is gone.
 *
 * ```
 *            reserve: lease, fence + 1             ack, fail, cancelled
 *   waiting ────────────────────────► leased ─────────────────────────► completed, failed
 *      ▲                              │ ▲  │ ▲
 *      ├─── retry, release ───────────┘ │  │ └─ renew, or settle: while nobody was started since
 *      │                                │  ▼
 *      │              claim: fence + 1  │  active, the lease has run out
 *      └─── retry: one attempt ◄────────┘
 * ```
 *
 * A settlement is taken from who holds the lease, or held it last with nobody started since; any other is refused. All
 * that two workers can do to two jobs by these rules is explored in `test/store/lease-protocol.test.ts`, beside the scripts.
 */
import { runPacked, type Script } from "../redis/script.ts";
import { NOW, TRIM_EVENTS } from "./lua.ts";
import type { Leased } from "./reserve-script.ts";
import { planNextRunIfAny } from "./schedule.ts";
import { readStoredJob, WAITING_FIELD } from "./stored-job.ts";
import type { StoredQueue } from "./stored-queue.ts";

/** A job whose holder is gone, leased to whoever claimed it. */
export interface Claimed extends Leased {
  /** Who held it; `undefined` where nobody says. */
  readonly holder: string | undefined;
  /** When that one took it, by the server's clock. */
  readonly takenAt: number;
  /** If not, it waited to run alone. */
  readonly hadBegun: boolean;
}

/**
 * Claims active jobs whose holder has stopped renewing: they come back as deliveries under a lease of ours, to be
 * settled by the retry policy.
 *
 * A job is claimed when two rounds in a row found it without a lease, so that a holder that was only held up (a
 * paused Redis) can renew first. However many processes ask, there is one round in `everyMs`; each keeps BullMQ's own
 * stall check away for `holdMs`. Runs of schedules have their next run planned, which their holder may not have come to.
 *
 * @throws BackendError; what was claimed then comes again, as its lease runs out
 */
export async function claimExpired(
  queue: StoredQueue,
  request: { readonly token: string; readonly leaseMs: number; readonly everyMs: number; readonly holdMs: number; readonly most: number },
): Promise<Claimed[]> {
  const { client, keys } = queue;
  const reply = (await runPacked(
    client,
    CLAIM,
    [
      keys.active, keys.stalled, keys.stalledCheck, keys.events, keys.meta, keys.fence,
      keys.wait, keys.prioritized, keys.delayed, keys.completed, keys.failed,
    ],
    [keys.base, request.token, request.leaseMs, request.holdMs, request.most, request.everyMs],
  )) as [number, [string, string[]][]];
  const [lastFence, rows] = reply;
  const claimed = rows.map(([id, flat], i) => ({ ...readClaimed(id, flat), token: request.token, fence: lastFence - rows.length + 1 + i }));
  await Promise.all(claimed.map(({ job }) => planNextRunIfAny(queue, job)));
  return claimed;
}

function readClaimed(id: string, flat: readonly string[]): Pick<Claimed, "job" | "holder" | "takenAt" | "hadBegun"> {
  const field = (name: string): string | undefined => flat.find((_, i) => i % 2 === 1 && flat[i - 1] === name);
  const job = readStoredJob(id, flat);
  return { job, holder: field("pb") || undefined, takenAt: Number(field("processedOn") ?? 0), hadBegun: field(WAITING_FIELD) !== String(job.starts) };
}

/**
 * KEYS  active, stalled, stalled-check, events, meta, fence, wait, prioritized, delayed, completed, failed
 * ARGV  base, token, leaseMs, holdMs, most, everyMs
 * reply msgpack {last fence, {{id, {field, value, …}}, …}}
 *
 * A script that broke off half-way may have left a job in two places, as older versions of ours could, and BullMQ's can: one that
 * is elsewhere as well only leaves `active`.
 *
 * A full Redis refuses a script's first write where it needs memory, and no later one: hence the `DEL`.
 */
const CLAIM: Script = {
  name: "claim",
  lua: `
local active, stalled, check, events, meta, fence, wait, prioritized, delayed, completed, failed = unpack(KEYS)
local base, token, leaseMs, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[5])
${NOW}${TRIM_EVENTS}
-- A check of BullMQ's own, which writes the bare instant, is no round of ours.
local last = tonumber(string.match(redis.call('GET', check) or '', '^millrace:(%d+)$'))
if last and math.abs(now - last) < tonumber(ARGV[6]) then return cmsgpack.pack({0, {}}) end
redis.call('DEL', check)
redis.call('SET', check, string.format('millrace:%.0f', now), 'PX', ARGV[4])
local function isElsewhere(id)
  for _, key in ipairs({completed, failed, delayed, prioritized}) do
    if redis.call('ZSCORE', key, id) then return true end
  end
  return redis.call('LPOS', wait, id, 'MAXLEN', 1000) or redis.call('LPOS', wait, id, 'RANK', -1, 'MAXLEN', 1000)
end
local claimed, rows = {}, {}
for _, id in ipairs(redis.call('LRANGE', active, 0, -1)) do
  if #claimed < most and redis.call('EXISTS', base .. id .. ':lock') == 0 then
    if isElsewhere(id) then
      redis.call('LREM', active, -1, id)
    elseif redis.call('SADD', stalled, id) == 0 then
      claimed[#claimed + 1] = id
    end
  end
end
if #claimed == 0 then return cmsgpack.pack({0, {}}) end
trimEvents(meta, events, redis.call('HGET', meta, 'opts.maxLenEvents'))
redis.call('SREM', stalled, unpack(claimed))
for i, id in ipairs(claimed) do
  local key = base .. id
  redis.call('SET', key .. ':lock', token, 'PX', leaseMs)
  local delivery = redis.call('HMGET', key, 'ats', '${WAITING_FIELD}')
  if not delivery[2] or delivery[1] ~= delivery[2] then redis.call('HINCRBY', key, 'stc', 1) end
  redis.call('XADD', events, '*', 'event', 'stalled', 'jobId', id)
  rows[i] = {id, redis.call('HGETALL', key)}
end
return cmsgpack.pack({redis.call('INCRBY', fence, #claimed), rows})
`,
};
