import { Job, QueueEvents } from "bullmq";
import { expect, test } from "vitest";
import { z } from "zod";
import { defineHandler, defineJob, typed } from "../../src/index.ts";
import { recordedLog, testApp, until } from "../support/app.ts";
import { freshPrefix, redisClient, redisUrl } from "../support/redis.ts";
import { stockEvents, stockQueue } from "./stock.ts";

const atOnce = { type: "fixed", base: 0 } as const;
const sum = defineJob("sum", { queue: "work", payload: z.object({ a: z.number(), b: z.number().default(10) }), result: z.number(), backoff: atOnce });

test("a stock Queue puts jobs that our pool completes, with result and attempts right", async () => {
  const prefix = freshPrefix();
  const stock = stockQueue(prefix);
  const { events } = await stockEvents(prefix);
  testApp({ prefix }).pool([
    defineHandler(sum, {
      async handle({ a, b }, task) {
        if (task.attempt < 3) throw new Error(`attempt ${task.attempt}`);
        return a + b;
      },
    }),
  ]);
  const [one, two] = await stock.addBulk([
    { name: "sum", data: { a: 1, b: 2 }, opts: { attempts: 5 } },
    { name: "sum", data: { a: 1 }, opts: { attempts: 3 } },
  ]);
  expect(await Promise.all([one!.waitUntilFinished(events), two!.waitUntilFinished(events)])).toEqual([3, 11]);
  const done = (await Job.fromId(stock, one!.id!))!;
  expect(done).toMatchObject({ returnvalue: 3, attemptsMade: 3, attemptsStarted: 3, opts: { attempts: 5 } });
  expect(done.stacktrace).toHaveLength(2);
  expect(done.finishedOn).toBeGreaterThanOrEqual(done.processedOn!);
  expect(await done.getState()).toBe("completed");
});

test("what a stock job says of attempts, back-off and retention beats the contract; what it lacks the contract fills", async () => {
  const prefix = freshPrefix();
  const stock = stockQueue(prefix);
  const flaky = defineJob("flaky", { queue: "work", payload: typed<{}>(), attempts: 2, backoff: atOnce });
  const startedAt = new Map<string, number[]>();
  const app = testApp({ prefix });
  app.pool([
    defineHandler(flaky, {
      async handle(_payload, { id }) {
        startedAt.set(id, [...(startedAt.get(id) ?? []), Date.now()]);
        throw new Error("no");
      },
    }),
  ]);
  await stock.add("flaky", {}, { jobId: "own", attempts: 3, backoff: { type: "fixed", delay: 150 }, removeOnFail: true });
  await stock.add("flaky", {}, { jobId: "contract" });
  await app.queue(flaky).join({ timeout: "15s" });
  expect([startedAt.get("own")!.length, startedAt.get("contract")!.length]).toEqual([3, 2]);
  const [first, second] = startedAt.get("own")!;
  expect(second! - first!).toBeGreaterThanOrEqual(145);
  expect(await Job.fromId(stock, "own")).toBeUndefined();
  expect(await (await Job.fromId(stock, "contract"))!.getState()).toBe("failed");
});

test("delay, priority and LIFO of a stock job are kept", async () => {
  const prefix = freshPrefix();
  const stock = stockQueue(prefix);
  const order: string[] = [];
  await stock.pause();
  await stock.add("sum", { a: 1 }, { jobId: "low", priority: 9 });
  await stock.add("sum", { a: 1 }, { jobId: "high", priority: 1 });
  await stock.add("sum", { a: 1 }, { jobId: "first" });
  await stock.add("sum", { a: 1 }, { jobId: "second" });
  await stock.add("sum", { a: 1 }, { jobId: "lifo", lifo: true });
  const putAt = Date.now();
  await stock.add("sum", { a: 1 }, { jobId: "late", delay: 1000 });
  const app = testApp({ prefix });
  app.pool([defineHandler(sum, { handle: async (_payload, { id }) => order.push(id) })], { concurrency: 1 });
  await stock.resume();
  await app.queue(sum).join({ timeout: "15s" });
  expect(order).toEqual(["lifo", "first", "second", "high", "low", "late"]);
  expect((await Job.fromId(stock, "late"))!.processedOn! - putAt).toBeGreaterThanOrEqual(995);
});

