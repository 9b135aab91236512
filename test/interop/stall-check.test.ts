import { Job, Worker } from "bullmq";
import { onTestFinished, expect, test } from "vitest";
import { defineHandler, defineJob, typed } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { freshPrefix, redisClient, redisUrl } from "../support/redis.ts";
import { stockEvents, stockQueue, stockWorker } from "./stock.ts";

const job = defineJob("work", { payload: typed<{ n: number }>(), result: typed<string>(), attempts: 3, backoff: { type: "fixed", base: 0 } });

/** A stock worker that takes one job and dies with it: its lease runs out, and nobody renews it. */
async function lostStockWorker(prefix: string, lockDuration: number): Promise<string> {
  const worker = new Worker("work", null, { connection: { url: redisUrl(), maxRetriesPerRequest: null }, prefix, lockDuration, skipStalledCheck: true });
  onTestFinished(() => worker.close(true));
  let taken: Job | undefined;
  await until(async () => (taken = await worker.getNextJob("lost", { block: false })) !== undefined);
  return taken!.id!;
}

test("while our pool lives BullMQ's stall check stays away, and a lost stock worker's job runs again by its retry policy", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const stock = stockQueue(prefix);
  const { names } = await stockEvents(prefix);
  const put = await app.put(job, { n: 1 });
  expect(await lostStockWorker(prefix, 1000)).toBe(put.id);
  // Would take the job away at its second look, and fail it at the second stall.
  await stockWorker(prefix, async () => "stock", { stalledInterval: 100, maxStalledCount: 0 });
  app.pool([defineHandler(job, { handle: async () => "ours" })]);
  expect(["ours", "stock"]).toContain(await put.result({ timeout: "20s" }));
  expect(await Job.fromId(stock, put.id)).toMatchObject({ attemptsMade: 2, attemptsStarted: 2, stalledCounter: 1 });
  expect(names.filter((name) => name.startsWith("stalled"))).toEqual([`stalled ${put.id}`]);
  expect(await redisClient().pttl(`${prefix}:work:stalled-check`)).toBeGreaterThan(2000);
}, 40_000);

test("a job of ours whose worker is lost, and whose attempts are used up, becomes a dead letter that stock tools see", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const stock = stockQueue(prefix);
  const last = defineJob("work", { payload: typed<{ n: number }>(), result: typed<string>(), attempts: 1 });
  const put = await app.put(last, { n: 1 });
  await lostStockWorker(prefix, 500);
  app.pool([defineHandler(last, { handle: async () => "never" })]);
  expect(await put.outcome({ timeout: "20s" })).toMatchObject({ state: "failed", error: { attempts: 1 } });
  expect((await Job.fromId(stock, put.id))!.failedReason).toContain("lost");
}, 40_000);

test("with no pool of ours alive BullMQ's own rule applies again", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const stock = stockQueue(prefix);
  const pool = app.pool([defineHandler(job, { handle: async () => "ours" })]);
  await (await app.put(job, { n: 1 })).result({ timeout: "15s" });
  await pool.stop();
  const put = await app.put(job, { n: 2 });
  await lostStockWorker(prefix, 500);
  await stockWorker(prefix, async () => "stock", { stalledInterval: 500 });
  expect(await put.result({ timeout: "30s" })).toBe("stock");
  // A stall costs no attempt there.
  expect(await Job.fromId(stock, put.id)).toMatchObject({ attemptsMade: 1, attemptsStarted: 2, stalledCounter: 1 });
}, 60_000);

test("a job that our pool runs for longer than a stock lease is left alone by a stock Worker's check", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const { names } = await stockEvents(prefix);
  const gate = Promise.withResolvers<void>();
  let runs = 0;
  app.pool([defineHandler(job, { handle: async () => ((runs += 1), await gate.promise, "ours") })], { lease: "2s", concurrency: 1 });
  const put = await app.put(job, { n: 1 });
  await until(() => runs === 1);
  await stockWorker(prefix, async () => "stock", { stalledInterval: 200 });
  const client = redisClient();
  // Renewed twice after it would have run out.
  const lock = `${prefix}:work:${put.id}:lock`;
  for (let renewals = 0, left = await client.pttl(lock); renewals < 6; ) {
    const now = await client.pttl(lock);
    if (now > left) renewals += 1;
    left = now;
  }
  expect(runs).toBe(1);
  expect(names.filter((name) => name.startsWith("stalled"))).toEqual([]);
  gate.resolve();
  expect(await put.result({ timeout: "5s" })).toBe("ours");
}, 40_000);
