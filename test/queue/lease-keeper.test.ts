import { expect, onTestFinished, test } from "vitest";
import { typed } from "../../src/job/contract.ts";
import { defineJob } from "../../src/job/index.ts";
import { LeaseKeeper, type Held } from "../../src/queue/lease-keeper.ts";
import { Connections } from "../../src/redis/connection.ts";
import { Reserver, type Leased } from "../../src/store/reserve.ts";
import { SettleLane } from "../../src/store/settle.ts";
import { storedQueue } from "../../src/store/stored-queue.ts";
import { recordedLog, testApp, until } from "../support/app.ts";
import { redisClient, startRedis } from "../support/redis.ts";

const LEASE_MS = 2000;
const job = defineJob("work", { payload: typed<{ n: number }>() });

/** Three jobs under leases of ours. */
async function holding() {
  const redis = await startRedis({ appendfsync: "always" });
  await testApp({ redis: redis.url, prefix: "bull" }).queue(job).putMany([{ n: 1 }, { n: 2 }, { n: 3 }]);
  const connections = new Connections(redis.url);
  onTestFinished(() => connections.close());
  await connections.open();
  const stored = storedQueue(connections, "bull", "work");
  const leased = await new Reserver(stored, new SettleLane(stored, LEASE_MS), { leaseMs: LEASE_MS, worker: "test" }).take(3);
  const log = recordedLog();
  const keeper = new LeaseKeeper(stored, LEASE_MS, log);
  const ended = new AbortController();
  const lost: string[] = [];
  const held = leased.map((each): Held => ({ leased: each, leaseLost: () => lost.push(each.job.id) }));
  for (const each of held) keeper.keep(each);
  const running = keeper.run(ended.signal);
  const key = ({ leased: { job: held } }: { readonly leased: Leased }) => `bull:work:${held.id}:lock`;
  return { redis, keeper, held: held as [Held, Held, Held], lost, log, ended, running, key };
}

test("renews what it keeps, and lets what it no longer keeps run out", async () => {
  const { redis, keeper, held, lost, ended, running, key } = await holding();
  const client = redisClient(redis.url);
  keeper.letGo(held[2]);
  await until(async () => (await client.exists(key(held[2]))) === 0);
  expect(await client.exists(key(held[0]), key(held[1]))).toBe(2);
  expect(lost).toEqual([]);
  ended.abort();
  await running;
});

test("tells once of a lease that is lost, and goes on with the others", async () => {
  const { redis, held, lost, key } = await holding();
  const client = redisClient(redis.url);
  await client.set(key(held[0]), "somebody else");
  await until(() => lost.length > 0);
  const granted = await client.pttl(key(held[1]));
  await until(async () => (await client.pttl(key(held[1]))) < granted - 200);
  await until(async () => (await client.pttl(key(held[1]))) > granted - 100);
  expect(lost).toEqual([held[0].leased.job.id]);
});

test("renews soon after an outage that was longer than the lease", async () => {
  const { redis, held, lost, log, key } = await holding();
  await redis.kill();
  await until(() => log.lines.some(({ message }) => message.startsWith("cannot renew")));
  await redis.start();
  const client = redisClient(redis.url);
  const backAt = performance.now();
  await until(async () => (await client.exists(...held.map(key))) === 3);
  // Its client is back within a second, and it waits no longer than half a one between two attempts.
  expect(performance.now() - backAt).toBeLessThan(1900);
  expect(lost).toEqual([]);
});
