import { Queue as StockQueue, Worker } from "bullmq";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { gather, spawn, waitFor } from "../../src/concurrency/index.ts";
import { CancelledError, JobCancelledError, JobFailedError, JobRemovedError, OptionError, PayloadError, TimeoutError } from "../../src/errors.ts";
import { CancelJob, defineHandler, defineJob } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { failure } from "../support/outcome.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

const job = defineJob("job", { queue: "work", payload: z.int(), result: z.object({ twice: z.int(), at: z.string().default("noon") }), attempts: 2, backoff: { type: "fixed", base: 0 } });

/** Ends each job by its number: 0 fails, 1 is cancelled, 2 waits for the gate, and so on. */
function running() {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const queue = app.queue(job);
  const gate = Promise.withResolvers<void>();
  const start = (): unknown =>
    app.pool([
      defineHandler(job, {
        async handle(n, { attempt }) {
          if (n === 0) throw new RangeError(`attempt ${attempt}`);
          if (n === 1) throw new CancelJob("the user has gone");
          if (n === 2) await gate.promise;
          return { twice: 2 * n };
        },
      }),
    ]);
  return { prefix, app, queue, gate, start };
}

function stock(prefix: string): StockQueue {
  const queue = new StockQueue("work", { connection: { url: redisUrl(), maxRetriesPerRequest: null }, prefix });
  onTestFinished(() => queue.close());
  return queue;
}

test("a job that is completed gives its result, as its schema's output, before and after its end", async () => {
  const { queue, start } = running();
  const put = await queue.put(21);
  expect(await put.state()).toBe("waiting");
  const early = put.result({ timeout: "10s" });
  start();
  expect(await early).toEqual({ twice: 42, at: "noon" });
  expect(await put.result({ timeout: "5s" })).toEqual({ twice: 42, at: "noon" });
  expect(await put.outcome()).toEqual({ state: "completed", result: { twice: 42, at: "noon" } });
  expect(await put.state()).toBe("completed");
});

test("a job that failed for good throws what its handler threw last", async () => {
  const { queue, start } = running();
  const put = await queue.put(0);
  const early = failure(put.result({ timeout: "10s" }));
  start();
  for (const { error } of [await early, await failure(put.result())]) {
    expect(error).toBeInstanceOf(JobFailedError);
    expect(error).toMatchObject({ message: "attempt 2", jobId: put.id, attempts: 2 });
  }
  expect(await put.outcome()).toEqual({ state: "failed", error: expect.any(JobFailedError) });
  expect(await put.state()).toBe("failed");
});

test("a job that was cancelled says why", async () => {
  const { queue, start } = running();
  const put = await queue.put(1);
  start();
  const { error } = await failure(put.result({ timeout: "10s" }));
  expect(error).toBeInstanceOf(JobCancelledError);
  expect(error).toMatchObject({ message: "the user has gone", jobId: put.id });
  expect(await put.outcome()).toEqual({ state: "cancelled", reason: "the user has gone" });
  expect(await put.state()).toBe("cancelled");
});

test("a job that is removed, or never was, is gone", async () => {
  const { queue, prefix } = running();
  const put = await queue.put(5);
  const waiting = failure(put.result({ timeout: "10s" }));
  // The wait must have begun: what is gone before is another matter.
  await queue.counts();
  await stock(prefix).remove(put.id);
  const never = await failure(queue.job("never").result({ timeout: "10s" }));
  for (const [error, jobId] of [[(await waiting).error, put.id], [never.error, "never"]] as const) {
    expect(error).toBeInstanceOf(JobRemovedError);
    expect(error).toMatchObject({ jobId });
  }
  expect(await put.outcome()).toEqual({ state: "removed" });
  expect(await queue.job("never").outcome()).toEqual({ state: "unknown" });
  expect(await put.state()).toBe("removed");
});

