/** A queue as the store's verbs take it: where its jobs are, and how to reach them. */
import type { QueueOptions, RedisQueueBackend } from "bullmq";
import type { Redis } from "ioredis";
import type { Connections } from "../redis/connection.ts";
import { queueKeys, type QueueKeys } from "./keys.ts";

export interface StoredQueue {
  readonly name: string;
  readonly prefix: string;
  readonly keys: QueueKeys;
  readonly connections: Connections;
  /** The command connection; `connections.open()` comes first. */
  readonly client: Redis;
  /** BullMQ's own operations on this queue, for what its scripts do best. Their errors are BullMQ's and ioredis's. */
  stock(): Promise<RedisQueueBackend>;
}

export function storedQueue(connections: Connections, prefix: string, name: string): StoredQueue {
  let stock: Promise<RedisQueueBackend> | undefined;
  return {
    name,
    prefix,
    keys: queueKeys(prefix, name),
    connections,
    get client() {
      return connections.command;
    },
    stock() {
      stock ??= openStock(connections.command, prefix, name).catch((error: unknown) => {
        stock = undefined;
        throw error;
      });
      return stock;
    },
  };
}

async function openStock(client: Redis, prefix: string, name: string): Promise<RedisQueueBackend> {
  // BullMQ waits for a connection for however long it takes; a command of ours has a deadline.
  await client.ping();
  // Loaded when it is first needed: it takes longer to load than everything else together.
  const { createRedisBackend } = await import("bullmq");
  const options: QueueOptions = { connection: client, prefix, skipVersionCheck: true };
  const backend = createRedisBackend(name, options);
  // The client is ours and has its own listener; without this one an outage would end the process.
  backend.on("error", () => {});
  await backend.waitUntilReady();
  return backend;
}
