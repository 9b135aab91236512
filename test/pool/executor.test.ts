import { once } from "node:events";
import { Queue as StockQueue, UnrecoverableError } from "bullmq";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { CancelJob, DeadLetter, defineHandler, defineJob, LeaseLostError, RetryLater, typed } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { freshPrefix, redisClient, redisUrl } from "../support/redis.ts";
import { ran } from "./ran.ts";

function stockQueue(prefix: string, name = "work"): StockQueue {
  const { hostname, port } = new URL(redisUrl());
  const queue = new StockQueue(name, { prefix, connection: { host: hostname, port: Number(port) } });
  onTestFinished(() => queue.close());
  return queue;
}

test("a result is stored and given to whoever waits", async () => {
  const { outcome, hash } = await ran(async ({ n }) => ({ twice: 2 * n }));
  expect(outcome).toEqual({ state: "completed", result: { twice: 2 } });
  expect(hash).toMatchObject({ returnvalue: '{"twice":2}', atm: "1" });
});

test("a failed attempt is tried again until one succeeds", async () => {
  const { outcome, attempts, hash } = await ran(async (_, { attempt }) => {
    if (attempt < 3) throw new Error(`attempt ${attempt}`);
    return "done";
  });
  expect(outcome).toEqual({ state: "completed", result: "done" });
  expect(attempts).toEqual([1, 2, 3]);
  expect(JSON.parse(hash["stacktrace"]!)).toEqual([expect.stringContaining("attempt 1"), expect.stringContaining("attempt 2")]);
});

test("a job whose attempts are spent is a dead letter, with what was thrown last", async () => {
  const { outcome, attempts, hash, counts } = await ran(
    async (_, { attempt }) => {
      throw new TypeError(`attempt ${attempt}`);
    },
    { attempts: 2 },
  );
  expect(outcome).toMatchObject({ state: "failed", error: { code: "JOB_FAILED", message: "attempt 2", attempts: 2 } });
  expect(attempts).toEqual([1, 2]);
  expect(hash).toMatchObject({ failedReason: "attempt 2", atm: "2" });
  expect(counts).toMatchObject({ failed: 1, unfinished: 0 });
});

test("waits between attempts as its back-off says", async () => {
  const startedAt: number[] = [];
  const { prefix } = await ran(
    async () => {
      startedAt.push(performance.now());
      throw new Error("again");
    },
    { attempts: 3, backoff: { type: "exponential", base: 200, jitter: 0 } },
  );
  const pauses = startedAt.slice(1).map((at, i) => at - startedAt[i]!);
  expect(pauses).toHaveLength(2);
  expect(pauses[0]).toBeGreaterThan(190);
  expect(pauses[1]).toBeGreaterThan(390);
  // How late it begins is the machine's; for when it was planned is Redis's word.
  const events = await redisClient().xrange(`${prefix}:work:events`, "-", "+");
  const planned = events.filter(([, fields]) => fields[1] === "delayed").map(([id, fields]) => Number(fields[5]) - Number(id.split("-")[0]));
  expect(planned).toHaveLength(2);
  for (const [n, ms] of [200, 400].entries()) expect(Math.abs(planned[n]! - ms)).toBeLessThanOrEqual(1);
});

test("RetryLater sets the pause itself, and counts as an attempt", async () => {
  const startedAt: number[] = [];
  const { attempts } = await ran(
    async (_, { attempt }) => {
      startedAt.push(performance.now());
      if (attempt === 1) throw new RetryLater(300);
      return null;
    },
    { backoff: { type: "fixed", base: "1h" } },
  );
  expect(attempts).toEqual([1, 2]);
  expect(startedAt[1]! - startedAt[0]!).toBeGreaterThan(290);
});

test.each([-5, "soon", Number.NaN, undefined])("RetryLater with the delay %s leaves it to the back-off", async (delay) => {
  const { outcome } = await ran(async (_, { attempt }) => {
    if (attempt === 1) throw new RetryLater(delay as number);
    return "done";
  });
  expect(outcome).toMatchObject({ state: "completed" });
});

test("DeadLetter fails for good whatever attempts are left", async () => {
  const { outcome, attempts } = await ran(async () => {
    throw new DeadLetter("HTTP 410");
  });
  expect(outcome).toMatchObject({ state: "failed", error: { message: "HTTP 410", attempts: 1 } });
  expect(attempts).toEqual([1]);
});

test("BullMQ's UnrecoverableError does the same", async () => {
  const { attempts, outcome } = await ran(async () => {
    throw new UnrecoverableError("no use");
  });
  expect(attempts).toEqual([1]);
  expect(outcome).toMatchObject({ state: "failed", error: { message: "no use" } });
});

test("CancelJob ends the job as cancelled, never to be retried", async () => {
  const { outcome, attempts, hash } = await ran(async () => {
    throw new CancelJob("the user is gone");
  });
  expect(outcome).toEqual({ state: "cancelled", reason: "the user is gone" });
  expect(attempts).toEqual([1]);
  expect(hash["failedReason"]).toBe("cancelled: the user is gone");
});

test("an attempt that reaches its timeout is told to end, has failed, and is tried again", async () => {
  const deadlines: (Date | undefined)[] = [];
  const { outcome, attempts, hash } = await ran(
    async (_, task) => {
      deadlines.push(task.deadline);
      if (task.attempt === 2) return "in time";
      await once(task.signal, "abort");
      throw task.signal.reason;
    },
    { timeout: 100 },
  );
  expect(outcome).toEqual({ state: "completed", result: "in time" });
  expect(attempts).toEqual([1, 2]);
  expect(hash["failedReason"]).toMatch(/reached its timeout of 100 ms/);
  expect(deadlines[0]!.getTime()).toBeGreaterThan(Date.now() - 15_000);
});

