import { expect, test } from "vitest";
import { defineHandler, defineJob, typed } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { freshPrefix } from "../support/redis.ts";
import { stockQueue, stockWorker } from "./stock.ts";

const job = defineJob("work", { payload: typed<{ n: number }>() });
const numbers = (count: number): { n: number }[] => Array.from({ length: count }, (_, n) => ({ n }));
const breathe = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

test("a pause by a stock Queue stops our pool from taking more, and its resume wakes it at once", async () => {
  const prefix = freshPrefix();
  const stock = stockQueue(prefix);
  const app = testApp({ prefix });
  let ran = 0;
  app.pool([defineHandler(job, { handle: async () => void (ran += 1) })]);
  await app.put(job, { n: 0 });
  await until(() => ran === 1);
  await stock.pause();
  await app.queue(job).putMany(numbers(5));
  expect(await stock.getJobCounts("waiting")).toEqual({ waiting: 5 });
  // Would have been taken at once.
  await app.queue(job).join({ timeout: 300 }).catch(() => undefined);
  expect(ran).toBe(1);
  const resumedAt = performance.now();
  await stock.resume();
  await until(() => ran === 6);
  expect(performance.now() - resumedAt).toBeLessThan(1500);
});

test("a pause of ours stops a stock Worker, and our resume wakes it", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  let ran = 0;
  await stockWorker(prefix, async () => void (ran += 1));
  await app.queue(job).pause();
  expect(await stockQueue(prefix).isPaused()).toBe(true);
  await app.queue(job).putMany(numbers(3));
  await app.queue(job).join({ timeout: 300 }).catch(() => undefined);
  expect(ran).toBe(0);
  await app.queue(job).resume();
  await until(() => ran === 3);
});

test("global concurrency set by a stock Queue holds over two pools and a stock Worker, and is used to the full", async () => {
  const prefix = freshPrefix();
  const stock = stockQueue(prefix);
  await stock.setGlobalConcurrency(3);
  const seen = { now: 0, most: 0, by: new Set<string>() };
  const run = async (by: string): Promise<void> => {
    seen.by.add(by);
    seen.most = Math.max(seen.most, (seen.now += 1));
    // Nobody alone has slots for three, so another comes.
    await until(() => seen.by.size > 1);
    await breathe();
    seen.now -= 1;
  };
  const apps = [testApp({ prefix }), testApp({ prefix })];
  for (const [n, app] of apps.entries()) app.pool([defineHandler(job, { handle: () => run(`pool ${n}`) })], { concurrency: 2 });
  await stockWorker(prefix, () => run("stock"), { concurrency: 2 });
  await apps[0]!.queue(job).putMany(numbers(200));
  await apps[0]!.queue(job).join({ timeout: "25s" });
  expect(seen.most).toBe(3);
});

test("a rate limit set by a stock Queue holds over our pools, which use it to the full", async () => {
  const prefix = freshPrefix();
  const stock = stockQueue(prefix);
  await stock.setGlobalRateLimit(5, 400);
  const startedAt: number[] = [];
  const apps = [testApp({ prefix }), testApp({ prefix })];
  for (const app of apps) app.pool([defineHandler(job, { handle: async () => void startedAt.push(performance.now()) })], { concurrency: 10 });
  await apps[0]!.queue(job).putMany(numbers(23));
  await apps[0]!.queue(job).join({ timeout: "25s" });
  const sinceFirst = startedAt.toSorted((a, b) => a - b).map((at) => at - startedAt[0]!);
  // Five a window: the sixth not before the second window, the last in the fifth one.
  expect(sinceFirst[5]).toBeGreaterThanOrEqual(300);
  expect(sinceFirst[22]).toBeGreaterThanOrEqual(1500);
  expect(sinceFirst[22]).toBeLessThan(6000);
});

test("a limit that is lifted is lifted for a pool that waits on it", async () => {
  const prefix = freshPrefix();
  const stock = stockQueue(prefix);
  await stock.setGlobalRateLimit(1, 3_600_000);
  const app = testApp({ prefix });
  let ran = 0;
  app.pool([defineHandler(job, { handle: async () => void (ran += 1) })]);
  await app.queue(job).putMany(numbers(3));
  await until(() => ran === 1);
  await stock.removeGlobalRateLimit();
  await until(() => ran === 3, 9000);
});
