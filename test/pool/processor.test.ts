import { DelayedError, Job, RateLimitError, UnrecoverableError, WaitingChildrenError, type JobsOptions, type Processor } from "bullmq";
import { expect, test } from "vitest";
import { fromProcessor, type ProcessorOptions } from "../../src/pool/processor.ts";
import type { DeliveredTask } from "../../src/queue/delivered-task.ts";
import { BackendError, OptionError, defineHandler, defineJob, defineQueue, typed } from "../../src/index.ts";
import { stockFlows, stockQueue, stockWorker } from "../interop/stock.ts";
import { testApp, until } from "../support/app.ts";
import { freshPrefix } from "../support/redis.ts";

/** A stock queue whose jobs our pool runs by a processor. */
function processed(processor: Processor, options?: ProcessorOptions, concurrency = 1) {
  const prefix = freshPrefix();
  const queue = stockQueue(prefix);
  const app = testApp({ prefix });
  const pool = app.pool([fromProcessor("work", processor, options)], { concurrency });
  const ended = async (id: string | undefined): Promise<Job> => {
    await until(async () => ["completed", "failed"].includes(await queue.getJobState(id!)));
    return (await queue.getJob(id!))!;
  };
  const run = async (name: string, data: unknown = {}, opts?: JobsOptions): Promise<Job> => ended((await queue.add(name, data, opts)).id);
  return { prefix, queue, app, pool, ended, run };
}

test("gets BullMQ's job, a token and a signal, whatever the job's name; its result is stored as a Worker stores it", async () => {
  const seen: unknown[] = [];
  const { run, queue } = processed(async (job, token, signal) => {
    await job.updateProgress({ done: 1 });
    await job.log("half-way");
    await job.updateData({ ...job.data, seen: true });
    seen.push([job instanceof Job, job.name, job.data, job.attemptsMade, job.attemptsStarted, token === job.token, signal instanceof AbortSignal]);
    return job.name === "nothing" ? undefined : { at: new Date(0), name: job.name };
  });
  const mail = await run("mail", { to: "a" });
  const nothing = await run("nothing");
  expect(seen).toEqual([
    [true, "mail", { to: "a", seen: true }, 0, 1, true, true],
    [true, "nothing", { seen: true }, 0, 1, true, true],
  ]);
  expect(mail).toMatchObject({ returnvalue: { at: "1970-01-01T00:00:00.000Z", name: "mail" }, progress: { done: 1 }, data: { to: "a", seen: true }, attemptsMade: 1 });
  expect(nothing.returnvalue).toBeNull();
  expect((await queue.getJobLogs(mail.id!)).logs).toEqual(["half-way"]);
});

test("a job that says nothing has one attempt; one that asks for more has them, at once", async () => {
  const attempts: string[] = [];
  const { run } = processed(async (job) => {
    attempts.push(`${job.name} ${job.attemptsMade}`);
    throw new Error(`no ${job.attemptsMade}`);
  });
  expect(await run("once")).toMatchObject({ failedReason: "no 0", attemptsMade: 1 });
  expect(await run("thrice", {}, { attempts: 3 })).toMatchObject({ failedReason: "no 2", attemptsMade: 3, stacktrace: [expect.stringContaining("no 0"), expect.stringContaining("no 1"), expect.stringContaining("no 2")] });
  expect(attempts).toEqual(["once 0", "thrice 0", "thrice 1", "thrice 2"]);
});

test("an UnrecoverableError fails for good, whatever attempts are left", async () => {
  const { run } = processed(async () => {
    throw new UnrecoverableError("never");
  });
  expect(await run("mail", {}, { attempts: 5 })).toMatchObject({ failedReason: "never", attemptsMade: 1 });
});

test("a result that JSON cannot carry is a failed attempt", async () => {
  const { run } = processed(async () => {
    const circle: Record<string, unknown> = {};
    circle["itself"] = circle;
    return circle;
  });
  expect(await run("mail")).toMatchObject({ failedReason: expect.stringContaining("circular") });
});