test("what a handler throws at its timeout says more than the timeout, unless it is only the abort", async () => {
  const own = await ran(async (_, { signal }) => once(signal, "abort").then(() => Promise.reject(new DeadLetter("half done"))), { timeout: 50 });
  expect(own.outcome).toMatchObject({ error: { message: "half done" } });
  const abort = await ran(async (_, { signal }) => once(new EventTarget(), "never", { signal }), { timeout: 50, attempts: 1 });
  expect(abort.outcome).toMatchObject({ error: { message: expect.stringMatching(/timeout of 50 ms/) } });
});

test("a handler that ignores its timeout loses its slot when the grace is over", async () => {
  const startedAt = performance.now();
  const { outcome } = await ran(() => new Promise(() => {}), { timeout: 50, attempts: 1 });
  expect(outcome).toMatchObject({ state: "failed", error: { message: expect.stringMatching(/timeout of 50 ms/) } });
  expect(performance.now() - startedAt).toBeGreaterThan(4500);
}, 20_000);

test("a result that comes in the grace after the timeout stands", async () => {
  const { outcome, attempts } = await ran(async (_, { signal }) => (await once(signal, "abort"), "just in time"), { timeout: 50 });
  expect(outcome).toEqual({ state: "completed", result: "just in time" });
  expect(attempts).toEqual([1]);
});

test("the timeout of a put beats the contract's", async () => {
  const app = testApp();
  const job = defineJob("work", { timeout: "1h", attempts: 1 });
  app.pool([defineHandler(job, { handle: async (_, { signal }) => void (await once(signal, "abort").then(() => Promise.reject(signal.reason))) })]);
  const handle = await app.put(job, undefined, { timeout: 60 });
  expect(await handle.outcome()).toMatchObject({ error: { message: expect.stringMatching(/timeout of 60 ms/) } });
});

test("a payload that fits no known version is a dead letter at once, with the reason", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const job = defineJob("work", { payload: z.object({ n: z.int() }) });
  let runs = 0;
  app.pool([defineHandler(job, { handle: async () => void (runs += 1) })]);
  const stock = await stockQueue(prefix).add("work", { n: "seven" }, { attempts: 5 });
  const outcome = await app.queue(job).job(stock.id!).outcome();
  expect(outcome).toMatchObject({ state: "failed", error: { message: expect.stringMatching(/payload\.n/) } });
  expect(runs).toBe(0);
});

test("an older version is read through previous", async () => {
  const prefix = freshPrefix();
  const [older, newer] = [testApp({ prefix }), testApp({ prefix })];
  const first = defineJob("work", { payload: z.object({ name: z.string() }) });
  const second = defineJob("work", {
    version: 2,
    payload: z.object({ first: z.string() }),
    previous: { 1: z.object({ name: z.string() }).transform(({ name }) => ({ first: name })) },
    result: z.string(),
  });
  const handle = await older.put(first, { name: "Ada" });
  newer.pool([defineHandler(second, { handle: async (payload) => payload.first })]);
  expect(await newer.queue(second).job(handle.id).result()).toBe("Ada");
});

test("a job whose data are gone is a dead letter, whether its name is known or gone as well", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const redis = redisClient();
  const job = defineJob("work", { payload: typed<{ n: number }>() });
  const [partly, wholly] = await Promise.all([app.put(job, { n: 1 }), app.put(job, { n: 2 })]);
  await redis.hdel(`${prefix}:work:${partly.id}`, "data");
  await redis.del(`${prefix}:work:${wholly.id}`);
  app.pool([defineHandler(job, { handle: async () => {} })]);
  expect(await partly.outcome()).toMatchObject({ state: "failed", error: { message: expect.stringMatching(/gone from Redis/) } });
  await until(async () => (await app.queue(job).counts()).failed === 2);
});

test("a job that BullMQ wants failed is failed without being run", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const job = defineJob("work");
  const handle = await app.put(job);
  await redisClient().hset(`${prefix}:work:${handle.id}`, "defa", "child 7 failed");
  let runs = 0;
  app.pool([defineHandler(job, { handle: async () => void (runs += 1) })]);
  expect(await handle.outcome()).toMatchObject({ state: "failed", error: { message: "child 7 failed" } });
  expect(runs).toBe(0);
});

test("progress is stored for whoever follows the job, and refused once the lease is lost", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const redis = redisClient();
  const job = defineJob("work", { progress: z.object({ percent: z.number() }), attempts: 1 });
  let refused: unknown;
  const pool = app.pool(
    [
      defineHandler(job, {
        async handle(_, task) {
          await task.progress({ percent: 40 });
          await expect(task.progress({ percent: "many" } as never)).rejects.toMatchObject({ code: "PAYLOAD_INVALID" });
          await redis.set(`${prefix}:work:${task.id}:lock`, "somebody else");
          await once(task.signal, "abort");
          refused = await task.progress({ percent: 50 }).catch((error: unknown) => error);
        },
      }),
    ],
    { lease: "2s" },
  );
  const { id } = await app.put(job);
  await until(() => refused !== undefined);
  expect(refused).toBeInstanceOf(LeaseLostError);
  expect(await redis.hget(`${prefix}:work:${id}`, "progress")).toBe('{"percent":40}');
  await pool.stop();
});
