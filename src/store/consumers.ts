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
  return connections.filter((connection) => isWaiting(connection) || stockWorkerOf(prefix, connection)?.queue === name).length;
}

/** The names of the stock workers that each queue of the prefix has, by its name, of those that these connections are; "" of one that has none. */
export function stockWorkers(prefix: string, connections: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const found = connections.flatMap((connection) => stockWorkerOf(prefix, connection) ?? []);
  return new Map(Array.from(Map.groupBy(found, ({ queue }) => queue), ([queue, workers]) => [queue, workers.map(({ name }) => name)]));
}

/** BullMQ names the connection on which a worker waits by its prefix and, in base64, its queue; then comes `:w:` and the worker's name where it has one. */
function stockWorkerOf(prefix: string, connection: string): { readonly queue: string; readonly name: string } | undefined {
  if (!connection.startsWith(`${prefix}:`)) return undefined;
  const [, coded, name = ""] = /^([\w+/]+=*)(?::w:(.*))?$/.exec(connection.slice(prefix.length + 1)) ?? [];
  const queue = coded && Buffer.from(coded, "base64");
  return queue && queue.toString("base64") === coded ? { queue: queue.toString(), name } : undefined;
}
