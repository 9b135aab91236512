/** Who waits for jobs of a queue, by the names that connections bear: BullMQ's workers, pools, and those who consume by hand. */
import type { Redis } from "ioredis";
import { asBackendError } from "../redis/errors.ts";
import { waitConnection } from "./marker-wait.ts";
import { partitionsTag } from "./partitions.ts";
import type { StoredQueue } from "./stored-queue.ts";

/** The names that connections to a server bear; `undefined` where `CLIENT LIST` is forbidden. @throws BackendError */
export async function connectionNames(client: Redis): Promise<readonly string[] | undefined> {
  const text = await client.call("CLIENT", "LIST").then(String, (error: Error) => {
    if (error.name === "ReplyError") return undefined;
    throw asBackendError(error);
  });
  return text === undefined ? undefined : Array.from(text.matchAll(/ name=(\S*)/g), ([, name]) => name!);
}

/**
 * How many of these wait for jobs of the queue. A pool that never had to wait has none, and of a queue in partitions that lie together
 * one waits for all of them.
 */
export function waitingConnections(queue: Pick<StoredQueue, "prefix" | "name">, connections: readonly string[]): number {
  const { prefix, name } = queue;
  const own = waitConnection(queue);
  const ofPartition = waitConnection({ prefix: partitionsTag(prefix), name: "" }).slice(0, -1);
  const isWaiting = (connection: string): boolean => connection === own || (connection.startsWith(ofPartition) && connection.endsWith(`}:${name}`));
  return connections.filter((connection) => isWaiting(connection) || stockQueueOf(prefix, connection) === name).length;
}

/** How many stock workers each queue of the prefix has, by its name, of those that these connections are. */
export function stockWorkers(prefix: string, connections: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const connection of connections) {
    const queue = stockQueueOf(prefix, connection);
    if (queue !== undefined) counts.set(queue, (counts.get(queue) ?? 0) + 1);
  }
  return counts;
}

/** BullMQ names the connection on which a worker waits by its prefix and, in base64, its queue; then comes `:w:` and the worker's name where it has one. */
function stockQueueOf(prefix: string, connection: string): string | undefined {
  if (!connection.startsWith(`${prefix}:`)) return undefined;
  const [, coded] = /^([\w+/]+=*)(?::w:|$)/.exec(connection.slice(prefix.length + 1)) ?? [];
  const queue = coded && Buffer.from(coded, "base64");
  return queue && queue.toString("base64") === coded ? queue.toString() : undefined;
}
