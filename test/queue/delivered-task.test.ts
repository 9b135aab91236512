import { Queue } from "bullmq";
import { expect, onTestFinished, test } from "vitest";
import { defineHandler, defineJob, LeaseLostError, sleep, typed, type JobTask } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { freshPrefix, redisClient, redisUrl } from "../support/redis.ts";

test.each([{ every: 200 }, { pattern: "* * * * * *" }])("a run of a schedule (%o) knows the instant it was meant for", async (repeat) => {
  const prefix = freshPrefix();
  const stock = new Queue("ticks", { connection: { url: redisUrl(), maxRetriesPerRequest: null }, prefix });
  onTestFinished(() => stock.close());
  const app = testApp({ prefix });
  const tick = defineJob("tick", { queue: "ticks", payload: typed<object>() });
  const ran: { readonly scheduledAt: Date | undefined; readonly at: number }[] = [];
  app.pool([defineHandler(tick, { handle: async (_, { scheduledAt }) => void ran.push({ scheduledAt, at: Date.now() }) })]);
  await stock.upsertJobScheduler("tick", repeat, { name: "tick", data: {} });
  await until(() => ran.length >= 2);
  await stock.removeJobScheduler("tick");
  const [first, second] = ran;
  expect(second!.scheduledAt!.getTime()).toBeGreaterThan(first!.scheduledAt!.getTime());
  expect(second!.at - second!.scheduledAt!.getTime()).toBeGreaterThanOrEqual(-5);
});

test("a job of no schedule was meant for no instant", async () => {
  const app = testApp();
  const job = defineJob("plain", { result: typed<boolean>() });
  app.pool([defineHandler(job, { handle: async (_, task) => task.scheduledAt === undefined })]);
  expect(await (await app.put(job)).result({ timeout: "10s" })).toBe(true);
});

test("a handler that asks for its lease gets it renewed; once it is lost it is told so, and its signal fires", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const job = defineJob("work");
  const started = Promise.withResolvers<JobTask>();
  const pool = app.pool([defineHandler(job, { handle: async (_, task) => (started.resolve(task), sleep(600_000, { signal: task.signal })) })], { lease: "5m" });
  const handle = await app.put(job);
  const task = await started.promise;
  const redis = redisClient();
  const key = `${prefix}:work:${handle.id}:lock`;
  await redis.pexpire(key, 60_000);
  await task.assertLease();
  expect(await redis.pttl(key)).toBeGreaterThan(200_000);
  await redis.set(key, "somebody else");
  const { signal } = task;
  const refused = await task.assertLease().catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(LeaseLostError);
  expect(signal.reason).toBe(refused);
  await expect(task.assertLease()).rejects.toBe(refused);
  await until(() => pool.running === 0);
  expect(await handle.state()).toBe("active");
});

test("a result that comes when the job is somebody else's counts for nothing, is counted, and ends no process", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const job = defineJob("work");
  const gate = Promise.withResolvers<void>();
  let runs = 0;
  const pool = app.pool([defineHandler(job, { handle: async () => ((runs += 1), gate.promise) })], { lease: "5m" });
  const handle = await app.put(job);
  await until(() => runs === 1);
  await redisClient().set(`${prefix}:work:${handle.id}:lock`, "somebody else");
  expect(pool.refused).toBe(0);
  gate.resolve();
  await until(() => pool.refused === 1);
  expect(await handle.state()).toBe("active");
});

test("every delivery of a queue has a greater fence than those before it, whoever has it and whatever became of them", async () => {
  const prefix = freshPrefix();
  const job = defineJob("work", { payload: typed<{ n: number }>(), attempts: 4, backoff: { type: "fixed", base: 0 }, keep: { failed: { count: 0 }, completed: { count: 0 } } });
  const fences: number[] = [];
  const handle = async ({ n }: { n: number }, { attempt, fence }: JobTask): Promise<void> => {
    fences.push(Number(fence));
    if (attempt <= n % 4) throw new Error("again");
  };
  const [app, other] = [testApp({ prefix }), testApp({ prefix })];
  await app.queue(job).putMany(Array.from({ length: 40 }, (_, n) => ({ n })));
  app.pool([defineHandler(job, { handle })], { concurrency: 1 });
  await app.queue(job).join({ timeout: "20s" });
  const { length } = fences;
  expect(length).toBe(100);
  expect(fences).toEqual(fences.toSorted((a, b) => a - b));
  await app.put(job, { n: 0 }, { id: "again" });
  other.pool([defineHandler(job, { handle })], { concurrency: 1 });
  await app.queue(job).join({ timeout: "20s" });
  expect(fences.at(-1)).toBeGreaterThan(fences.at(-2)!);
  expect(new Set(fences).size).toBe(length + 1);
});
