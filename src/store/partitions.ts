/**
 * A queue in partitions: queues of Redis that are one to whoever uses it. Each is BullMQ's, of the same name, under a prefix
 * of its own, which is a hash tag: `{bull-0}`, `{bull-1}`, …. How many there are stands in the meta of the queue of the plain
 * prefix, `bull`, which is one of them as well, for whoever knows nothing of partitions.
 */
import { PartitionsError } from "../errors.ts";
import { asBackendError } from "../redis/errors.ts";
import { runScript, type Script } from "../redis/script.ts";
import { storedQueue, type StoredQueue } from "./stored-queue.ts";

/** Of a queue's meta. */
const PARTITIONS_FIELD = "millrace.partitions";

/** What the prefixes of all partitions begin with: a number and the end of the tag follow. */
export function partitionsTag(prefix: string): string {
  return `{${prefix.replace(/^\{(.*)\}$/, "$1")}-`;
}

/** The partitions of a queue, in order. On a cluster each has its own connections, to be opened. */
export function storedPartitions({ connections, prefix, name }: StoredQueue, count: number): StoredQueue[] {
  return Array.from({ length: count }, (_, i) => {
    const own = `${partitionsTag(prefix)}${i}}`;
    return storedQueue(connections.at(own), own, name);
  });
}

/**
 * Every queue of Redis that a queue is: itself, and its partitions where it has any, connected.
 *
 * @throws BackendError
 */
export async function partitionsOf(queue: StoredQueue): Promise<readonly StoredQueue[]> {
  const count = await countPartitions(queue);
  const partitions = count === 1 ? [] : storedPartitions(queue, count);
  await Promise.all(partitions.map(({ connections }) => connections.open()));
  return [queue, ...partitions];
}

/** In how many partitions a queue is stored; 1 is none. @throws BackendError */
export async function countPartitions({ client, keys }: StoredQueue): Promise<number> {
  try {
    return Number((await client.hget(keys.meta, PARTITIONS_FIELD)) ?? 1);
  } catch (error) {
    throw asBackendError(error);
  }
}

/**
 * Notes in how many partitions the queue is, if nobody has yet; 1 is none, and is not noted.
 *
 * @throws PartitionsError when it is another number; BackendError, BackendFullError
 */
export async function claimPartitions({ name, client, keys }: StoredQueue, wanted: number): Promise<void> {
  const stored = (await runScript(client, CLAIM_PARTITIONS, [keys.meta], [wanted])) as number;
  if (stored === wanted) return;
  throw new PartitionsError(
    `expected queue ${name} ${wanted === 1 ? "without partitions" : `in ${wanted} partitions`}, got one that is stored in ${stored}: defineQueue("${name}", { partitions: ${stored} }). ` +
      `To change that, end all who use it, let it run empty or move its jobs away, and then: millrace queue delete ${name}`,
    { stored, wanted },
  );
}

/**
 * KEYS  meta
 * ARGV  how many partitions
 * reply how many are noted now
 */
const CLAIM_PARTITIONS: Script = {
  name: "claim-partitions",
  lua: `
local noted = redis.call('HGET', KEYS[1], '${PARTITIONS_FIELD}')
if not noted and ARGV[1] ~= '1' then
  redis.call('HSET', KEYS[1], '${PARTITIONS_FIELD}', ARGV[1])
  noted = ARGV[1]
end
return tonumber(noted or 1)
`,
};
