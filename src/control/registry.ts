/**
 * The pools that run, in Redis. An entry ends by itself when its pool does not renew it, so a pool that died is gone
 * although nobody cleans up after it.
 */
import type { Connections } from "../redis/connection.ts";
import { runPacked, runScript, type Script } from "../redis/script.ts";
import { consumedQueuesKey, poolIndexKey, poolKeyBase } from "./keys.ts";
import { bounded, boundedTasks, type PoolEntry, type RunningTask } from "./pool-entry.ts";

type Registry = Pick<Connections, "command" | "prefix">;

/** An entry as it was found. */
export interface RegisteredPool extends PoolEntry {
  /** When it was renewed last, by the server's clock. */
  readonly seenAt: number;
}

/** After so long without a renewal a pool counts as gone. */
export const GONE_AFTER_MS = 8000;
/** The queues that were consumed last, and for how long they are remembered. */
const CONSUMED = { most: 1000, forMs: 90 * 86_400_000 } as const;
/** Entries of some hundred tasks in all: what one script is to read. */
const READ_AT_ONCE = 50;

/** Registers a pool, or renews its entry. @throws BackendError */
export async function register({ command, prefix }: Registry, entry: PoolEntry, tasks: readonly RunningTask[]): Promise<void> {
  const keys = [poolIndexKey(prefix), poolKeyBase(prefix) + entry.id, consumedQueuesKey(prefix)];
  const told = bounded(entry);
  await runScript(command, REGISTER, keys, [entry.id, GONE_AFTER_MS, poolKeyBase(prefix), JSON.stringify(told), JSON.stringify(boundedTasks(tasks)), CONSUMED.most, CONSUMED.forMs, ...told.queues]);
}

/** What a renewal lets live on: for who renews an entry without telling anything new. */
export function keysOf({ prefix }: Pick<Registry, "prefix">, id: string): { readonly prefix: string; readonly keys: readonly string[]; readonly forMs: number } {
  return { prefix, keys: [poolIndexKey(prefix), poolKeyBase(prefix) + id], forMs: GONE_AFTER_MS };
}

/** @throws BackendError */
export async function unregister({ command, prefix }: Registry, id: string): Promise<void> {
  await runScript(command, UNREGISTER, [poolIndexKey(prefix), poolKeyBase(prefix) + id], [id]);
}

/** All pools that run, in the order of their start, of one instant by name. @throws BackendError */
export async function registeredPools(registry: Registry): Promise<RegisteredPool[]> {
  return (await read(registry, "entry")).map(({ pool }) => pool);
}

/** Queues that pools consume, or have consumed within 90 days: those 1000 that were begun last, in no order. Some may have been deleted. @throws BackendError */
export async function consumedQueues({ command, prefix }: Registry): Promise<string[]> {
  return (await runScript(command, CONSUMED_QUEUES, [consumedQueuesKey(prefix)], [])) as string[];
}

/** As `registeredPools`, each with its oldest tasks. @throws BackendError */
export function registeredTasks(registry: Registry): Promise<{ readonly pool: RegisteredPool; readonly tasks: readonly RunningTask[] }[]> {
  return read(registry, "entry", "tasks");
}

async function read({ command, prefix }: Registry, ...fields: readonly ("entry" | "tasks")[]) {
  const ids = (await runScript(command, IDS, [poolIndexKey(prefix)], [])) as string[];
  const found: { readonly pool: RegisteredPool; readonly tasks: readonly RunningTask[] }[] = [];
  for (let from = 0; from < ids.length; from += READ_AT_ONCE) {
    const asked = ids.slice(from, from + READ_AT_ONCE);
    const reply = (await runPacked(command, READ, [poolIndexKey(prefix)], [poolKeyBase(prefix), fields.length, ...fields, ...asked])) as [string | false, string, string?][];
    for (const [seenAt, entry, tasks] of reply) {
      if (seenAt !== false) found.push({ pool: { ...(JSON.parse(entry) as PoolEntry), seenAt: Number(seenAt) }, tasks: tasks === undefined ? [] : (JSON.parse(tasks) as RunningTask[]) });
    }
  }
  const keyOf = ({ name, id }: RegisteredPool): string => `${name} ${id}`;
  return found.toSorted(({ pool: one }, { pool: other }) => one.startedAt - other.startedAt || (keyOf(one) < keyOf(other) ? -1 : 1));
}

/**
 * KEYS  index, entry, consumed queues
 * ARGV  id, goneAfterMs, base of entries, entry, tasks, most of consumed queues, for how many ms they are kept, queue…
 *
 * A full Redis refuses what needs memory: then what stands is kept alive, and a little old. Whoever in the index has gone
 * without a word is removed, some at a time.
 */
const REGISTER: Script = {
  name: "register",
  lua: `
local index, entry = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local stood = redis.call('EXISTS', entry) == 1
local gone = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', 0, 10)) do
  if id ~= ARGV[1] and redis.call('EXISTS', ARGV[3] .. id) == 0 then gone[#gone + 1] = id end
end
local written = redis.pcall('HSET', entry, 'seenAt', now, 'entry', ARGV[4], 'tasks', ARGV[5])
if type(written) == 'table' and written.err then
  if not stood then return written end
else
  redis.pcall('ZADD', index, now + ARGV[2], ARGV[1])
end
redis.call('PEXPIRE', entry, ARGV[2])
redis.call('PEXPIRE', index, ARGV[2])
if #gone > 0 then redis.call('ZREM', index, unpack(gone)) end
if not stood then
  for i = 8, #ARGV do redis.pcall('ZADD', KEYS[3], now, ARGV[i]) end
  redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -1 - ARGV[6])
  redis.call('PEXPIRE', KEYS[3], ARGV[7])
end
return 1
`,
};

/**
 * KEYS  index, entry
 * ARGV  id
 */
const UNREGISTER: Script = {
  name: "unregister",
  lua: `
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
`,
};

/**
 * KEYS  index
 * reply {id, …}
 */
const IDS: Script = { name: "pool-ids", lua: `return redis.call('ZRANGE', KEYS[1], 0, -1)` };

/**
 * KEYS  consumed queues
 * reply {name, …}
 */
const CONSUMED_QUEUES: Script = { name: "consumed-queues", lua: `return redis.call('ZRANGE', KEYS[1], 0, -1)` };

/**
 * KEYS  index, for the slot that a cluster looks for it in
 * ARGV  base of entries, n, field 1 … field n, id…
 * reply msgpack {{seenAt, field 1 … field n}, …}, in order; `false` for one that is gone
 */
const READ: Script = {
  name: "read-pools",
  lua: `
local fields, count = {'seenAt'}, tonumber(ARGV[2])
for i = 1, count do fields[#fields + 1] = ARGV[2 + i] end
local entries = {}
for i = 3 + count, #ARGV do entries[#entries + 1] = redis.call('HMGET', ARGV[1] .. ARGV[i], unpack(fields)) end
return cmsgpack.pack(entries)
`,
};
