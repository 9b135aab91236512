import { once } from "node:events";
import { expect, test } from "vitest";
import { JobCancelledError } from "../../src/errors.ts";
import { CancelledError, defineHandler, defineJob, defineQueue, OptionError, typed, type JobTask } from "../../src/index.ts";
import { recordedLog, testApp, until } from "../support/app.ts";
import { failure } from "../support/outcome.ts";
import { freshPrefix, redisClient } from "../support/redis.ts";
import { placesOf, openQueue } from "../store/opened-queue.ts";
import { doomedWorker } from "./doomed.ts";

const work = defineQueue("work");
const job = defineJob("work", { queue: work, payload: typed<number>(), result: typed<string>(), attempts: 3, backoff: { type: "fixed", base: 0 } });

function setUp(prefix = freshPrefix()) {
  const log = recordedLog();
  const app = testApp({ prefix, log });
  return { prefix, log, app, queue: app.queue(job) };
}

/** Runs until its signal fires, and then does as it is told. */
function obedient(then: (task: JobTask) => string | Promise<string> = (task) => Promise.reject(task.signal.reason)) {
  const started: string[] = [];
  const reasons: unknown[] = [];
  const handler = defineHandler(job, {
    async handle(_, task) {
      started.push(task.id);
      if (!task.signal.aborted) await once(task.signal, "abort");
      reasons.push(task.signal.reason);
      return then(task);
    },
  });
  return { handler, started, reasons };
}

test.for([
  ["waiting", {}],
  ["prioritized", { priority: 3 }],
  ["delayed", { delay: "1h" }],
] as const)("a %s job ends at once as cancelled, and never runs", async ([state, options]) => {
  const { prefix, app, queue } = setUp();
  const put = await queue.put(1, options);
  const other = await queue.put(2);
  expect(await put.state()).toBe(state);
  const waits = failure(put.result({ timeout: "10s" }));
  expect(await put.cancel("user asked")).toBe(true);
  expect((await waits).error).toBeInstanceOf(JobCancelledError);
  expect((await waits).error).toMatchObject({ message: "user asked", jobId: put.id });
  expect(await put.outcome()).toEqual({ state: "cancelled", reason: "user asked" });
  expect(await put.state()).toBe("cancelled");
  expect(await placesOf(await openQueue({ prefix }), put.id)).toEqual(["failed"]);
  expect(await queue.counts()).toMatchObject({ failed: 1, unfinished: 1 });
  const ran: string[] = [];
  app.pool([defineHandler(job, { handle: async (_, { id }) => (ran.push(id), "done") })]);
  await queue.join({ timeout: "10s" });
  expect(ran).toEqual([other.id]);
});

test("any process cancels by the id, and says why it did unless it does not care", async () => {
  const { prefix, queue } = setUp();
  const put = await queue.put(1);
  expect(await setUp(prefix).queue.cancel(put.id)).toBe(true);
  expect(await put.outcome()).toEqual({ state: "cancelled", reason: "on request" });
});

test("what has ended or never was cannot be cancelled", async () => {
  const { app, queue } = setUp();
  const put = await queue.put(1);
  app.pool([defineHandler(job, { handle: async () => "done" })]);
  await put.result();
  expect(await put.cancel()).toBe(false);
  expect(await put.outcome()).toEqual({ state: "completed", result: "done" });
  for (const id of ["never", "meta", "wait", "events", "completed"]) expect(await queue.cancel(id)).toBe(false);
  expect(await queue.counts()).toMatchObject({ completed: 1, failed: 0, active: 0 });
});

test("what is no reason is refused before anything is done", async () => {
  const { queue } = setUp();
  const put = await queue.put(1);
  for (const reason of ["", 7, null, "x".repeat(1001)] as never[]) expect((await failure(put.cancel(reason))).error).toBeInstanceOf(OptionError);
  expect((await failure(queue.cancel(7 as never))).error).toBeInstanceOf(OptionError);
  expect(await put.state()).toBe("waiting");
});

test("a job that runs is told within a second, and ends as cancelled with its attempts left", async () => {
  const { prefix, app, queue } = setUp();
  const { handler, started, reasons } = obedient();
  app.pool([handler], { concurrency: 10 });
  const puts = await Promise.all(Array.from({ length: 10 }, (_, n) => queue.put(n)));
  await until(() => started.length === 10);
  const elsewhere = setUp(prefix).queue;
  await elsewhere.counts();
  const tookMs = await Promise.all(
    puts.map(async ({ id }) => {
      const askedAt = performance.now();
      expect(await elsewhere.cancel(id, `of ${id}`)).toBe(true);
      expect(await elsewhere.job(id).outcome({ timeout: "10s" })).toEqual({ state: "cancelled", reason: `of ${id}` });
      return performance.now() - askedAt;
    }),
  );
  // By wake-ups, that is, and not by the look every 2 s; the slowest on a busy machine say nothing.
  expect(tookMs.toSorted((a, b) => a - b)[4]).toBeLessThan(1000);
  expect(reasons).toHaveLength(10);
  for (const reason of reasons) expect(reason).toBeInstanceOf(CancelledError);
  expect(started).toHaveLength(10);
  expect(await queue.counts()).toMatchObject({ failed: 10, unfinished: 0 });
});