test("a stock job without data, and one that our contract cannot read, end as they should", async () => {
  const prefix = freshPrefix();
  const stock = stockQueue(prefix);
  const plain = defineJob("plain", { queue: "work" });
  const app = testApp({ prefix });
  app.pool([defineHandler(plain, { handle: async () => {} }), defineHandler(sum, { handle: async () => 1 })]);
  await stock.add("plain", undefined, { jobId: "nothing" });
  await stock.add("sum", { a: "text" }, { jobId: "unreadable", attempts: 5 });
  await app.queue(sum).join({ timeout: "15s" });
  expect(await (await Job.fromId(stock, "nothing"))!.getState()).toBe("completed");
  const dead = (await Job.fromId(stock, "unreadable"))!;
  expect(await dead.getState()).toBe("failed");
  expect(dead.attemptsMade).toBe(1);
  expect(dead.failedReason).toContain("payload.a");
});

test("stock jobs with hostile options neither stop the pool nor each other", async () => {
  const prefix = freshPrefix();
  const stock = stockQueue(prefix);
  const log = recordedLog();
  const app = testApp({ prefix, log });
  const fails = defineJob("fails", { queue: "work", payload: typed<object>(), backoff: atOnce });
  const pool = app.pool([defineHandler(fails, { handle: () => Promise.reject(new Error("no")) }), defineHandler(sum, { handle: async () => 1 })]);
  const odd: object[] = [
    { removeOnFail: null, removeOnComplete: null }, { removeOnFail: { count: "many" } }, { removeOnFail: { age: "x", count: -3 } }, { removeOnFail: 1.5 }, { removeOnFail: "yes" },
    { backoff: { type: "no such" } }, { backoff: { type: "fixed", delay: "soon" } }, { backoff: -5 }, { attempts: -1 }, { attempts: 2.5 }, { attempts: "many" }, { stackTraceLimit: -1 },
  ];
  await stock.pause();
  for (const [n, opts] of odd.entries()) {
    await stock.add("fails", {}, { jobId: `odd-${n}` });
    await redisClient().hset(`${prefix}:work:odd-${n}`, "opts", JSON.stringify(opts));
  }
  await stock.resume();
  await stock.add("sum", { a: 1 }, { jobId: "good" });
  await app.queue(sum).join({ timeout: "20s" });
  expect(await (await Job.fromId(stock, "good"))!.getState()).toBe("completed");
  expect(await Promise.all([stock.getActiveCount(), stock.getWaitingCount(), stock.getDelayedCount()])).toEqual([0, 0, 0]);
  expect(log.lines.filter(({ level }) => level === "error")).toEqual([]);
  expect(pool.running).toBe(0);
});

test("progress of our handler reaches a stock QueueEvents and the stock job", async () => {
  const prefix = freshPrefix();
  const stock = stockQueue(prefix);
  const events = new QueueEvents("work", { connection: { url: redisUrl() }, prefix, lastEventId: "0-0" });
  const seen: unknown[] = [];
  events.on("progress", ({ jobId, data }) => seen.push([jobId, data]));
  const steps = defineJob("steps", { queue: "work", progress: z.object({ at: z.number() }) });
  const app = testApp({ prefix });
  app.pool([defineHandler(steps, { handle: async (_payload, task) => task.progress({ at: 0.5 }) })]);
  await stock.add("steps", {}, { jobId: "p" });
  await until(() => seen.length > 0);
  expect(seen).toEqual([["p", { at: 0.5 }]]);
  expect((await Job.fromId(stock, "p"))!.progress).toEqual({ at: 0.5 });
  await events.close();
});
