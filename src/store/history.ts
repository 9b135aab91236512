/**
 * The history of a queue: what happened in it, in steps of ten seconds for an hour and of five minutes for seven days.
 *
 * A step is a hash of counts that whoever works on the queue adds to, and that goes by itself when it is old. So it takes
 * so much memory and no more: 2,400 hashes a queue, most of them below a kilobyte.
 */
import { asBackendError } from "../redis/errors.ts";
import { runPacked, runScript, type Script } from "../redis/script.ts";
import { historyBeganKey, historyKey } from "./keys.ts";
import type { StoredQueue } from "./stored-queue.ts";

const FINE = Object.freeze({ stepMs: 10_000, keptMs: 3_600_000 });
const COARSE = Object.freeze({ stepMs: 300_000, keptMs: 7 * 86_400_000 });
/** So far back there is any. */
export const HISTORY_MS = COARSE.keptMs;

/** What happened within one step. Nothing is kept of a step in which nothing did, and nothing waited. */
export interface HistoryStep {
  /** When it began, by the server's clock, in milliseconds. */
  readonly at: number;
  readonly fields: ReadonlyMap<string, number>;
  /** Jobs that were ready or running when it was last written to. */
  readonly backlog: number;
}

export interface HistorySteps {
  readonly stepMs: number;
  readonly from: number;
  /** Before it nothing was written down, within these seven days; undefined where nothing was in any step. */
  readonly beganAt: number | undefined;
  /** The server's now. */
  readonly to: number;
  /** Oldest first. */
  readonly steps: readonly HistoryStep[];
}

/** @throws BackendError */
export async function recordHistory(queue: StoredQueue, fields: Iterable<readonly [string, number]>): Promise<void> {
  const { client, keys, connections } = queue;
  const now = connections.clock.now();
  const steps = [FINE, COARSE].map(({ stepMs }) => historyKey(keys, stepMs, now - (now % stepMs)));
  const lives = [FINE, COARSE].map(({ stepMs, keptMs }) => keptMs + 2 * stepMs);
  await runScript(client, RECORD, [...steps, historyBeganKey(keys), keys.wait, keys.paused, keys.prioritized, keys.active], [...lives, now - (now % FINE.stepMs), ...[...fields].flat()]);
}

/**
 * The steps since then, and the one that runs: fine ones where all of the time has them.
 *
 * @param sinceMs  how far back, in milliseconds; beyond `HISTORY_MS` there is nothing
 * @throws BackendError
 */
export async function readHistorySteps({ client, keys, connections }: StoredQueue, sinceMs: number): Promise<HistorySteps> {
  const { stepMs } = sinceMs <= FINE.keptMs ? FINE : COARSE;
  const to = connections.clock.now();
  const from = Math.floor((to - Math.min(sinceMs, HISTORY_MS)) / stepMs) * stepMs;
  const instants = Array.from({ length: Math.floor((to - from) / stepMs) + 1 }, (_, i) => from + i * stepMs);
  const began = await client.get(historyBeganKey(keys)).catch((error: unknown) => Promise.reject(asBackendError(error)));
  const steps: HistoryStep[] = [];
  for (let first = 0; first < instants.length; first += AT_ONCE) {
    const asked = instants.slice(first, first + AT_ONCE);
    const rows = (await runPacked(client, READ, asked.map((at) => historyKey(keys, stepMs, at)), [])) as [number, string[]][];
    for (const [position, flat] of rows) {
      const fields = new Map<string, number>();
      for (let i = 0; i + 1 < flat.length; i += 2) fields.set(flat[i]!, Number(flat[i + 1]));
      steps.push({ at: asked[position - 1]!, fields, backlog: fields.get("backlog") ?? 0 });
    }
  }
  return { stepMs, from, beganAt: began === null ? undefined : Number(began), to, steps };
}

const AT_ONCE = 120;

/**
 * KEYS  fine step, coarse step, when the first began, wait, paused, prioritized, active
 * ARGV  life of the one in milliseconds, and of the other, when the fine one began, {field, count to add}…
 */
const RECORD: Script = {
  name: "record-history",
  lua: `
local backlog = redis.call('LLEN', KEYS[4]) + redis.call('LLEN', KEYS[5]) + redis.call('ZCARD', KEYS[6]) + redis.call('LLEN', KEYS[7])
if #ARGV == 3 and backlog == 0 then return end
for step = 1, 2 do
  redis.call('HSET', KEYS[step], 'backlog', backlog)
  for i = 4, #ARGV, 2 do redis.call('HINCRBY', KEYS[step], ARGV[i], ARGV[i + 1]) end
  redis.call('PEXPIRE', KEYS[step], ARGV[step])
end
redis.call('SET', KEYS[3], ARGV[3], 'NX')
redis.call('PEXPIRE', KEYS[3], ARGV[2])
`,
};

/**
 * KEYS  steps
 * reply msgpack {{position, {field, value, …}}, …} of those that there are
 */
const READ: Script = {
  name: "read-history",
  lua: `
local rows = {}
for i, key in ipairs(KEYS) do
  local hash = redis.call('HGETALL', key)
  if #hash > 0 then rows[#rows + 1] = {i, hash} end
end
return cmsgpack.pack(rows)
`,
};