test("a job that is cancelled the moment it starts is told as well", async () => {
  const { app, queue } = setUp();
  const { handler } = obedient();
  app.pool([handler], { concurrency: 50 });
  const puts = await Promise.all(Array.from({ length: 200 }, (_, n) => queue.put(n)));
  await Promise.all(puts.map((put) => put.cancel()));
  const outcomes = await Promise.all(puts.map((put) => put.outcome({ timeout: "15s" })));
  expect(new Set(outcomes.map(({ state }) => state))).toEqual(new Set(["cancelled"]));
});

test("an acknowledgement that comes first wins, and leaves no request behind", async () => {
  const { prefix, app, queue } = setUp();
  const { handler, started } = obedient(() => "done all the same");
  app.pool([handler]);
  const put = await queue.put(1);
  await until(() => started.length === 1);
  expect(await put.cancel()).toBe(true);
  expect(await put.result({ timeout: "10s" })).toBe("done all the same");
  expect(await redisClient().hexists(`${prefix}:work:${put.id}`, "mc")).toBe(0);
});

test("the first reason stands", async () => {
  const { app, queue } = setUp();
  const { handler, started } = obedient();
  app.pool([handler]);
  const put = await queue.put(1);
  await until(() => started.length === 1);
  await Promise.all([put.cancel("first"), put.cancel("second")]);
  expect(await put.outcome({ timeout: "10s" })).toEqual({ state: "cancelled", reason: "first" });
});

test.for(["retry", "last", "release"] as const)("a request that its task did not hear of is honoured at its %s", async (end) => {
  const { prefix, queue } = setUp();
  const put = await queue.put(1, { attempts: end === "last" ? 1 : 3 });
  const iteration = queue.deliveries()[Symbol.asyncIterator]();
  const delivery = (await iteration.next()).value!;
  await redisClient().hset(`${prefix}:work:${put.id}`, "mc", "unheard");
  await (end === "release" ? delivery.release() : delivery.fail(new Error("broken")));
  expect(await put.outcome({ timeout: "10s" })).toEqual({ state: "cancelled", reason: "unheard" });
});

test("what is delivered by hand hears of it through its signal, and may still be acknowledged", async () => {
  const { queue } = setUp();
  const [first, second] = [await queue.put(1), await queue.put(2)];
  const iteration = queue.deliveries({ concurrency: 2 })[Symbol.asyncIterator]();
  const [one, two] = [(await iteration.next()).value!, (await iteration.next()).value!];
  await Promise.all([first.cancel("a"), second.cancel("b")]);
  for (const { task } of [one, two]) if (!task.signal.aborted) await once(task.signal, "abort");
  expect(one.task.signal.reason).toBeInstanceOf(CancelledError);
  await one.ack("in time");
  await two.release();
  expect(await first.result({ timeout: "10s" })).toBe("in time");
  expect(await second.outcome({ timeout: "10s" })).toEqual({ state: "cancelled", reason: "b" });
});

test("one connection listens for all queues, and none once the pools are gone", async () => {
  const { app, queue, prefix } = setUp();
  const other = defineJob("other");
  const { handler, started } = obedient();
  const pool = app.pool([handler, defineHandler(other, { handle: async () => {} })]);
  const put = await queue.put(1);
  await until(() => started.length === 1);
  const subscribed = async () => ((await redisClient().call("PUBSUB", "CHANNELS", `${prefix}:*:cancel`)) as string[]).toSorted();
  await until(async () => (await subscribed()).length === 2);
  expect(await subscribed()).toEqual([`${prefix}:other:millrace:cancel`, `${prefix}:work:millrace:cancel`]);
  await put.cancel();
  await put.outcome({ timeout: "10s" });
  await pool.cancel();
  await until(async () => (await subscribed()).length === 0);
});

test("a job is kept as its contract keeps failed ones, and not at all where that says so", async () => {
  const { app } = setUp();
  const forgotten = defineJob("forgotten", { keep: { failed: { count: 0 } } });
  const put = await app.put(forgotten);
  expect(await put.cancel("gone")).toBe(true);
  expect(await put.outcome({ timeout: "10s" })).toEqual({ state: "cancelled", reason: "gone" });
  expect(await put.state()).toBe("removed");
});

test("a job whose worker died before it heard is not run again", async () => {
  const { prefix, queue, app } = setUp();
  const doomed = doomedWorker(prefix, { LEASE: "2s" });
  const put = await queue.put(1);
  await until(() => doomed.runs.length === 1);
  const cancelled = put.cancel("while it died");
  await doomed.kill();
  expect(await cancelled).toBe(true);
  const ran: string[] = [];
  app.pool([defineHandler(job, { handle: async (_, { id }) => (ran.push(id), "again") })], { lease: "2s" });
  expect(await put.outcome({ timeout: "20s" })).toEqual({ state: "cancelled", reason: "while it died" });
  expect(ran).toEqual([]);
}, 40_000);
