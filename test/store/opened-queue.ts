/** A queue of a test's own, as the store's verbs take it. */
import { onTestFinished } from "vitest";
import { Connections } from "../../src/redis/connection.ts";
import type { NewJob } from "../../src/store/put.ts";
import { storedQueue, type StoredQueue } from "../../src/store/stored-queue.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

export interface Opened {
  readonly url?: string;
  readonly prefix?: string;
  readonly name?: string;
}

/** Connected; closed when the test is over. */
export async function openQueue({ url = redisUrl(), prefix = freshPrefix(), name = "work" }: Opened = {}): Promise<StoredQueue> {
  const connections = new Connections(url);
  onTestFinished(() => connections.close());
  await connections.open();
  return storedQueue(connections, prefix, name);
}

export function newJob(id: string, job: Partial<NewJob> = {}): NewJob {
  return {
    id, name: "test", data: "{}", options: '{"attempts":3}', delayMs: 0, runAtMs: 0, priority: 0, lifo: false, version: 1, timeoutMs: 0, ...job,
  };
}

/** Ids in the order in which they will be taken. */
export async function waitingIds({ client, keys }: StoredQueue): Promise<string[]> {
  return [...(await client.lrange(keys.wait, "0", "-1")).toReversed(), ...(await client.zrange(keys.prioritized, "0", "-1"))];
}

/** The queue's events, as `name id` or `name`, oldest first. */
export async function eventsOf({ client, keys }: StoredQueue): Promise<string[]> {
  const entries = await client.xrange(keys.events, "-", "+");
  return entries.map(([, fields]) => {
    const event: Record<string, string> = {};
    for (let i = 0; i + 1 < fields.length; i += 2) event[fields[i]!] = fields[i + 1]!;
    return event["jobId"] === undefined ? event["event"]! : `${event["event"]} ${event["jobId"]}`;
  });
}
