/**
 * Finds orphans: jobs whose hash is there, and which are in no state. Nobody will ever run them, count them or let them go.
 * A script of ours or of BullMQ's leaves none; a restore, a failed import or a key deleted by hand does.
 */
import type { Redis } from "ioredis";
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
/** Of a sample, and the keys that one walk for it looks at: a tenth of a second of the server. */
const SAMPLED = 1000;
const SAMPLE_STEPS = 50;

/**
 * Ids of some jobs of each of these queues, by its name: a thousand of each, or as many as one walk over 50,000 keys meets. Redis
 * knows no keys of one queue: a walk for each of a thousand queues would look at every key a thousand times.
 *
 * @throws BackendError; the signal's reason
 */
export async function sampleJobs(client: Redis, prefix: string, names: readonly string[], signal?: AbortSignal): Promise<ReadonlyMap<string, readonly string[]>> {
  try {
    return await sample(client, prefix, names, signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw asBackendError(error);
  }
}

async function sample(client: Redis, prefix: string, names: readonly string[], signal: AbortSignal | undefined): Promise<ReadonlyMap<string, readonly string[]>> {
  const samples = new Map(names.map((name): [string, string[]] => [name, []]));
  const left = new Set(names);
  let steps = 0;
  for await (const keys of hashes(client, `${prefix}:`, signal)) {
    for (const key of keys) {
      const end = key.indexOf(":", prefix.length + 1);
      const name = key.slice(prefix.length + 1, end);
      const id = key.slice(end + 1);
      if (end === -1 || !left.has(name) || !isJobId(id)) continue;
      if (samples.get(name)!.push(id) >= SAMPLED) left.delete(name);
    }
    if (left.size === 0 || (steps += 1) === SAMPLE_STEPS) break;
  }
  return samples;
}

/**
 * @param among  these jobs, or all of the queue: in memory are those that wait and run
 * @throws BackendError; the signal's reason
 */
export async function findOrphans(queue: StoredQueue, among: readonly string[] | "all", signal?: AbortSignal): Promise<Orphans> {
  try {
    const { looked, suspects } = await outsideOfSets(queue, among, signal);
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
async function outsideOfSets(queue: StoredQueue, among: readonly string[] | "all", signal: AbortSignal | undefined): Promise<{ looked: number; suspects: Set<string> }> {
  const { client, keys } = queue;
  const suspects = new Set<string>();
  let looked = 0;
  for await (const ids of among === "all" ? allJobs(queue, signal) : [among]) {
    looked += ids.length;
    if (ids.length === 0) continue;
    const sets = [keys.completed, keys.failed, keys.delayed, keys.prioritized, keys.waitingChildren];
    for (const id of (await runScript(client, OUTSIDE, sets, ids)) as string[]) suspects.add(id);
  }
  return { looked, suspects };
}

async function* allJobs({ client, keys }: StoredQueue, signal: AbortSignal | undefined): AsyncGenerator<readonly string[], void> {
  for await (const found of hashes(client, keys.base, signal)) yield found.map((key) => key.slice(keys.base.length)).filter(isJobId);
}

/** Keys of hashes that begin so, a page at a time. */
async function* hashes(client: Redis, base: string, signal: AbortSignal | undefined): AsyncGenerator<readonly string[], void> {
  const pattern = `${base.replaceAll(/[\\*?[\]^-]/g, String.raw`\$&`)}*`;
  for (let cursor = "0"; ; ) {
    signal?.throwIfAborted();
    const [next, found] = await client.scan(cursor, "MATCH", pattern, "COUNT", PAGE, "TYPE", "hash");
    yield found;
    if (next === "0") return;
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
