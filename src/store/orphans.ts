/**
 * Finds orphans: jobs whose hash is there, and which are in no state. Nobody will ever run them, count them or let them go.
 * A script of ours or of BullMQ's leaves none; a restore, a failed import or a key deleted by hand does.
 */
import { asBackendError } from "../redis/errors.ts";
import { runScript, type Script } from "../redis/script.ts";
import type { StoredQueue } from "./stored-queue.ts";

export interface Orphans {
  /** Jobs that were looked at. */
  readonly looked: number;
  /** At most a hundred of them, each looked at again in one step. */
  readonly ids: readonly string[];
}

const PAGE = 1000;
const MOST_TOLD = 100;

/**
 * @param most  so many jobs are looked at, of which so many may be held in memory; `Infinity` looks at all
 * @throws BackendError; the signal's reason
 */
export async function findOrphans(queue: StoredQueue, most: number, signal?: AbortSignal): Promise<Orphans> {
  try {
    const { looked, suspects } = await outsideOfSets(queue, most, signal);
    for (const list of [queue.keys.wait, queue.keys.paused, queue.keys.active]) {
      for (let from = 0; suspects.size > 0; from += PAGE * 10) {
        signal?.throwIfAborted();
        const ids = await queue.client.lrange(list, String(from), String(from + PAGE * 10 - 1));
        for (const id of ids) suspects.delete(id);
        if (ids.length < PAGE * 10) break;
      }
    }
    // It may have moved while the lists were read.
    const ids = suspects.size === 0 ? [] : await confirmed(queue, [...suspects]);
    return { looked, ids };
  } catch (error) {
    signal?.throwIfAborted();
    throw asBackendError(error);
  }
}

/** What is in none of the sorted sets: it waits or runs, or is an orphan. */
async function outsideOfSets({ client, keys }: StoredQueue, most: number, signal: AbortSignal | undefined): Promise<{ looked: number; suspects: Set<string> }> {
  const suspects = new Set<string>();
  const pattern = `${keys.base.replaceAll(/[\\*?[\]^-]/g, String.raw`\$&`)}*`;
  let looked = 0;
  for (let cursor = "0"; ; ) {
    signal?.throwIfAborted();
    const [next, found] = await client.scan(cursor, "MATCH", pattern, "COUNT", PAGE, "TYPE", "hash");
    const ids = found.map((key) => key.slice(keys.base.length)).filter(isJobId);
    if (ids.length > 0) {
      const sets = [keys.completed, keys.failed, keys.delayed, keys.prioritized, keys.waitingChildren];
      for (const id of (await runScript(client, OUTSIDE, sets, ids)) as string[]) suspects.add(id);
    }
    looked += ids.length;
    if (next === "0" || looked >= most) return { looked, suspects };
    cursor = next;
  }
}

/** Of the keys of a queue that are hashes: not its settings, nor what belongs to a job or a schedule. */
function isJobId(rest: string): boolean {
  return rest.includes(":") ? /^repeat:.+:\d+$/.test(rest) : rest !== "meta";
}

async function confirmed({ client, keys }: StoredQueue, suspects: readonly string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const id of suspects) {
    const lists = [keys.wait, keys.paused, keys.active, keys.completed, keys.failed, keys.delayed, keys.prioritized, keys.waitingChildren];
    if ((await runScript(client, NOWHERE, [...lists, keys.base + id], [id])) === 1) ids.push(id);
    if (ids.length === MOST_TOLD) break;
  }
  return ids;
}

/**
 * KEYS  sorted sets
 * ARGV  id…
 * reply ids that are in none
 */
const OUTSIDE: Script = {
  name: "outside-of-sets",
  lua: `
local outside = {}
for _, id in ipairs(ARGV) do
  local isIn = false
  for _, set in ipairs(KEYS) do isIn = isIn or redis.call('ZSCORE', set, id) end
  if not isIn then outside[#outside + 1] = id end
end
return outside
`,
};

/**
 * KEYS  wait, paused, active, completed, failed, delayed, prioritized, waiting-children, job
 * ARGV  id
 * reply 1 where the job is there, and in no state
 */
const NOWHERE: Script = {
  name: "nowhere",
  lua: `
if redis.call('EXISTS', KEYS[9]) == 0 then return 0 end
for i = 1, 3 do if redis.call('LPOS', KEYS[i], ARGV[1]) then return 0 end end
for i = 4, 8 do if redis.call('ZSCORE', KEYS[i], ARGV[1]) then return 0 end end
return 1
`,
};