test("a back-off of the team's own goes by its strategy, until that says no more", async () => {
  const asked: unknown[] = [];
  const backoffStrategy = (attemptsMade: number, type?: string, error?: Error): number => {
    asked.push([attemptsMade, type, error?.message]);
    return attemptsMade < 2 ? 50 : -1;
  };
  const ranAt: number[] = [];
  const { run } = processed(
    async () => {
      ranAt.push(Date.now());
      throw new Error("again");
    },
    { backoffStrategy },
  );
  expect(await run("mail", {}, { attempts: 9, backoff: { type: "ours" } })).toMatchObject({ failedReason: "again", attemptsMade: 2 });
  expect(asked).toEqual([
    [1, "ours", "again"],
    [2, "ours", "again"],
  ]);
  expect(ranAt[1]! - ranAt[0]!).toBeGreaterThanOrEqual(50);
});

test("a processor that moves its job to a later time spends no attempt", async () => {
  const steps: number[] = [];
  const { run } = processed(async (job, token) => {
    steps.push(job.attemptsMade);
    if (steps.length > 1) return "later";
    await job.moveToDelayed(Date.now() + 100, token);
    throw new DelayedError();
  });
  expect(await run("mail")).toMatchObject({ returnvalue: "later", attemptsMade: 1, attemptsStarted: 2 });
  expect(steps).toEqual([0, 0]);
});

test("a processor that adds children waits for them, and sees what they gave", async () => {
  const { run, prefix } = processed(async (job, token) => {
    if (job.name === "child") return job.data.n * 2;
    if (job.data.step === undefined) {
      const parent = { id: job.id!, queue: job.queueQualifiedName };
      await Promise.all([1, 2].map((n) => children.add("child", { n }, { parent })));
      await job.updateData({ step: "added" });
      if (await job.moveToWaitingChildren(token!)) throw new WaitingChildrenError();
    }
    return Object.values(await job.getChildrenValues()).toSorted();
  });
  const children = stockQueue(prefix);
  expect(await run("parent")).toMatchObject({ returnvalue: [2, 4], attemptsMade: 1 });
});

test("a flow of stock jobs moves on, and a failed child fails its parent where it says so", async () => {
  const { prefix, ended } = processed(async (job) => {
    if (job.data.fails) throw new Error("child");
    return { of: job.name, children: Object.values(await job.getChildrenValues()) };
  });
  const flows = stockFlows(prefix);
  const good = await flows.add({ name: "parent", queueName: "work", children: [{ name: "child", queueName: "work", data: {} }] });
  expect(await ended(good.job.id)).toMatchObject({ returnvalue: { of: "parent", children: [{ of: "child", children: [] }] } });
  const bad = await flows.add({ name: "parent", queueName: "work", children: [{ name: "child", queueName: "work", data: { fails: true }, opts: { failParentOnFailure: true } }] });
  expect(await ended(bad.job.id)).toMatchObject({ failedReason: expect.stringContaining("failed") });
});

test("a RateLimitError gives the job back, no attempt spent, and nothing is taken until the limit has passed", async () => {
  const ranAt: [string, number][] = [];
  let limitedAt = 0;
  const { queue, ended } = processed(async (job) => {
    ranAt.push([job.name, Date.now()]);
    if (limitedAt === 0) {
      limitedAt = Date.now();
      await queue.rateLimit(400);
      throw new RateLimitError();
    }
  });
  const jobs = await queue.addBulk(["first", "second"].map((name) => ({ name, data: {} })));
  for (const { id } of jobs) expect((await ended(id)).attemptsMade).toBe(1);
  expect(ranAt.map(([name]) => name)).toEqual(["first", "first", "second"]);
  expect(ranAt[1]![1] - limitedAt).toBeGreaterThanOrEqual(395);
});

test("its signal fires when the job is cancelled, and when the pool stops the job is given back", async () => {
  const { app, pool, queue } = processed(
    (job, _token, signal) =>
      new Promise((_resolve, reject) => {
        started.push(job.id!);
        signal!.addEventListener("abort", () => reject(signal!.reason as Error));
      }),
    {},
    2,
  );
  const started: string[] = [];
  const jobs = await queue.addBulk(["a", "b"].map((jobId) => ({ name: "mail", data: {}, opts: { jobId } })));
  await until(() => started.length === 2);
  await app.queue(defineJob("mail", { queue: "work", payload: typed<object>() })).cancel("a", "not wanted");
  await until(async () => (await queue.getJobState("a")) === "failed");
  expect((await queue.getJob("a"))!.failedReason).toBe("cancelled: not wanted");
  await pool.cancel();
  expect(await queue.getJobState(jobs[1]!.id!)).toBe("waiting");
  expect((await queue.getJob("b"))!.attemptsMade).toBe(0);
});

