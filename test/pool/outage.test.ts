/** Pools while Redis restarts, pauses, or falls silent. */
import { expect, test } from "vitest";
import { defineHandler, defineJob, typed } from "../../src/index.ts";
import { recordedLog, testApp, until } from "../support/app.ts";
import { freshPrefix, redisClient, startRedis } from "../support/redis.ts";
import { startProxy } from "../support/tcp-proxy.ts";

const job = defineJob("work", { payload: typed<{ n: number }>(), backoff: { type: "fixed", base: 0 }, keep: { completed: { count: 100_000 } } });

/** Apps of one server that is a test's own share one prefix. */
const appOf = ({ url }: { readonly url: string }) => testApp({ redis: url, prefix: "outage" });

test("a Redis that restarts under load, in order and by kill -9, loses nothing and doubles nothing", async () => {
  const redis = await startRedis({ appendfsync: "always" });
  const [producer, worker] = [appOf(redis), appOf(redis)];
  const runs = new Map<number, number>();
  worker.pool(
    [defineHandler(job, { handle: async ({ n }) => (runs.set(n, (runs.get(n) ?? 0) + 1), new Promise<void>((resolve) => setTimeout(resolve, 3))) })],
    { concurrency: 20, lease: "2s" },
  );
  const acknowledged: number[] = [];
  const over = new AbortController();
  let next = 0;
  const load = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const n = next++;
      await producer.put(job, { n }).then(() => acknowledged.push(n), () => 0);
    }
  };
  const producers = Promise.all(Array.from({ length: 20 }, load));
  const more = async (): Promise<void> => {
    const target = acknowledged.length + 500;
    await until(() => acknowledged.length >= target);
  };
  for (const end of [redis.stop, redis.kill, redis.kill]) {
    await more();
    await end();
    await redis.start();
  }
  await more();
  over.abort();
  await producers;
  await producer.queue(job).join({ timeout: "30s" });
  expect(acknowledged.filter((n) => !runs.has(n))).toEqual([]);
  const counts = await producer.queue(job).counts();
  expect(counts).toMatchObject({ failed: 0, active: 0 });
  // Each put is one job, whether or not its acknowledgement came through.
  expect(counts.completed).toBe(runs.size);
}, 120_000);

test("work that ends while Redis is paused for longer than its lease is acknowledged, and not done again", async () => {
  const redis = await startRedis();
  const [here, there] = [appOf(redis), appOf(redis)];
  let [starts, ends] = [0, 0];
  const gate = Promise.withResolvers<void>();
  const handler = defineHandler(job, { handle: async () => ((starts += 1), await gate.promise, void (ends += 1)) });
  here.pool([handler], { lease: "2s", concurrency: 10 });
  await here.queue(job).putMany(Array.from({ length: 10 }, (_, n) => ({ n })));
  await until(() => starts === 10);
  there.pool([handler], { lease: "2s", concurrency: 10 });
  await there.ready();
  redis.pause();
  // The work ends when its lease has run out; its acknowledgement is not answered for longer than a command may take.
  await new Promise((resolve) => setTimeout(resolve, 3000));
  gate.resolve();
  await until(() => ends === 10);
  await new Promise((resolve) => setTimeout(resolve, 4000));
  redis.resume();
  await here.queue(job).join({ timeout: "20s" });
  expect([starts, ends]).toEqual([10, 10]);
  expect(await here.queue(job).counts()).toMatchObject({ completed: 10, failed: 0 });
}, 60_000);

test("work that goes on while Redis is paused for longer than its lease keeps its job", async () => {
  const redis = await startRedis();
  const [here, there] = [appOf(redis), appOf(redis)];
  let starts = 0;
  const gate = Promise.withResolvers<void>();
  const handler = defineHandler(job, { handle: () => ((starts += 1), gate.promise) });
  here.pool([handler], { lease: "2s", concurrency: 10 });
  await here.queue(job).putMany(Array.from({ length: 10 }, (_, n) => ({ n })));
  await until(() => starts === 10);
  there.pool([handler], { lease: "2s", concurrency: 10 });
  await there.ready();
  redis.pause();
  await new Promise((resolve) => setTimeout(resolve, 7000));
  redis.resume();
  // Two rounds of recovery, and some more: had anybody been able to take the jobs, they would have.
  await new Promise((resolve) => setTimeout(resolve, 6000));
  gate.resolve();
  await here.queue(job).join({ timeout: "20s" });
  expect(starts).toBe(10);
}, 60_000);

