import { expect, test } from "vitest";
import { defineHandler, defineJob, typed } from "../../src/index.ts";
import { recordedLog, testApp, until } from "../support/app.ts";
import { freshPrefix, redisClient } from "../support/redis.ts";
import { stockQueue, stockWorker } from "./stock.ts";

const tick = defineJob("tick", { queue: "work", payload: typed<{ of: string }>() });

test("a stock schedule of every so many milliseconds keeps ticking when our pool runs it", async () => {
  const prefix = freshPrefix();
  const stock = stockQueue(prefix);
  const ran: { id: string; of: string; scheduledAt: number }[] = [];
  testApp({ prefix }).pool([defineHandler(tick, { handle: async ({ of }, { id, scheduledAt }) => void ran.push({ id, of, scheduledAt: scheduledAt!.getTime() }) })]);
  await stock.upsertJobScheduler("every", { every: 100 }, { name: "tick", data: { of: "every" } });
  await until(() => ran.length >= 6);
  for (const [n, { id, of, scheduledAt }] of ran.entries()) {
    expect([id, of]).toEqual([`repeat:every:${scheduledAt}`, "every"]);
    if (n === 0) continue;
    const sincePreviousMs = scheduledAt - ran[n - 1]!.scheduledAt;
    expect(sincePreviousMs).toBeGreaterThan(0);
    expect(sincePreviousMs % 100).toBe(0);
  }
  expect(await stock.getJobSchedulersCount()).toBe(1);
  expect((await stock.getJobScheduler("every"))!.iterationCount).toBeGreaterThanOrEqual(ran.length);
});

test("a stock schedule by cron pattern keeps ticking when our pool runs it", async () => {
  const prefix = freshPrefix();
  const stock = stockQueue(prefix);
  const ran: number[] = [];
  testApp({ prefix }).pool([defineHandler(tick, { handle: async (_payload, { scheduledAt }) => void ran.push(scheduledAt!.getTime()) })]);
  await stock.upsertJobScheduler("cron", { pattern: "* * * * * *" }, { name: "tick", data: { of: "cron" } });
  await until(() => ran.length >= 3);
  expect(ran.slice(1).map((at, n) => at - ran[n]!)).toEqual(ran.slice(1).map(() => 1000));
});

test("a schedule ends at its limit, and one that was removed makes no more runs", async () => {
  const prefix = freshPrefix();
  const stock = stockQueue(prefix);
  const ran: string[] = [];
  const app = testApp({ prefix });
  app.pool([defineHandler(tick, { handle: async ({ of }) => void ran.push(of) })]);
  await stock.upsertJobScheduler("three", { every: 50, limit: 3 }, { name: "tick", data: { of: "limited" } });
  await stock.upsertJobScheduler("gone", { every: 50 }, { name: "tick", data: { of: "removed" } });
  await until(() => ran.filter((of) => of === "removed").length >= 3);
  await stock.removeJobScheduler("gone");
  await until(async () => (await stock.getDelayedCount()) + (await stock.getActiveCount()) + (await stock.getWaitingCount()) === 0);
  expect(ran.filter((of) => of === "limited")).toHaveLength(3);
});

test("a run that fails is retried by its own policy while the schedule goes on", async () => {
  const prefix = freshPrefix();
  const stock = stockQueue(prefix);
  const attempts = new Map<string, number>();
  testApp({ prefix }).pool([
    defineHandler(tick, {
      async handle(_payload, { id, attempt }) {
        attempts.set(id, attempt);
        throw new Error("always");
      },
    }),
  ]);
  await stock.upsertJobScheduler("failing", { every: 100 }, { name: "tick", data: { of: "x" }, opts: { attempts: 2, backoff: { type: "fixed", delay: 0 } } });
  await until(() => [...attempts.values()].filter((made) => made === 2).length >= 4);
  const [failed] = await stock.getFailed();
  expect(failed).toMatchObject({ attemptsMade: 2, failedReason: "always" });
});

test("a schedule goes on though nobody here knows its jobs, and though the worker that started a run was lost", async () => {
  const prefix = freshPrefix();
  const stock = stockQueue(prefix);
  const other = defineJob("other", { queue: "work" });
  const app = testApp({ prefix });
  // Started by a worker that died before it came to plan the next run, and of a job that may be tried once.
  await stock.upsertJobScheduler("orphan", { every: 500 }, { name: "tick", data: { of: "x" }, opts: { attempts: 1 } });
  const client = redisClient();
  await until(async () => (await client.llen(`${prefix}:work:wait`)) > 0);
  await client.lmove(`${prefix}:work:wait`, `${prefix}:work:active`, "RIGHT", "LEFT");
  await stock.upsertJobScheduler("unknown", { every: 500 }, { name: "nobody knows", data: {} });
  app.pool([defineHandler(other, { handle: async () => {} }), defineHandler(tick, { handle: async () => {} })]);
  await until(async () => (await stock.getCompletedCount()) >= 2 && (await stock.getFailedCount()) === 1);
  expect((await stock.getJobScheduler("unknown"))!.iterationCount).toBeGreaterThan(1);
});

test("a queue whose schedules have nothing but their future is joined", async () => {
  const prefix = freshPrefix();
  const stock = stockQueue(prefix);
  const app = testApp({ prefix });
  await stock.upsertJobScheduler("nightly", { pattern: "0 3 * * *" }, { name: "tick", data: { of: "n" } });
  await app.queue(tick).join({ timeout: "5s" });
  await stock.add("tick", { of: "now" });
  expect((await app.queue(tick).counts()).unfinished).toBe(1);
});

test("a schedule is handed between our pool and a stock Worker and no tick is run twice", async () => {
  const prefix = freshPrefix();
  const stock = stockQueue(prefix);
  const ran: { by: string; at: number }[] = [];
  const log = recordedLog();
  await stockWorker(prefix, async (job) => void ran.push({ by: "stock", at: Number(job.id!.split(":").at(-1)) }));
  testApp({ prefix, log }).pool([defineHandler(tick, { handle: async (_payload, { scheduledAt }) => void ran.push({ by: "ours", at: scheduledAt!.getTime() }) })]);
  await stock.upsertJobScheduler("shared", { every: 100 }, { name: "tick", data: { of: "x" } });
  await until(() => new Set(ran.map(({ by }) => by)).size === 2 && ran.length >= 10);
  expect(new Set(ran.map(({ at }) => at)).size).toBe(ran.length);
  expect(log.lines.filter(({ level }) => level === "error")).toEqual([]);
});
