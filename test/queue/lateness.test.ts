import { once } from "node:events";
import { expect, test } from "vitest";
import { definitionOf, defineJob, type JobOptions } from "../../src/job/contract.ts";
import { defineHandler, TimeoutError, typed, type JobTask } from "../../src/index.ts";
import { deadlineAt, tooLate } from "../../src/queue/lateness.ts";
import { readStoredJob } from "../../src/store/stored-job.ts";
import { testApp, until } from "../support/app.ts";
import { freshPrefix, redisClient } from "../support/redis.ts";
import { stockQueue } from "../interop/stock.ts";

const stored = (fields: Readonly<Record<string, string>> = {}, id = "id") => readStoredJob(id, Object.entries({ name: "work", data: "{}", timestamp: "1000", ...fields }).flat());
const definition = (options: JobOptions = {}) => definitionOf(defineJob("work", options));

test("the deadline counts from the put, by what the put said, else by the contract", () => {
  expect(deadlineAt(stored(), definition())).toBeUndefined();
  expect(deadlineAt(stored(), undefined)).toBeUndefined();
  expect(deadlineAt(stored(), definition({ deadline: 500 }))).toBe(1500);
  expect(deadlineAt(stored({ md: "20" }), definition({ deadline: 500 }))).toBe(1020);
  expect(deadlineAt(stored({ md: "20" }), undefined)).toBe(1020);
});

test("that of a schedule's run counts from when it was meant to run", () => {
  expect(deadlineAt(stored({ rjk: "hourly" }, "repeat:hourly:9000"), definition({ deadline: 500 }))).toBe(9500);
});

test("expireAt is for jobs that have not started; one that was given back unseen has not", () => {
  const late = (fields: Readonly<Record<string, string>>, now: number) => tooLate(stored({ mx: "2000", ...fields }), undefined, () => now);
  expect(late({ ats: "1" }, 1999)).toBeUndefined();
  expect(late({ ats: "1" }, 2000)).toBe("expired: it had not started by 1970-01-01T00:00:02.000Z");
  expect(late({ ats: "2" }, 2000)).toBeUndefined();
  expect(late({ ats: "2", mu: "1500" }, 2000)).toMatch(/^expired/);
});

test("a deadline is for all, whatever they have done before", () => {
  expect(tooLate(stored({ ats: "5", md: "10" }), undefined, () => 1009)).toBeUndefined();
  expect(tooLate(stored({ ats: "5", md: "10" }), undefined, () => 1010)).toBe("deadline: it had not ended by 1970-01-01T00:00:01.010Z");
});

const atOnce = { type: "fixed", base: 0 } as const;
const job = defineJob("work", { payload: typed<number>(), result: typed<string>(), attempts: 100, backoff: atOnce });

function running(handle: (task: JobTask) => Promise<string>) {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const attempts: number[] = [];
  const handler = defineHandler(job, { handle: (_, task) => (attempts.push(task.attempt), handle(task)) });
  return { prefix, app, attempts, start: () => app.pool([handler]) };
}

test("the signal fires at the deadline, in whichever attempt, and nothing is tried after it", async () => {
  const deadlines: (Date | undefined)[] = [];
  const { app, attempts, start } = running(async ({ attempt, signal, deadline }) => {
    deadlines.push(deadline);
    if (attempt < 3) throw new Error("not yet");
    await once(signal, "abort");
    throw signal.reason;
  });
  const putAt = Date.now();
  start();
  const put = await app.put(job, 1, { deadline: 2500, timeout: "1h", attempts: 100 });
  const wasPutAt = Date.now();
  const outcome = await put.outcome({ timeout: "15s" });
  expect(outcome).toMatchObject({ state: "failed", error: { message: expect.stringMatching(/deadline/) } });
  expect(Date.now() - putAt).toBeGreaterThan(2400);
  expect(attempts.slice(0, 3)).toEqual([1, 2, 3]);
  // As well as the server's clock is known here.
  for (const deadline of deadlines.slice(0, 3)) {
    expect(deadline!.getTime()).toBeGreaterThan(putAt + 2500 - 250);
    expect(deadline!.getTime()).toBeLessThan(wasPutAt + 2500 + 250);
  }
  expect(await app.queue(job).counts()).toMatchObject({ failed: 1, unfinished: 0 });
});

