/** The join of src/queue/queue.ts: true, and soon. */
import { Queue as StockQueue } from "bullmq";
import { array, assert, asyncProperty, constant, constantFrom, nat, oneof, record, type Arbitrary } from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { sleep } from "../../src/concurrency/sleep.ts";
import { BackendError, TimeoutError } from "../../src/errors.ts";
import { defineHandler, defineJob, type Delivery, type Job } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { failure } from "../support/outcome.ts";
import { freshPrefix, redisUrl, startRedis } from "../support/redis.ts";

type OpenJob = typeof job extends Job<infer T> ? Delivery<T> : never;

const job = defineJob("job", { queue: "work", backoff: { type: "fixed", base: 0 } });
/** Promised are 100 ms; the rest is for a machine that is busy with something else. */
const SOON_MS = 400;

/** What happens to a queue: the numbers choose among the deliveries that are open. */
const step = oneof(
  record({ kind: constant("put" as const), delay: constantFrom(0, 0, 5, 30), priority: constantFrom(0, 0, 3) }),
  record({ kind: constant("take" as const) }),
  record({ kind: constantFrom("ack" as const, "fail" as const, "release" as const), which: nat(9) }),
);
type Step = typeof step extends Arbitrary<infer S> ? S : never;

test("never returns while a job is unfinished, whatever happens to the queue; and soon after none is", async () => {
  const app = testApp();
  let runs = 0;
  const law = asyncProperty(array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
    runs += 1;
    const work = defineJob("job", { queue: `work-${runs}`, attempts: 2, backoff: { type: "fixed", base: 5, jitter: 0 } });
    const queue = app.queue(work);
    const deliveries = queue.deliveries({ concurrency: 100 })[Symbol.asyncIterator]();
    const open: OpenJob[] = [];
    /** Jobs that nobody holds. */
    const jobs = { free: 0 };
    let early = 0;
    let last = false;
    const joins: Promise<unknown>[] = [];
    const run = async (one: Step): Promise<void> => {
      if (one.kind === "put") {
        await queue.put(undefined, { delay: one.delay, priority: one.priority });
        jobs.free += 1;
      } else if (one.kind === "take") {
        if (jobs.free === 0) return;
        jobs.free -= 1;
        open.push((await deliveries.next()).value as OpenJob);
      } else {
        const [delivery] = open.length === 0 ? [] : open.splice(one.which % open.length, 1);
        if (delivery === undefined) return;
        const isLast = one.kind === "ack" || (one.kind === "fail" && delivery.task.attempt === 2);
        last = isLast && jobs.free + open.length === 0;
        if (!isLast) jobs.free += 1;
        if (one.kind === "ack") await delivery.ack();
        else if (one.kind === "fail") await delivery.fail(new Error("again"));
        else await delivery.release();
      }
    };
    await run({ kind: "put", delay: 0, priority: 0 });
    for (const one of steps) {
      // One job stays to the end, so that there is one instant at which all is done.
      if (one.kind !== "put" && one.kind !== "take" && jobs.free + open.length === 1) continue;
      joins.push(queue.join({ timeout: "20s" }).then(() => (early += last ? 0 : 1)));
      const [, { unfinished }] = await Promise.all([run(one), queue.counts()]);
      expect(unfinished).toBeGreaterThan(0);
    }
    while (jobs.free > 0) await run({ kind: "take" });
    while (open.length > 0) await run({ kind: "ack", which: 0 });
    const doneAt = performance.now();
    await Promise.all(joins);
    expect(early).toBe(0);
    expect(performance.now() - doneAt).toBeLessThan(SOON_MS);
    await deliveries.return?.();
  });
  await assert(law, { numRuns: 15, endOnFailure: true });
});

test("returns as soon after a long wait as after a short one, whoever else joins", async () => {
  const queue = testApp().queue(job);
  await queue.put();
  const deliveries = queue.deliveries()[Symbol.asyncIterator]();
  const delivery = (await deliveries.next()).value as OpenJob;
  const returned = { early: 0 };
  let done = false;
  const joins: Promise<void>[] = [];
  const join = (): void => void joins.push(queue.join().then(() => void (returned.early += done ? 0 : 1)));
  join();
  // As long as a look that came ever more slowly would need to become slower than SOON_MS.
  for (let waited = 0; waited < 1500; waited += 50) {
    await sleep(50);
    join();
  }
  done = true;
  await delivery.ack();
  const doneAt = performance.now();
  await Promise.all(joins);
  expect(performance.now() - doneAt).toBeLessThan(SOON_MS);
  expect(returned.early).toBe(0);
  await deliveries.return?.();
});

test("returns at once from a queue that is empty, or that nobody has ever used", async () => {
  const queue = testApp().queue(job);
  await queue.join({ timeout: "5s" });
  expect(await queue.exists()).toBe(false);
});

