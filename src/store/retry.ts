/** Lets jobs that have ended run again: as if they were put now, with all of their attempts. */
import { asBackendError } from "../redis/errors.ts";
import { runScript, type Script } from "../redis/script.ts";
import { ATTEMPT, NOW, PRIORITIZE_JOB, TRIM_EVENTS } from "./lua.ts";
import { CANCEL_FIELD, UNKNOWN_SINCE_FIELD, WAITING_FIELD } from "./stored-job.ts";
import type { StoredQueue } from "./stored-queue.ts";

/**
 * What ended before is forgotten: attempts, lost workers, a cancel. Stacks are kept, and so are a put's deadline and
 * expiry, so that a job which is too late ends again at once.
 *
 * @returns the ids that wait now; the others are in another state, or gone
 * @throws BackendError; it may have been done then, and may be done again
 */
export async function retryEnded(queue: StoredQueue, state: "completed" | "failed", ids: readonly string[]): Promise<ReadonlySet<string>> {
  const { client, keys } = queue;
  const outcome = state === "failed" ? "failedReason" : "returnvalue";
  const codes = (await runScript(
    client,
    RETRY,
    [keys[state], keys.wait, keys.active, keys.prioritized, keys.events, keys.meta, keys.marker, keys.priorityCounter],
    [keys.base, state, outcome, ...ids],
  )) as number[];
  const retried = new Set(ids.filter((_, i) => codes[i] === 1));
  for (const id of ids.filter((_, i) => codes[i] === 2)) if (await retryChild(queue, state, id)) retried.add(id);
  return retried;
}

/** A parent waits for it again, perhaps in another queue: BullMQ's script sees to that. */
async function retryChild(queue: StoredQueue, state: "completed" | "failed", id: string): Promise<boolean> {
  const { client, keys } = queue;
  try {
    const stock = await queue.stock();
    await client.hdel(keys.base + id, "stc", "defa", CANCEL_FIELD, UNKNOWN_SINCE_FIELD, WAITING_FIELD);
    await stock.retryFinishedJob({ id, opts: {} } as Parameters<typeof stock.retryFinishedJob>[0], state, { resetAttemptsMade: true });
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === -1 || error.code === -3)) return false;
    throw asBackendError(error);
  }
}

/**
 * KEYS  completed or failed, wait, active, prioritized, events, meta, marker, priority counter
 * ARGV  base, that state, the field of its outcome, id…
 * reply {1 waits now, 0 is not in that state, 2 has a parent and was left as it is, …}
 *
 * A job is placed before it leaves; if it cannot leave, it is taken back.
 */
const RETRY: Script = {
  name: "retry",
  lua: `
local from, wait, active, prioritized, events, meta, marker, counter = unpack(KEYS)
local base, state, outcome = ARGV[1], ARGV[2], ARGV[3]
${NOW}${ATTEMPT}${TRIM_EVENTS}${PRIORITIZE_JOB}
local settings = redis.call('HMGET', meta, 'paused', 'concurrency', 'opts.maxLenEvents')
local capped = settings[2] and redis.call('LLEN', active) >= tonumber(settings[2])
local codes, jobs = {}, {}
for i = 4, #ARGV do
  local id = ARGV[i]
  local fields = redis.call('ZSCORE', from, id) and redis.call('HMGET', base .. id, 'name', 'parentKey', 'priority')
  if not fields or not fields[1] then
    codes[#codes + 1] = 0
  elseif fields[2] then
    codes[#codes + 1] = 2
  else
    codes[#codes + 1] = 1
    jobs[#jobs + 1] = {id, tonumber(fields[3]) or 0}
  end
end
if #jobs == 0 then return codes end
trimEvents(meta, events, settings[3])
for _, job in ipairs(jobs) do
  local id, priority = unpack(job)
  redis.call('HDEL', base .. id, 'finishedOn', 'processedOn', 'atm', 'stc', 'defa', outcome, '${CANCEL_FIELD}', '${UNKNOWN_SINCE_FIELD}', '${WAITING_FIELD}')
  if priority > 0 then prioritizeJob(prioritized, counter, id, priority) else redis.call('LPUSH', wait, id) end
  attempt(function() redis.call('ZREM', from, id) end, function()
    if priority > 0 then redis.call('ZREM', prioritized, id) else redis.call('LPOP', wait) end
  end)
  redis.call('XADD', events, '*', 'event', 'waiting', 'jobId', id, 'prev', state)
end
if not settings[1] and not capped then redis.call('ZADD', marker, 0, '0') end
return codes
`,
};
