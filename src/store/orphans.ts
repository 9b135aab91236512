/**
 * Finds orphans: jobs whose hash is there, and which are in no state. Nobody will ever run them, count them or let them go. And
 * what is left of jobs whose hash is gone: their logs, say. A script of ours or of BullMQ's leaves neither; a restore, a failed
 * import or a key deleted by hand does.
 */
import type { Redis } from "ioredis";
import { asBackendError } from "../redis/errors.ts";
import { runScript, type Script } from "../redis/script.ts";
import { jobKeyOf, type JobKey } from "./job-parts.ts";
import type { StoredQueue } from "./stored-queue.ts";

export interface Orphans {
  /** Jobs that were looked at. */
  readonly looked: number;
  /** At most a hundred of them, each looked at again in one step. */
  readonly ids: readonly string[];
  /** At most a hundred keys of jobs that are gone, without what all keys of the queue begin with: `17:logs`. */
  readonly parts: readonly string[];
}

const PAGE = 1000;
const MOST_TOLD = 100;
/** Of a sample, and the keys that one walk for it looks at: a tenth of a second of the server. */
const SAMPLED = 1000;
const SAMPLE_STEPS = 50;

/**
 * Some keys of the jobs of each of these queues, by its name: a thousand jobs of each and as many parts, or as many as one walk over
 * 50,000 keys meets. Redis knows no keys of one queue: a walk for each of a thousand queues would look at every key a thousand times.
 *
 * @throws BackendError; the signal's reason
 */
export async function sampleJobs(client: Redis, prefix: string, names: readonly string[], signal?: AbortSignal): Promise<ReadonlyMap<string, readonly JobKey[]>> {
  try {
    return await sample(client, prefix, names, signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw asBackendError(error);
  }
}

async function sample(client: Redis, prefix: string, names: readonly string[], signal: AbortSignal | undefined): Promise<ReadonlyMap<string, readonly JobKey[]>> {
  const samples = new Map(names.map((name) => [name, { jobs: [] as JobKey[], parts: [] as JobKey[] }]));
  const left = new Set(names);
  let steps = 0;
  for await (const keys of keysFrom(client, `${prefix}:`, signal)) {
    for (const key of keys) {
      const end = key.indexOf(":", prefix.length + 1);
      const name = key.slice(prefix.length + 1, end);
      const jobKey = end !== -1 && left.has(name) ? jobKeyOf(key.slice(end + 1)) : undefined;
      if (jobKey === undefined) continue;
      const { jobs, parts } = samples.get(name)!;
      if (jobKey.part === undefined) jobs.push(jobKey);
      else if (parts.length < SAMPLED) parts.push(jobKey);
      if (jobs.length >= SAMPLED) left.delete(name);
    }
    if (left.size === 0 || (steps += 1) === SAMPLE_STEPS) break;
  }
  return new Map(Array.from(samples, ([name, { jobs, parts }]) => [name, [...jobs, ...parts]]));
}

/**
 * @param among  these keys, or all of the queue's jobs: in memory are those that wait and run
 * @throws BackendError; the signal's reason
 */
export async function findOrphans(queue: StoredQueue, among: readonly JobKey[] | "all", signal?: AbortSignal): Promise<Orphans> {
  try {
    const { looked, suspects, parts } = await look(queue, among, signal);
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
    return { looked, ids, parts };
  } catch (error) {
    signal?.throwIfAborted();
    throw asBackendError(error);
  }
}

/** What is in none of the sorted sets: it waits or runs, or is an orphan. And parts without a job, seen in one step with that. */
async function look(queue: StoredQueue, among: readonly JobKey[] | "all", signal: AbortSignal | undefined): Promise<{ looked: number; suspects: Set<string>; parts: string[] }> {
  const { client, keys } = queue;
  const suspects = new Set<string>();
  const parts: string[] = [];
  let looked = 0;
  for await (const found of among === "all" ? allJobs(queue, signal) : [among]) {
    const ids = found.flatMap(({ id, part }) => (part === undefined ? [id] : []));
    const beside = found.flatMap(({ id, part }) => (part === undefined ? [] : [id, part]));
    looked += ids.length;
    if (ids.length > 0) {
      const sets = [keys.completed, keys.failed, keys.delayed, keys.prioritized, keys.waitingChildren];
      for (const id of (await runScript(client, OUTSIDE, sets, ids)) as string[]) suspects.add(id);
    }
    if (beside.length > 0 && parts.length < MOST_TOLD) parts.push(...((await runScript(client, PARTS, [keys.meta], [keys.base, ...beside])) as string[]));
  }
  return { looked, suspects, parts: [...new Set(parts)].slice(0, MOST_TOLD) };
}

async function* allJobs({ client, keys }: StoredQueue, signal: AbortSignal | undefined): AsyncGenerator<readonly JobKey[], void> {
  for await (const found of keysFrom(client, keys.base, signal)) yield found.flatMap((key) => jobKeyOf(key.slice(keys.base.length)) ?? []);
}

/** Keys that begin so, a page at a time. */
async function* keysFrom(client: Redis, base: string, signal: AbortSignal | undefined): AsyncGenerator<readonly string[], void> {
  const pattern = `${base.replaceAll(/[\\*?[\]^-]/g, String.raw`\$&`)}*`;
  for (let cursor = "0"; ; ) {
    signal?.throwIfAborted();
    const [next, found] = await client.scan(cursor, "MATCH", pattern, "COUNT", PAGE);
    yield found;
    if (next === "0") return;
    cursor = next;
  }
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
 * KEYS  meta, for the slot that a cluster looks for it in
 * ARGV  base, {id, part}…
 * reply those whose job is not there, as id:part; a lock that runs out is left to that
 */
const PARTS: Script = {
  name: "parts-without-a-job",
  lua: `
local base, left = ARGV[1], {}
for i = 2, #ARGV, 2 do
  local key = base .. ARGV[i]
  local part = key .. ':' .. ARGV[i + 1]
  if redis.call('EXISTS', key) == 0 and redis.call('PTTL', part) == -1 then left[#left + 1] = ARGV[i] .. ':' .. ARGV[i + 1] end
end
return left
`,
};

/** `isNowhere(id, states)`: in none of wait, paused, active, completed, failed, delayed, prioritized and waiting-children. */
export const NOWHERE_OF = `
local function isNowhere(id, states)
  for i = 1, 3 do if redis.call('LPOS', states[i], id) then return false end end
  for i = 4, 8 do if redis.call('ZSCORE', states[i], id) then return false end end
  return true
end
`;

/**
 * KEYS  wait, paused, active, completed, failed, delayed, prioritized, waiting-children, job
 * ARGV  id
 * reply 1 where the job is there, and in no state
 */
const NOWHERE: Script = { name: "nowhere", lua: `${NOWHERE_OF} return redis.call('TYPE', KEYS[9]).ok == 'hash' and isNowhere(ARGV[1], KEYS) and 1 or 0` };