test("a job that a stock Worker does not keep leaves its end to whoever asks, before and after", async () => {
  const { queue, prefix } = running();
  const worker = new Worker("work", async ({ data }) => (data === 0 ? Promise.reject(new Error("no")) : { twice: 2 * data }), {
    connection: { url: redisUrl(), maxRetriesPerRequest: null },
    prefix,
    autorun: false,
  });
  onTestFinished(() => worker.close(true));
  const never = stock(prefix);
  for (const n of [4, 0]) await never.add("job", n, { jobId: `n${n}`, removeOnComplete: true, removeOnFail: true });
  const [good, bad] = [queue.job("n4"), queue.job("n0")];
  const early = Promise.all([good.outcome({ timeout: "10s" }), bad.outcome({ timeout: "10s" })]);
  await queue.counts();
  void worker.run();
  const late = async () => [await good.outcome({ timeout: "5s" }), await bad.outcome({ timeout: "5s" })];
  const completed = { state: "completed", result: { twice: 8, at: "noon" } };
  expect(await early).toEqual([completed, { state: "failed", error: expect.objectContaining({ message: "no", attempts: 1 }) }]);
  expect(await Promise.all([good.state(), bad.state()])).toEqual(["removed", "removed"]);
  expect(await late()).toEqual([completed, { state: "failed", error: expect.objectContaining({ message: "no" }) }]);
});

test("a result that does not fit the contract is told as such", async () => {
  const prefix = freshPrefix();
  const older = defineJob("job", { queue: "work", payload: z.int(), result: z.string() });
  const app = testApp({ prefix });
  app.pool([defineHandler(older, { handle: async () => "text" })]);
  const put = await app.put(older, 1);
  expect(await put.result({ timeout: "10s" })).toBe("text");
  expect((await failure(app.queue(job).job(put.id).result())).error).toBeInstanceOf(PayloadError);
});

test("the timeout of a wait ends it on time, and the job is left as it is", async () => {
  const { queue, start, gate } = running();
  start();
  const put = await queue.put(2);
  await until(async () => (await put.state()) === "active");
  const { error, tookMs } = await failure(put.result({ timeout: 250 }));
  expect(error).toBeInstanceOf(TimeoutError);
  expect(error).toMatchObject({ message: expect.stringContaining(put.id) });
  expect(tookMs).toBeGreaterThanOrEqual(245);
  expect(tookMs).toBeLessThan(650);
  gate.resolve();
  expect(await put.result({ timeout: "10s" })).toMatchObject({ twice: 4 });
});

test("its signal ends a wait with the signal's reason, and no other wait", async () => {
  const { queue, start } = running();
  const put = await queue.put(3);
  const [gone, stays] = [new AbortController(), new AbortController()];
  const first = failure(put.result({ signal: gone.signal, timeout: "1h" }));
  const second = put.result({ signal: stays.signal });
  gone.abort(new Error("no more"));
  expect((await first).error).toEqual(new Error("no more"));
  expect((await failure(put.result({ signal: gone.signal }))).error).toEqual(new Error("no more"));
  start();
  expect(await second).toMatchObject({ twice: 6 });
  expect((await failure(put.result({ timeout: "soon" } as never))).error).toBeInstanceOf(OptionError);
});

test("is no promise: what an await of it gives is itself", async () => {
  const { queue } = running();
  const put = await queue.put(3);
  expect(await put).toBe(put);
  expect("then" in put).toBe(false);
});

test("jobs are gathered by their handles, beside functions and promises: in the order asked, the first failure thrown, all ends on request", async () => {
  const { queue, start } = running();
  start();
  const [seven, fails, nine] = [await queue.put(7), await queue.put(0), await queue.put(9)];
  const [first, text, last] = await gather([seven, async () => "between", nine]);
  expect([first.twice, text, last.twice]).toEqual([14, "between", 18]);
  expect((await failure(gather([seven, fails, nine]))).error).toBeInstanceOf(JobFailedError);
  const ends = await gather([seven, fails, Promise.resolve(1)], { errors: "collect" });
  expect(ends.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
});

test("whoever gathers jobs may be cancelled, or wait no longer than so: the jobs go on", async () => {
  const { queue, gate, start } = running();
  start();
  const slow = await queue.put(2);
  expect((await failure(waitFor(slow, 50))).error).toBeInstanceOf(TimeoutError);
  const task = spawn(() => gather([slow, slow]));
  await until(async () => (await slow.state()) === "active");
  task.cancel();
  expect((await failure(Promise.resolve(task))).error).toBeInstanceOf(CancelledError);
  gate.resolve();
  expect(await slow.result()).toMatchObject({ twice: 4 });
});
