/** Reads how jobs stand, many in one script. */
import { reasonOfCancel } from "../job/state.ts";
import { asBackendError } from "../redis/errors.ts";
import { runScript, type Script } from "../redis/script.ts";
import type { StoredQueue } from "./stored-queue.ts";

/** How a job stands. `result` is JSON; `reason` is what ended a failed or cancelled job. */
export type JobReport =
  | { readonly state: "waiting" | "prioritized" | "delayed" | "waiting-children" | "active" }
  | { readonly state: "completed"; readonly result: string | undefined }
  | { readonly state: "failed" | "cancelled"; readonly reason: string; readonly attempts: number }
  /** Not in Redis: removed, past its retention, or never put. */
  | { readonly state: "removed" };

/** @returns one report an id, in order */
export async function inspectJobs(queue: StoredQueue, ids: readonly string[]): Promise<JobReport[]> {
  const { client, keys } = queue;
  const reports: JobReport[] = [];
  for (let from = 0; from < ids.length; from += AT_ONCE) {
    const rows = (await runScript(
      client,
      INSPECT,
      [keys.completed, keys.failed, keys.delayed, keys.prioritized, keys.waitingChildren, keys.active],
      [keys.base, ...ids.slice(from, from + AT_ONCE)],
    )) as [string, string | null, string | null][];
    for (const [state, text, attempts] of rows) reports.push(toReport(state, text, attempts));
  }
  return reports;
}

/** What was told last of how far a job is, as JSON. @throws BackendError */
export async function readProgress({ client, keys }: StoredQueue, id: string): Promise<string | undefined> {
  try {
    return (await client.hget(keys.base + id, "progress")) ?? undefined;
  } catch (error) {
    throw asBackendError(error);
  }
}

const AT_ONCE = 500;

function toReport(state: string, text: string | null, attempts: string | null): JobReport {
  if (state === "completed") return { state, result: text ?? undefined };
  if (state === "failed") {
    const reason = text ?? "";
    const made = Number(attempts ?? 0);
    const cancelled = reasonOfCancel(reason);
    return cancelled === undefined ? { state: "failed", reason, attempts: made } : { state: "cancelled", reason: cancelled, attempts: made };
  }
  return { state: state as "waiting" | "prioritized" | "delayed" | "waiting-children" | "active" | "removed" };
}

/**
 * KEYS  completed, failed, delayed, prioritized, waiting-children, active
 * ARGV  base, id…
 * reply {{state, result or reason, attempts made}, …}
 *
 * What exists and is in none of these waits in a list; only `active` is looked for there, since a list is searched
 * from end to end.
 */
const INSPECT: Script = {
  name: "inspect",
  lua: `
local completed, failed, delayed, prioritized, children, active = unpack(KEYS)
local running
local rows = {}
for i = 2, #ARGV do
  local id = ARGV[i]
  local key = ARGV[1] .. id
  local row
  if redis.call('EXISTS', key) == 0 then
    row = {'removed', false, false}
  elseif redis.call('ZSCORE', completed, id) then
    row = {'completed', redis.call('HGET', key, 'returnvalue'), false}
  elseif redis.call('ZSCORE', failed, id) then
    row = {'failed', redis.call('HGET', key, 'failedReason'), redis.call('HGET', key, 'atm')}
  elseif redis.call('ZSCORE', delayed, id) then
    row = {'delayed', false, false}
  elseif redis.call('ZSCORE', prioritized, id) then
    row = {'prioritized', false, false}
  elseif redis.call('ZSCORE', children, id) then
    row = {'waiting-children', false, false}
  else
    if not running then
      running = {}
      for _, other in ipairs(redis.call('LRANGE', active, 0, -1)) do running[other] = true end
    end
    row = {running[id] and 'active' or 'waiting', false, false}
  end
  rows[#rows + 1] = row
end
return rows
`,
};