test("the sooner of timeout and deadline counts", async () => {
  const { app, start } = running(async ({ signal }) => {
    await once(signal, "abort");
    throw signal.reason;
  });
  const put = await app.put(job, 1, { deadline: "1h", timeout: 60, attempts: 1 });
  start();
  expect(await put.outcome({ timeout: "15s" })).toMatchObject({ error: { message: expect.stringMatching(/timeout of 60 ms/) } });
});

test("a retry beyond the deadline is not waited for", async () => {
  const { app, attempts, start } = running(() => Promise.reject(new Error("broken")));
  const slow = defineJob("work", { payload: typed<number>(), attempts: 5, backoff: { type: "fixed", base: "1h", jitter: 0 }, deadline: "30m" });
  const put = await app.put(slow, 1);
  // The contract that the handler has says nothing of a deadline; the put does not either.
  const own = await app.put(slow, 2, { deadline: "10m" });
  start();
  expect(await own.outcome({ timeout: "15s" })).toMatchObject({ state: "failed", error: { message: "broken", attempts: 1 } });
  await until(() => attempts.length === 2);
  await until(async () => (await put.state()) === "delayed");
});

test("what waited beyond its deadline is a dead letter that never ran", async () => {
  const { app, attempts, start } = running(async () => "done");
  const put = await app.put(job, 1, { deadline: 50 });
  await new Promise((resolve) => setTimeout(resolve, 60)); // the deadline itself
  // Nobody has told it yet: it is unfinished, for whoever joins as well.
  expect(await app.queue(job).counts()).toMatchObject({ unfinished: 1, failed: 0 });
  const joined = app.queue(job).join({ timeout: "15s" });
  start();
  expect(await put.outcome({ timeout: "15s" })).toMatchObject({ state: "failed", error: { message: expect.stringMatching(/^deadline: it had not ended by/) } });
  await joined;
  expect(await app.queue(job).counts()).toMatchObject({ unfinished: 0, failed: 1 });
  expect(attempts).toEqual([]);
});

test("what had not started by expireAt is a dead letter; what had started goes on", async () => {
  const expireAt = new Date(Date.now() + 3000);
  const { app, attempts, start } = running(async ({ attempt }) => {
    if (attempt === 1) {
      await until(() => Date.now() > expireAt.getTime() + 20);
      throw new Error("once more");
    }
    return "done";
  });
  start();
  const started = await app.put(job, 1, { expireAt });
  const late = await app.put(job, 2, { expireAt: new Date(0) });
  expect(await late.outcome({ timeout: "15s" })).toMatchObject({ state: "failed", error: { message: "expired: it had not started by 1970-01-01T00:00:00.001Z" } });
  expect(await started.result({ timeout: "15s" })).toBe("done");
  expect(attempts).toEqual([1, 2]);
});

test("a contract's deadline holds for what a stock producer put, and by hand", async () => {
  const { prefix, app } = running(async () => "done");
  const dated = defineJob("work", { payload: typed<number>(), deadline: "2h", backoff: { type: "fixed", base: "90m", jitter: 0 } });
  const { id } = await stockQueue(prefix).add("work", 1, { attempts: 3, timestamp: Date.now() - 3_600_000 });
  const delivery = (await app.queue(dated).deliveries()[Symbol.asyncIterator]().next()).value!;
  expect(Math.abs(delivery.task.deadline!.getTime() - Date.now() - 3_600_000)).toBeLessThan(60_000);
  await delivery.fail(new Error("broken"));
  expect(await app.queue(dated).job(id!).outcome({ timeout: "10s" })).toMatchObject({ state: "failed", error: { message: "broken" } });
  expect(await redisClient().hget(`${prefix}:work:${id}`, "md")).toBeNull();
});

test("what is delivered by hand hears of its timeout through its signal, and is still its holder's", async () => {
  const { app } = running(async () => "done");
  const put = await app.put(job, 1, { timeout: 50 });
  const delivery = (await app.queue(job).deliveries()[Symbol.asyncIterator]().next()).value!;
  if (!delivery.task.signal.aborted) await once(delivery.task.signal, "abort");
  expect(delivery.task.signal.reason).toBeInstanceOf(TimeoutError);
  await delivery.ack("late, but done");
  expect(await put.result({ timeout: "10s" })).toBe("late, but done");
});