test("keeps what a Worker with the same options keeps; what the job says comes first", async () => {
  const { queue, run } = processed(async () => {}, { removeOnComplete: { count: 2 } });
  for (const jobId of ["a", "b", "c"]) await run("mail", {}, { jobId });
  await run("mail", {}, { jobId: "d", removeOnComplete: 3 });
  expect((await queue.getCompleted()).map(({ id }) => id).toSorted()).toEqual(["b", "c", "d"]);
});

test("a handler of its own name comes first; the processor takes the rest, within its own concurrency", async () => {
  const prefix = freshPrefix();
  const queue = stockQueue(prefix);
  const app = testApp({ prefix });
  const own = defineJob("own", { queue: "work", payload: typed<object>() });
  const ran: string[] = [];
  let at = 0;
  let most = 0;
  const processor = fromProcessor("work", async ({ name }) => {
    most = Math.max(most, (at += 1));
    await new Promise((resolve) => setImmediate(resolve));
    at -= 1;
    ran.push(`processor ${name}`);
  }, { concurrency: 1 });
  app.pool([defineHandler(own, { handle: async () => void ran.push("handler own") }), processor], { concurrency: 8 });
  await queue.addBulk(["own", "x", "y", "x"].map((name) => ({ name, data: {} })));
  await until(() => ran.length === 4);
  expect(ran.toSorted()).toEqual(["handler own", "processor x", "processor x", "processor y"]);
  expect(most).toBe(1);
});

test("a job that could not be read because Redis did not answer is given back, not failed", async () => {
  const away = { stock: () => Promise.reject(new BackendError("Redis did not answer")) };
  const task = { queue: away, leased: { job: { id: "a" }, token: "t" } } as unknown as DeliveredTask;
  await expect(fromProcessor("work", async () => {}).run({}, task)).rejects.toThrow("Redis did not answer");
  expect(task.ending).toMatchObject({ kind: "release", delayMs: 0 });
});

test("refuses what is no function, and two processors of one queue", () => {
  expect(() => fromProcessor("work", "/app/processor.js" as never)).toThrow(OptionError);
  expect(() => fromProcessor("work", async () => {}, { concurency: 1 } as never)).toThrow(/did you mean "?concurrency/);
  const twice = [fromProcessor("work", async () => {}), fromProcessor("work", async () => {})];
  expect(() => testApp().pool(twice)).toThrow("two for every job of queue work");
});

test.each([
  [1, "completed", "again"],
  [0, "failed", "job stalled more than allowable limit"],
])("a job whose worker was lost runs again though it has one attempt, as often as maxStalledCount allows: %i", async (maxStalledCount, state, said) => {
  const prefix = freshPrefix();
  const queue = stockQueue(prefix);
  const held = Promise.withResolvers<void>();
  await stockWorker(prefix, () => (held.resolve(), new Promise(() => {})), { lockDuration: 300, lockRenewTime: 60_000, skipStalledCheck: true });
  const { id } = await queue.add("mail", {});
  await held.promise;
  testApp({ prefix }).pool([fromProcessor("work", async () => "again", { maxStalledCount })], { recovery: "fast" });
  await until(async () => (await queue.getJobState(id!)) === state);
  const job = (await queue.getJob(id!))!;
  expect([job.returnvalue ?? job.failedReason, job.attemptsMade, job.stalledCounter]).toEqual([said, 1, 1]);
});

test("takes the jobs of a queue in partitions, those of stock producers too", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const queue = defineQueue("work", { partitions: 2 });
  const ran: string[] = [];
  app.pool([fromProcessor(queue, async (job) => void ran.push(`${job.name} ${(await job.getState())}`))], { concurrency: 2 });
  const ours = defineJob("ours", { queue, payload: typed<object>() });
  await app.queue(ours).putMany(Array.from({ length: 6 }, () => ({})));
  await stockQueue(prefix).add("stock", {});
  await app.queue(ours).join();
  expect(ran.toSorted()).toEqual([...Array<string>(6).fill("ours active"), "stock active"]);
});
