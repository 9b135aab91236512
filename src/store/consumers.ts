/** Who waits for jobs of a queue, by the names that connections bear: BullMQ's workers, pools, and those who consume by hand. */
import { asBackendError } from "../redis/errors.ts";
import { waitConnection } from "./marker-wait.ts";
import type { StoredQueue } from "./stored-queue.ts";

/**
 * How many connections there are; `undefined` where `CLIENT LIST` is forbidden. A pool that never had to wait has none, and of
 * a queue in partitions that lie together one waits for all of them.
 *
 * @throws BackendError
 */
export async function waitingConnections({ client, prefix, name }: StoredQueue): Promise<number | undefined> {
  const text = await client.call("CLIENT", "LIST").then(String, (error: Error) => {
    if (error.name === "ReplyError") return undefined;
    throw asBackendError(error);
  });
  // BullMQ names the connection of a worker so, with `:w:` and the worker's name where it has one.
  const stock = `${prefix}:${Buffer.from(name).toString("base64")}`;
  const isWaiting = (connection: string): boolean => connection === stock || connection.startsWith(`${stock}:w:`) || connection === waitConnection(name);
  return text === undefined ? undefined : [...text.matchAll(/ name=(\S*)/g)].filter(([, connection]) => isWaiting(connection!)).length;
}
