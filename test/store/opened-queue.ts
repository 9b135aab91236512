/** A queue of a test's own, as the store's verbs take it. */
import { randomBytes } from "node:crypto";
import { onTestFinished } from "vitest";
import { Connections } from "../../src/redis/connection.ts";
import { PutLane, type NewJob } from "../../src/store/put.ts";
import { Reserver } from "../../src/store/reserve.ts";
import { SettleLane } from "../../src/store/settle.ts";
import { storedQueue, type StoredQueue } from "../../src/store/stored-queue.ts";
import { freshPrefix, redisClient, redisUrl, startRedis } from "../support/redis.ts";
import { replicated } from "../support/sentinel.ts";

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
    id, name: "test", data: "{}", options: '{"attempts":3,"mv":1}', delayMs: 0, runAtMs: 0, priority: 0, lifo: false, timeoutMs: 0, deadlineMs: 0, expireAtMs: 0, ...job,
  };
}

/** Puts the jobs, in order. */
export async function putAll(queue: StoredQueue, jobs: readonly NewJob[]): Promise<void> {
  const lane = new PutLane(queue, randomBytes(4).toString("hex"), 0);
  await Promise.all(jobs.map((job) => lane.put(job, { waits: true })));
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

/** A lane, and a reserver on it. */
export function consumerOf(queue: StoredQueue, leaseMs = 10_000): { lane: SettleLane; reserver: Reserver } {
  const lane = new SettleLane(queue, leaseMs);
  return { lane, reserver: new Reserver(queue, lane, { leaseMs, worker: "tester" }) };
}

/** Every list and set that holds the job. One, and only one, is right; none where it was not kept. */
export async function placesOf({ client, keys }: StoredQueue, id: string): Promise<string[]> {
  const lists = await Promise.all((["wait", "paused", "active"] as const).map(async (name) => ((await client.lrange(keys[name], "0", "-1")).includes(id) ? [name] : [])));
  const sets = await Promise.all(
    (["prioritized", "delayed", "waitingChildren", "completed", "failed"] as const).map(async (name) => ((await client.zscore(keys[name], id)) === null ? [] : [name])),
  );
  return [...lists, ...sets].flat();
}

/** A queue on a primary with one replica, and plain clients of both. */
export async function openReplicatedQueue() {
  const quick = { "repl-diskless-sync-delay": "0" };
  const primary = await startRedis(quick);
  const replica = await startRedis({ ...quick, replicaof: `127.0.0.1 ${primary.port}` });
  await replicated(primary, 1);
  const queue = await openQueue({ url: primary.url });
  const [atPrimary, atReplica] = [redisClient(primary.url), redisClient(replica.url)];
  return { queue, primary, replica, atPrimary, atReplica };
}
