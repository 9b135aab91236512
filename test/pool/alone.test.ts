import { expect, test } from "vitest";
import { defineHandler, defineJob, sleep, typed, type Handler, type PoolOptions } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { freshPrefix, redisClient } from "../support/redis.ts";

const job = defineJob("work", { payload: typed<{ n: number }>(), backoff: { type: "fixed", base: 0 } });

/** Jobs are put, those named are made suspects, then a pool runs them all. */
async function playing({ count, suspects, handlers, options }: { count: number; suspects: readonly number[]; handlers?: (handle: Handle) => readonly Handler[]; options: PoolOptions }) {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const redis = redisClient();
  const running = new Set<number>();
  const beside: [number, number][] = [];
  const order: number[] = [];
  const handle: Handle = async ({ n }) => {
    order.push(n);
    for (const other of running) beside.push([n, other]);
    running.add(n);
    await sleep(30);
    running.delete(n);
  };
  for (let n = 0; n < count; n += 1) await app.put(job, { n }, { id: `job-${n}` });
  for (const n of suspects) await redis.hset(`${prefix}:work:job-${n}`, "stc", 2);
  const pool = app.pool(handlers?.(handle) ?? [defineHandler(job, { handle })], options);
  return { app, redis, prefix, pool, beside, order, running };
}
type Handle = (payload: { n: number }) => Promise<void>;

test("suspects run alone, each; the others together; none is lost or starves", async () => {
  const suspects = [0, 5, 6, 20];
  const { app, beside, order } = await playing({ count: 40, suspects, options: { concurrency: 4 } });
  await app.queue(job).join({ timeout: "25s" });
  expect(beside.filter((pair) => pair.some((n) => suspects.includes(n)))).toEqual([]);
  expect(beside.length).toBeGreaterThan(0);
  expect(order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, n) => n));
  // Whatever came after it to the line waited behind it: a batch or two may have been ahead.
  expect(order.indexOf(0)).toBeLessThan(12);
});

test("a pool full of suspects runs them one after another", async () => {
  const { app, beside, order } = await playing({ count: 10, suspects: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], options: { concurrency: 10 } });
  await app.queue(job).join({ timeout: "25s" });
  expect(beside).toEqual([]);
  expect(order).toHaveLength(10);
});

test("a suspect of a narrow handler and those who wait for that handler do not lock each other out", async () => {
  const narrow = (handle: Handle) => [defineHandler(job, { concurrency: 1, handle }), defineHandler(defineJob("other", { queue: "work" }), { handle: async () => {} })];
  const { app, beside, order } = await playing({ count: 20, suspects: [1, 3, 9], handlers: narrow, options: { concurrency: 6 } });
  await app.queue(job).join({ timeout: "25s" });
  expect(beside).toEqual([]);
  expect(order).toHaveLength(20);
});

test("a suspect that waits when the pool stops is given back with no attempt spent", async () => {
  const gate = Promise.withResolvers<void>();
  let runs = 0;
  const handle = async (): Promise<void> => ((runs += 1), gate.promise);
  const { app, redis, prefix, pool } = await playing({ count: 2, suspects: [1], handlers: () => [defineHandler(job, { handle })], options: { concurrency: 2 } });
  await until(async () => (await redis.hget(`${prefix}:work:job-1`, "mw")) === "1");
  expect(runs).toBe(1);
  const stopped = pool.stop();
  await until(async () => (await app.queue(job).counts()).waiting === 1);
  gate.resolve();
  await stopped;
  expect(runs).toBe(1);
  expect(await redis.hget(`${prefix}:work:job-1`, "atm")).toBeNull();
});

test("a pool that is scaled up and down beside suspects runs each of them alone, and ends with the slots it was given last", async () => {
  const suspects = [0, 5, 9, 14, 20, 30];
  const { app, pool, beside, order } = await playing({ count: 60, suspects, options: { concurrency: 4 } });
  for (let n = 0; order.length < 60; n += 1) {
    pool.scale(1 + ((n * 5) % 9));
    const seen = order.length;
    await until(() => order.length > seen || order.length === 60);
  }
  pool.scale(3);
  await app.queue(job).join({ timeout: "25s" });
  await until(() => pool.concurrency === 3);
  expect(beside.filter((pair) => pair.some((n) => suspects.includes(n)))).toEqual([]);
  expect(order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, n) => n));
});
