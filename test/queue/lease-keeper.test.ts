import { Worker } from "node:worker_threads";
import { expect, onTestFinished, test } from "vitest";
import { instant } from "../../src/concurrency/thread-clock.ts";
import { typed } from "../../src/job/contract.ts";
import { defineJob } from "../../src/job/index.ts";
import { LeaseKeeper } from "../../src/queue/lease-keeper.ts";
import type { KeptLease } from "../../src/queue/lease-table.ts";
import { Connections, type RedisOption } from "../../src/redis/connection.ts";
import { Reserver, type Leased } from "../../src/store/reserve.ts";
import { SettleLane } from "../../src/store/settle.ts";
import { storedQueue } from "../../src/store/stored-queue.ts";
import { recordedLog, testApp, until } from "../support/app.ts";
import { redisClient, startRedis } from "../support/redis.ts";

const LEASE_MS = 2000;
const job = defineJob("work", { payload: typed<{ n: number }>() });

/** Three jobs under leases of ours. */
async function holding(options: (url: string) => RedisOption = (url) => url) {
  const redis = await startRedis({ appendfsync: "always" });
  await testApp({ redis: redis.url, prefix: "bull" }).queue(job).putMany([{ n: 1 }, { n: 2 }, { n: 3 }]);
  const connections = new Connections(options(redis.url));
  onTestFinished(() => connections.close());
  await connections.open();
  const stored = storedQueue(connections, "bull", "work");
  const reserver = new Reserver(stored, new SettleLane(stored, LEASE_MS), { leaseMs: LEASE_MS, worker: "test" });
  const token = reserver.nextToken();
  const leased = await reserver.take(3, token);
  const log = recordedLog();
  const keeper = new LeaseKeeper(connections, log);
  onTestFinished(() => keeper[Symbol.asyncDispose]());
  const leases = keeper.of(stored, LEASE_MS);
  const lost: string[] = [];
  const keep = (each: Leased): KeptLease => leases.keep(each, instant(), { leaseLost: () => lost.push(each.job.id) });
  const keys = leased.map(({ job: held }) => `bull:work:${held.id}:lock`) as [string, string, string];
  const [first] = leased;
  const client = redisClient(redis.url);
  client.on("error", () => {}); // the server is killed by one of the tests
  return { redis, client, leases, token, leased, first: first!, keep, lost, log, keys };
}

/** Until the key's lease was renewed so often. */
async function renewed(client: ReturnType<typeof redisClient>, key: string, times = 1): Promise<void> {
  let left = await client.pttl(key);
  for (let seen = 0; seen < times; ) {
    await until(async () => {
      const now = await client.pttl(key);
      const grew = now > left + 200;
      left = now;
      return grew;
    });
    seen += 1;
  }
}

/** Holds the event loop of this process, as a handler that computes does. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** The next thread that this process starts. */
function nextThread(): Promise<Worker> {
  return new Promise((resolve) => process.once("worker", resolve));
}

function connected(thread: Worker): Promise<void> {
  return new Promise((resolve) => thread.on("message", ({ state }: { readonly state?: string }) => state === "connected" && resolve()));
}

test("renews what it keeps, and lets what it no longer keeps run out", async () => {
  const { client, leased, keep, lost, keys } = await holding();
  const [, , third] = leased.map(keep);
  third!.letGo();
  await until(async () => (await client.exists(keys[2])) === 0);
  expect(await client.exists(keys[0], keys[1])).toBe(2);
  expect(lost).toEqual([]);
});

test("renews while the event loop is blocked", async () => {
  const { client, leased, keep, lost, keys } = await holding();
  const thread = nextThread();
  for (const each of leased) keep(each);
  await connected(await thread);
  block(2 * LEASE_MS);
  // Had it not been renewed, all of it would have run out.
  expect(await client.exists(...keys)).toBe(3);
  expect(lost).toEqual([]);
});

test("renews what a request has leased whose reply is not read yet", async () => {
  const { client, leases, token, keys, lost } = await holding();
  const thread = nextThread();
  const asked = leases.keepAll(token, instant());
  await connected(await thread);
  block(2 * LEASE_MS);
  expect(await client.exists(...keys)).toBe(3);
  asked.letGo();
  await until(async () => (await client.exists(...keys)) === 0);
  expect(lost).toEqual([]);
});

test("renews what a request that stands has leased only while the event loop is blocked, and then before it runs out", async () => {
  const { client, leases, token, keys } = await holding();
  const thread = nextThread();
  let hasConnected = false;
  void thread.then(connected).then(() => (hasConnected = true));
  const asked = leases.keepAll(token, Infinity);
  await until(async () => (await client.exists(...keys)) === 0);
  expect(hasConnected).toBe(false);

  // The thread loads and connects only then, which takes it a while on a busy machine.
  for (const key of keys) await client.set(key, token.text, "PX", 3 * LEASE_MS);
  block(4 * LEASE_MS);
  expect(await client.exists(...keys)).toBe(3);
  asked.letGo();
});

test("tells once of a lease that is lost, and goes on with the others", async () => {
  const { client, leased, keep, lost, keys } = await holding();
  for (const each of leased) keep(each);
  await client.set(keys[0], "somebody else");
  await until(() => lost.length > 0);
  await renewed(client, keys[1], 2);
  expect(lost).toEqual([leased[0]!.job.id]);
});

test("renews soon after an outage that was longer than the lease", async () => {
  const { redis, client, leased, keep, lost, log, keys } = await holding();
  for (const each of leased) keep(each);
  await renewed(client, keys[0]);
  await redis.kill();
  await until(() => log.lines.some(({ message }) => message.startsWith("cannot renew")));
  await redis.start();
  const again = redisClient(redis.url);
  const backAt = performance.now();
  await until(async () => (await again.exists(...keys)) === 3);
  // Its client is back within a second, and it looks four times a second.
  expect(performance.now() - backAt).toBeLessThan(1900);
  expect(lost).toEqual([]);
});

test("a thread that dies is started anew, and knows what is held", async () => {
  const { client, leased, keep, keys, log, lost } = await holding();
  const first = nextThread();
  for (const each of leased) keep(each);
  const thread = await first;
  await connected(thread);
  const next = nextThread();
  await thread.terminate();
  await connected(await next);
  block(2 * LEASE_MS);
  expect(await client.exists(...keys)).toBe(3);
  expect(log.lines.map(({ message }) => message)).toContainEqual(expect.stringContaining("has ended: starts it anew"));
  expect(lost).toEqual([]);
});

test("where the connection's options cannot go to a thread, the main thread renews, and says so", async () => {
  const redisOptions = (url: string) => ({ port: Number(new URL(url).port), socketInitialDelay: 0, parser: () => undefined }) as RedisOption;
  const { client, leased, keep, keys, log, lost } = await holding(redisOptions);
  for (const each of leased) keep(each);
  await renewed(client, keys[0], 2);
  expect(log.lines).toContainEqual(expect.objectContaining({ level: "warn", message: expect.stringContaining("cannot be copied to a thread") }));
  await client.set(keys[0], "somebody else");
  await until(() => lost.length > 0);
  expect(lost).toEqual([leased[0]!.job.id]);
});

test("a lease is asked for when its holder wants to be sure: it holds, or was taken", async () => {
  const { client, leases, first, keys } = await holding();
  await client.pexpire(keys[0], 500);
  expect(await leases.stillHolds(first)).toBe(true);
  expect(await client.pttl(keys[0])).toBeGreaterThan(1000);
  await client.set(keys[0], "somebody else");
  expect(await leases.stillHolds(first)).toBe(false);
});
