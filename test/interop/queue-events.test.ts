import { Job } from "bullmq";
import { expect, test } from "vitest";
import { defineHandler, defineJob, typed, type JobTask } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { freshPrefix } from "../support/redis.ts";
import { stockEvents, stockQueue } from "./stock.ts";

const atOnce = { type: "fixed", base: 0 } as const;

function work(handle: (payload: { n: number }, task: JobTask) => Promise<unknown>, options: object = {}) {
  const job = defineJob("work", { payload: typed<{ n: number }>(), result: typed<unknown>(), backoff: atOnce, ...options });
  return { job, handler: defineHandler(job, { handle }) };
}

test("a stock QueueEvents sees a job of ours added, waiting, active and completed with its result, and the queue drained", async () => {
  const prefix = freshPrefix();
  const { names, events } = await stockEvents(prefix);
  const results: unknown[] = [];
  events.on("completed", ({ returnvalue, prev }) => results.push([returnvalue, prev]));
  const app = testApp({ prefix });
  const { job, handler } = work(async ({ n }) => ({ twice: n * 2 }));
  await app.put(job, { n: 4 }, { id: "a" });
  app.pool([handler]);
  await until(() => names.includes("drained"));
  expect(names).toEqual(["added a", "waiting a", "active a", "completed a", "drained"]);
  expect(results).toEqual([[{ twice: 8 }, "active"]]);
});

test("it sees every attempt of a job that fails for good, and that its retries are exhausted", async () => {
  const prefix = freshPrefix();
  const { names, events } = await stockEvents(prefix);
  const said: unknown[] = [];
  events.on("failed", ({ jobId, failedReason, prev }) => said.push([jobId, failedReason, prev]));
  events.on("retries-exhausted", ({ jobId, attemptsMade }) => said.push([jobId, attemptsMade]));
  const app = testApp({ prefix });
  const { job, handler } = work(() => Promise.reject(new Error("no good")), { attempts: 2 });
  await app.put(job, { n: 1 }, { id: "b" });
  app.pool([handler]);
  await until(() => names.includes("drained"));
  expect(names).toEqual(["added b", "waiting b", "active b", "waiting b", "active b", "failed b", "retries-exhausted b", "drained"]);
  expect(said).toEqual([["b", "no good", "active"], ["b", "2"]]);
});

test("it sees delays: of a put, and of a retry, with the instant at which each is due", async () => {
  const prefix = freshPrefix();
  const { names, events } = await stockEvents(prefix);
  const dueAt: number[] = [];
  events.on("delayed", ({ delay }) => dueAt.push(delay));
  const app = testApp({ prefix });
  const { job, handler } = work(async (_payload, task) => {
    if (task.attempt === 1) throw new Error("once");
    return "then";
  }, { backoff: { type: "fixed", base: 200, jitter: 0 } });
  const putAt = Date.now();
  await app.put(job, { n: 1 }, { id: "c", delay: 150 });
  app.pool([handler]);
  await until(() => names.includes("drained"));
  expect(names).toEqual(["added c", "delayed c", "waiting c", "active c", "delayed c", "waiting c", "active c", "completed c", "drained"]);
  expect(dueAt[0]! - putAt).toBeGreaterThanOrEqual(149);
  expect(dueAt[0]! - putAt).toBeLessThan(1000);
  expect(dueAt[1]! - dueAt[0]!).toBeGreaterThanOrEqual(200);
});

test("it sees that a put of an id that exists was a duplicate, and the end of a job that is not kept", async () => {
  const prefix = freshPrefix();
  const { names } = await stockEvents(prefix);
  const app = testApp({ prefix });
  const { job, handler } = work(async () => "gone", { keep: { completed: { count: 0 } } });
  await app.put(job, { n: 1 }, { id: "d" });
  await app.put(job, { n: 2 }, { id: "d" });
  app.pool([handler]);
  await until(() => names.includes("drained"));
  expect(names).toEqual(["added d", "waiting d", "duplicated d", "active d", "completed d", "drained"]);
});

test("a stock waitUntilFinished ends with our pool's result", async () => {
  const prefix = freshPrefix();
  const { events } = await stockEvents(prefix);
  const app = testApp({ prefix });
  const { job, handler } = work(async ({ n }) => {
    if (n < 0) throw new Error("negative");
    return n;
  }, { attempts: 1 });
  const stock = stockQueue(prefix);
  const [good, bad] = await Promise.all([3, -3].map(async (n) => (await Job.fromId(stock, (await app.put(job, { n })).id))!));
  const waits = [good!.waitUntilFinished(events, 10_000), bad!.waitUntilFinished(events, 10_000)] as const;
  const failing = expect(waits[1]).rejects.toThrow("negative");
  app.pool([handler]);
  expect(await waits[0]).toBe(3);
  await failing;
});
