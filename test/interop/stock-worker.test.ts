import { Job, UnrecoverableError, type Job as StockJob } from "bullmq";
import { expect, test } from "vitest";
import { defineJob, JobFailedError, typed } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { freshPrefix } from "../support/redis.ts";
import { stockQueue, stockWorker } from "./stock.ts";

const options = { queue: "work", payload: typed<{ n: number }>(), result: typed<{ double: number }>() } as const;

test("our put feeds a stock Worker, and its result comes back through the handle", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const double = defineJob("double", options);
  const seen: StockJob[] = [];
  await stockWorker(prefix, async (job) => (seen.push(job), { double: job.data.n * 2 }));
  const put = await app.put(double, { n: 21 });
  expect(await put.result({ timeout: "15s" })).toEqual({ double: 42 });
  expect(seen.map(({ id, name, data }) => ({ id, name, data }))).toEqual([{ id: put.id, name: "double", data: { n: 21 } }]);
});

test("a stock Worker keeps the contract's attempts, back-off and jitter", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const flaky = defineJob("flaky", { ...options, attempts: 3, backoff: { type: "exponential", base: 100, jitter: 0 } });
  const startedAt: number[] = [];
  await stockWorker(prefix, async () => {
    startedAt.push(Date.now());
    throw new Error("no");
  });
  const put = await app.put(flaky, { n: 1 });
  const { error } = (await put.outcome({ timeout: "15s" })) as { error: JobFailedError };
  expect(error).toBeInstanceOf(JobFailedError);
  expect(error).toMatchObject({ message: "no", attempts: 3 });
  expect(startedAt).toHaveLength(3);
  expect(startedAt[1]! - startedAt[0]!).toBeGreaterThanOrEqual(95);
  expect(startedAt[2]! - startedAt[1]!).toBeGreaterThanOrEqual(195);
});

test("a stock Worker that finds a job unrecoverable makes a dead letter of it", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const job = defineJob("poison", { ...options, attempts: 5 });
  await stockWorker(prefix, () => Promise.reject(new UnrecoverableError("poisoned")));
  const outcome = await (await app.put(job, { n: 1 })).outcome({ timeout: "15s" });
  expect(outcome).toMatchObject({ state: "failed", error: { attempts: 1, message: "poisoned" } });
});

test("a stock Worker keeps the contract's retention", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const stock = stockQueue(prefix);
  const kept = defineJob("kept", { ...options, keep: { completed: { count: 3 }, failed: { count: 2 } }, attempts: 1 });
  await stockWorker(prefix, async (job) => {
    if (job.data.n % 2 === 0) throw new Error("even");
  });
  await app.queue(kept).putMany(Array.from({ length: 20 }, (_, n) => ({ n })));
  await app.queue(kept).join({ timeout: "15s" });
  expect(await stock.getJobCounts("completed", "failed")).toEqual({ completed: 3, failed: 2 });
});

test("a stock Worker keeps priority, delay, LIFO and the order put", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const stock = stockQueue(prefix);
  const job = defineJob("ordered", options);
  await stock.pause();
  const put = (id: string, how: object): Promise<unknown> => app.put(job, { n: 1 }, { id, ...how });
  await put("low", { priority: 9 });
  await put("high", { priority: 1 });
  await put("first", {});
  await put("second", {});
  await put("lifo", { lifo: true });
  await put("late", { delay: 1000 });
  const putAt = Date.now();
  const order: string[] = [];
  await stockWorker(prefix, async ({ id }) => order.push(id!));
  await stock.resume();
  await until(() => order.length === 6);
  expect(order).toEqual(["lifo", "first", "second", "high", "low", "late"]);
  expect((await Job.fromId(stock, "late"))!.processedOn! - putAt).toBeGreaterThanOrEqual(250);
});

test("a stock Worker that sleeps is woken by our put, and by a job of ours that falls due", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const job = defineJob("waking", options);
  const ranAt = new Map<string, number>();
  const worker = await stockWorker(prefix, async ({ id }) => ranAt.set(id!, Date.now()));
  await until(() => (worker as unknown as { waiting: unknown }).waiting !== null);
  const putAt = Date.now();
  await app.put(job, { n: 1 }, { id: "now" });
  await app.put(job, { n: 1 }, { id: "soon", delay: 500 });
  await until(() => ranAt.size === 2);
  expect(ranAt.get("now")! - putAt).toBeLessThan(400);
  expect(ranAt.get("soon")! - putAt).toBeGreaterThanOrEqual(495);
  expect(ranAt.get("soon")! - putAt).toBeLessThan(2000);
});

test("a stock tool retries our dead letter, and promotes our delayed job", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const stock = stockQueue(prefix);
  const job = defineJob("again", { ...options, attempts: 1 });
  let broken = true;
  await stockWorker(prefix, async ({ data }) => {
    if (broken) throw new Error("broken");
    return { double: data.n * 2 };
  });
  const put = await app.put(job, { n: 4 });
  expect((await put.outcome({ timeout: "15s" })).state).toBe("failed");
  broken = false;
  await (await Job.fromId(stock, put.id))!.retry();
  await until(async () => (await put.state()) === "completed");
  const late = await app.put(job, { n: 5 }, { delay: "1h" });
  await (await Job.fromId(stock, late.id))!.promote();
  expect(await late.result({ timeout: "15s" })).toEqual({ double: 10 });
});