test("waits for jobs of every name, and for jobs put meanwhile", async () => {
  const app = testApp();
  const other = defineJob("other", { queue: "work" });
  const queue = app.queue(job);
  await app.put(other);
  const gate = Promise.withResolvers<void>();
  const ran: string[] = [];
  const joined = queue.join().then(() => ran.push("joined"));
  app.pool([
    defineHandler(other, {
      async handle() {
        await queue.put();
        ran.push("other");
      },
    }),
    defineHandler(job, {
      async handle() {
        await gate.promise;
        ran.push("job");
      },
    }),
  ]);
  await until(async () => (await queue.counts()).completed === 1 && (await queue.counts()).active === 1);
  gate.resolve();
  await joined;
  expect(ran).toEqual(["other", "job", "joined"]);
});

test("the future runs of a stock job scheduler do not count, delayed jobs do", async () => {
  const prefix = freshPrefix();
  const stock = new StockQueue("work", { connection: { url: redisUrl(), maxRetriesPerRequest: null }, prefix });
  onTestFinished(() => stock.close());
  const queue = testApp({ prefix }).queue(job);
  await stock.upsertJobScheduler("yearly", { pattern: "0 0 1 1 *" }, { name: "job", data: {} });
  await stock.upsertJobScheduler("later", { every: 3_600_000, startDate: Date.now() + 60_000 }, { name: "job", data: {} });
  expect(await queue.counts()).toMatchObject({ delayed: 2, unfinished: 0 });
  await queue.join({ timeout: "5s" });
  const late = await queue.put(undefined, { delay: "1h" });
  expect((await failure(queue.join({ timeout: 300 }))).error).toBeInstanceOf(TimeoutError);
  await stock.remove(late.id);
  await queue.join({ timeout: "5s" });
});

test("a run of a stock job scheduler counts from the moment it is due", async () => {
  const prefix = freshPrefix();
  const stock = new StockQueue("work", { connection: { url: redisUrl(), maxRetriesPerRequest: null }, prefix });
  onTestFinished(() => stock.close());
  const app = testApp({ prefix });
  const queue = app.queue(job);
  const gate = Promise.withResolvers<void>();
  app.pool([defineHandler(job, { handle: () => gate.promise })]);
  await stock.upsertJobScheduler("now", { every: 3_600_000 }, { name: "job", data: {} });
  await until(async () => (await queue.counts()).active === 1);
  expect((await failure(queue.join({ timeout: 200 }))).error).toBeInstanceOf(TimeoutError);
  gate.resolve();
  await queue.join({ timeout: "10s" });
  expect(await queue.counts()).toMatchObject({ completed: 1, delayed: 1, unfinished: 0 });
});

test("its timeout and its signal end it, and leave the queue as it is", async () => {
  const queue = testApp().queue(job);
  await queue.put();
  const late = await failure(queue.join({ timeout: 250 }));
  expect(late.error).toBeInstanceOf(TimeoutError);
  expect(late.error).toMatchObject({ message: expect.stringContaining("work") });
  expect(late.tookMs).toBeGreaterThanOrEqual(245);
  expect(late.tookMs).toBeLessThan(250 + SOON_MS);
  const gone = new AbortController();
  const joined = failure(queue.join({ signal: gone.signal, timeout: "1h" }));
  gone.abort(new Error("no more"));
  expect((await joined).error).toEqual(new Error("no more"));
  expect((await failure(queue.join({ signal: AbortSignal.abort(new Error("never")) }))).error).toEqual(new Error("never"));
  expect(await queue.counts()).toMatchObject({ waiting: 1, unfinished: 1 });
});

test("an outage of Redis prolongs it, and is not taken for the end", async () => {
  const redis = await startRedis();
  const app = testApp({ redis: redis.url });
  const queue = app.queue(job);
  const put = await queue.put();
  let joined = false;
  const join = queue.join().then(() => (joined = true));
  await redis.kill();
  const late = await failure(queue.join({ timeout: 400 }));
  expect(late.error).toBeInstanceOf(TimeoutError);
  expect(late.tookMs).toBeLessThan(400 + SOON_MS);
  await redis.start();
  await until(async () => (await failure(queue.counts())).error === undefined);
  expect(await put.state()).toBe("waiting");
  expect(joined).toBe(false);
  app.pool([defineHandler(job, { handle: async () => {} })]);
  await join;
  expect(await put.state()).toBe("completed");
});

test("ends with the app", async () => {
  const app = testApp();
  const queue = app.queue(job);
  await queue.put();
  const joined = failure(queue.join());
  await queue.counts();
  await app[Symbol.asyncDispose]();
  const { error, tookMs } = await joined;
  expect(error).toBeInstanceOf(BackendError);
  expect(tookMs).toBeLessThan(3000);
});