test("acknowledges after a restart of Redis that took longer than the lease", async () => {
  const redis = await startRedis({ appendfsync: "always" });
  const app = appOf(redis);
  let starts = 0;
  const gate = Promise.withResolvers<void>();
  app.pool([defineHandler(job, { handle: () => ((starts += 1), gate.promise) })], { lease: "2s" });
  const handle = await app.put(job, { n: 1 });
  await until(() => starts === 1);
  await redis.kill();
  gate.resolve();
  await new Promise((resolve) => setTimeout(resolve, 5000));
  await redis.start();
  await handle.result({ timeout: "10s" });
  expect(starts).toBe(1);
}, 40_000);

test("connections that fall silent are given up, and everything goes on", async () => {
  const redis = await startRedis();
  const proxy = await startProxy(redis.port);
  const app = appOf({ url: `redis://127.0.0.1:${proxy.port}` });
  let runs = 0;
  app.pool([defineHandler(job, { handle: async () => void (runs += 1) })]);
  const first = await app.put(job, { n: 1 });
  await first.result();
  proxy.silence();
  const second = await appOf(redis).put(job, { n: 2 });
  await second.result({ timeout: "20s" });
  expect(runs).toBe(2);
  await (await app.put(job, { n: 3 })).result({ timeout: "20s" });
  await proxy[Symbol.asyncDispose]();
}, 60_000);

test("a network on which everything takes half a second, now and then, costs no run and no attempt", async () => {
  const redis = await startRedis();
  const proxy = await startProxy(redis.port);
  const app = appOf({ url: `redis://127.0.0.1:${proxy.port}` });
  const runs: string[] = [];
  app.pool([defineHandler(job, { handle: async ({ n }, { attempt }) => void runs.push(`${n} ${attempt}`) })], { lease: "2s", concurrency: 5 });
  await app.ready();
  const puts: string[] = [];
  for (const [round, ms] of [500, 0, 500, 0].entries()) {
    proxy.delay(ms);
    const ns = Array.from({ length: 10 }, (_, i) => 10 * round + i);
    puts.push(...ns.map((n) => `${n} 1`));
    await Promise.all(ns.map((n) => app.put(job, { n })));
  }
  await app.queue(job).join({ timeout: "30s" });
  expect(runs.toSorted()).toEqual(puts.toSorted());
  expect(await app.queue(job).counts()).toMatchObject({ completed: puts.length, failed: 0 });
  await proxy[Symbol.asyncDispose]();
}, 60_000);

test("whoever waits for a result, a join or a lock on connections that have fallen silent hears of it all the same", async () => {
  const redis = await startRedis();
  const proxy = await startProxy(redis.port);
  const [here, there] = [appOf({ url: `redis://127.0.0.1:${proxy.port}` }), appOf(redis)];
  const gate = Promise.withResolvers<void>();
  let starts = 0;
  there.pool([defineHandler(job, { handle: () => ((starts += 1), gate.promise) })]);
  const { id } = await there.put(job, { n: 1 });
  await until(() => starts === 1);
  const held = await there.lock("a", { lease: "30s" });
  const timeout = "20s";
  const waits = [here.queue(job).job(id).result({ timeout }), here.queue(job).join({ timeout }), here.lock("a", { timeout, lease: "30s" })] as const;
  // Until it listens and stands in line.
  await until(async () => [...String(await redisClient(redis.url).client("LIST")).matchAll(/cmd=(?:xread|subscribe)/g)].length >= 2);
  proxy.silence();
  gate.resolve();
  await held[Symbol.asyncDispose]();
  await Promise.all(waits);
  await proxy[Symbol.asyncDispose]();
}, 60_000);

test("a consumer that stops leaves the others awake", async () => {
  const prefix = freshPrefix();
  const log = recordedLog();
  let runs = 0;
  const handler = defineHandler(job, { handle: async () => void (runs += 1) });
  const stays = testApp({ prefix, log });
  stays.pool([handler]);
  const producer = testApp({ prefix });
  await producer.ready();
  const redis = redisClient();
  for (let round = 1; round <= 20; round += 1) {
    const leaves = testApp({ prefix });
    const pool = leaves.pool([handler]);
    await until(async () => [...String(await redis.client("LIST")).matchAll(new RegExp(`name=wait:${prefix}:work `, "g"))].length >= 2);
    // The put wakes one of two, at the moment when one of them leaves.
    const [, handle] = await Promise.all([pool.stop(), producer.put(job, { n: round })]);
    await handle.result({ timeout: "2s" });
    await leaves[Symbol.asyncDispose]();
  }
  expect(runs).toBe(20);
}, 60_000);
