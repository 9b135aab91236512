import { setTimeout as delay } from "node:timers/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { threadId } from "node:worker_threads";
import { expect, test } from "vitest";
import { z } from "zod";
import { defineHandler, defineJob, type Handler, type Pool } from "../../src/index.ts";
import { recordedLog, testApp, until } from "../support/app.ts";
import { freshPrefix, redisClient } from "../support/redis.ts";
import threaded, { type Order, threadedJob } from "./threaded.ts";

interface Setup {
  readonly job?: Parameters<typeof defineJob>[1];
  readonly handler?: Handler;
}

function setup({ handler = threaded as unknown as Handler }: Setup = {}) {
  const prefix = freshPrefix();
  const log = recordedLog();
  const app = testApp({ prefix, log });
  let pool: Pool | undefined;
  return {
    log,
    app,
    prefix,
    get pool(): Pool {
      return (pool ??= app.pool([handler]));
    },
    put: (order: Order, options?: object) => app.put(threadedJob, order, options),
    /** Until it has said so, from its thread. */
    says: (message: string, times = 1) => until(() => log.lines.filter((line) => line.message === message).length >= times),
  };
}

async function ran(order: Order, options?: object) {
  const all = setup();
  const handle = await all.put(order, options);
  void all.pool;
  return { ...all, handle, outcome: await handle.outcome({ timeout: "20s" }) };
}

test("runs in another thread, which is told the payload and everything of the task", async () => {
  const { outcome, handle } = await ran({ does: "tell" }, { timeout: "30s" });
  expect(outcome).toMatchObject({ state: "completed", result: { id: handle.id, name: "threaded", task: `threaded ${handle.id}`, attempt: 1, fence: expect.stringMatching(/^\d+$/) as string, aborted: false } });
  const { thread, deadline } = (outcome as unknown as { result: { thread: number; deadline: number } }).result;
  expect(thread).not.toBe(threadId);
  expect(Math.abs(deadline - Date.now() - 30_000)).toBeLessThan(20_000);
});

test("the pool's own loop stays free while every thread computes", async () => {
  const all = setup();
  await Promise.all([all.put({ does: "tell" }), all.put({ does: "tell" })]);
  void all.pool;
  await all.app.queue(threadedJob).join({ timeout: "20s" });
  await Promise.all([all.put({ does: "together", ms: 400 }), all.put({ does: "together", ms: 400 })]);
  await all.says("begins");
  const delays = monitorEventLoopDelay({ resolution: 5 });
  delays.enable();
  await delay(200);
  delays.disable();
  // Inline, one turn would have taken all of the 400 ms.
  expect(delays.max / 1e6).toBeLessThan(200);
  await all.app.queue(threadedJob).join({ timeout: "20s" });
});

test("as many tasks at once as threads, each in one of its own", async () => {
  const all = setup();
  const handles = await Promise.all([1, 2, 3, 4].map(() => all.put({ does: "together", ms: 150 })));
  const { pool } = all;
  let most = 0;
  const results: unknown[] = [];
  const ended = Promise.all(handles.map(async (handle) => results.push(await handle.result({ timeout: "20s" }))));
  while (results.length < 4) {
    most = Math.max(most, pool.running);
    await delay(5);
  }
  await ended;
  expect(most).toBe(2);
  expect(new Set(results).size).toBe(2);
});

test("what it logs comes out with the job's id, and its last line is not lost", async () => {
  const { log, handle } = await ran({ does: "log" });
  const lines = log.lines.filter(({ fields }) => fields["id"] === handle.id);
  expect(lines).toMatchObject([
    { level: "warn", message: "a line", fields: { job: "threaded", attempt: 1, bytes: 3, err: expect.any(TypeError) as unknown } },
    { level: "info", message: "not to be copied", fields: { callback: "() => 1", n: 2 } },
    { level: "debug", message: "last" },
  ]);
});

test("it asks for its lease as any handler does, and is told when it is lost", async () => {
  const { put, pool, prefix, log, says } = setup();
  const { id } = await put({ does: "assert lease" });
  void pool;
  const redis = redisClient();
  await until(async () => (await redis.hget(`${prefix}:threaded:${id}`, "progress")) === "1");
  await redis.set(`${prefix}:threaded:${id}:lock`, "somebody else");
  await says("LEASE_LOST");
  expect(log.lines.find(({ message }) => message === "LEASE_LOST")).toMatchObject({ fields: { aborted: true } });
});

test("its progress is stored, and what no schema or copy takes is its error", async () => {
  const { handle, prefix, outcome } = await ran({ does: "progress" });
  expect(outcome).toMatchObject({ state: "completed" });
  expect(await redisClient().hget(`${prefix}:threaded:${handle.id}`, "progress")).toBe("100");
  expect((await ran({ does: "wrong progress" })).outcome).toMatchObject({ result: "PayloadError" });
});

test("its errors steer the job as everywhere, and keep the stack of the thread", async () => {
  const failed = await ran({ does: "fail" }, { attempts: 2 });
  expect(failed.outcome).toMatchObject({ state: "failed", error: { message: "attempt 2", attempts: 2 } });
  const { stacktrace = "" } = await redisClient().hgetall(`${failed.prefix}:threaded:${failed.handle.id}`);
  expect(stacktrace).toContain("RangeError: attempt 2");
  expect(stacktrace).toContain("threaded.ts:");
  expect((await ran({ does: "retry" }, { attempts: 3 })).outcome).toEqual({ state: "completed", result: 2 });
  expect((await ran({ does: "give up" }, { attempts: 3 })).outcome).toMatchObject({ state: "failed", error: { message: "for good", attempts: 1 } });
});

test("the signal fires in the thread at the timeout: for who listens, and for who looks in the midst of a computation", async () => {
  for (const does of ["listen", "look"] as const) {
    const { outcome } = await ran({ does }, { timeout: "300ms" });
    expect(outcome).toMatchObject({ state: "failed", error: { message: expect.stringContaining("reached its timeout of 300 ms") as string } });
  }
});

test("a stopping pool fires the signal, and what ends by it is given back with no attempt spent", async () => {
  const all = setup();
  const handle = await all.put({ does: "listen" });
  void all.pool;
  await all.says("listening");
  await all.pool.stop({ drain: 0 });
  await all.says("told: CancelledError");
  expect(await handle.state()).toBe("waiting");
  expect(await redisClient().hget(`${all.prefix}:threaded:${handle.id}`, "atm")).not.toBe("1");
});

test("a cancelled job is told in its thread, and ends as cancelled", async () => {
  const all = setup();
  const handle = await all.put({ does: "listen" });
  void all.pool;
  await all.says("listening");
  await handle.cancel("no longer wanted");
  expect(await handle.outcome({ timeout: "20s" })).toEqual({ state: "cancelled", reason: "no longer wanted" });
  await all.says("told: CancelledError");
});

test("a lost lease fires the signal, and nothing of the job is settled", async () => {
  const all = setup();
  const handle = await all.put({ does: "listen" });
  const pool = all.app.pool([threaded as unknown as Handler], { lease: "2s" });
  await all.says("listening");
  await redisClient().set(`${all.prefix}:threaded:${handle.id}:lock`, "somebody else");
  await all.says("told: LeaseLostError");
  await until(() => pool.running === 0);
  expect(await handle.state()).toBe("active");
});

test("a handler that does not end is ended with its thread after the grace, and its slot is free again", async () => {
  const all = setup({ handler: { ...threaded, concurrency: 1, threads: { ...threaded.threads, count: 1 } } as unknown as Handler });
  const stuck = await all.put({ does: "spin", ms: 3_600_000 }, { timeout: "200ms" });
  const next = await all.put({ does: "tell" });
  const startedAt = performance.now();
  void all.pool;
  expect(await stuck.outcome({ timeout: "20s" })).toMatchObject({ state: "failed", error: { message: expect.stringContaining("timeout") as string } });
  expect(await next.outcome({ timeout: "20s" })).toMatchObject({ state: "completed" });
  // Its timeout, and the grace of 4.5 s that a pool gives by itself.
  expect(performance.now() - startedAt).toBeGreaterThan(4600);
}, 40_000);

test("a stopping pool does not wait longer than its grace for a handler that computes on", async () => {
  const all = setup();
  const handle = await all.put({ does: "together", ms: 3_600_000 });
  void all.pool;
  await all.says("begins");
  const startedAt = performance.now();
  await all.pool.stop({ drain: 0, grace: 300 });
  expect(performance.now() - startedAt).toBeLessThan(3000);
  expect(await handle.state()).toBe("waiting");
});

test("a stopping pool lets a thread finish within its drain", async () => {
  const all = setup();
  const handle = await all.put({ does: "together", ms: 500 });
  void all.pool;
  await all.says("begins");
  await all.pool.stop({ drain: "20s" });
  expect(await handle.outcome({ timeout: "20s" })).toMatchObject({ state: "completed" });
});

test("a computation longer than the lease keeps it, and runs once", async () => {
  const all = setup();
  const handle = await all.put({ does: "together", ms: 3500 });
  all.app.pool([threaded as unknown as Handler], { lease: "2s" });
  expect(await handle.outcome({ timeout: "20s" })).toMatchObject({ state: "completed" });
  expect(all.log.lines.filter(({ message }) => message === "begins")).toHaveLength(1);
});

/** With one thread, so that the next job needs the slot of the one that is lost. */
const alone = { ...threaded, concurrency: 1, threads: { ...threaded.threads, count: 1, heapMb: 64 } } as unknown as Handler;

test.each([
  ["exits", "exit", "worker exited with code: 3"],
  ["needs more memory than it may have", "hoard", "out of memory"],
  ["meets an error that nobody catches", "throw later", "nobody caught this"],
] as const)("a thread that %s fails the attempt, and its slot is free again", async (_, does, reason) => {
  const all = setup({ handler: alone });
  const [lost, next] = [await all.put({ does }, { attempts: 2 }), await all.put({ does: "tell" })];
  void all.pool;
  const message = expect.stringMatching(new RegExp(`the thread ended before its work did: .*${reason}`)) as string;
  expect(await lost.outcome({ timeout: "20s" })).toMatchObject({ state: "failed", error: { attempts: 2, message } });
  expect(await next.outcome({ timeout: "20s" })).toMatchObject({ state: "completed" });
});

test("a result that cannot leave its thread is a dead letter at once: the work is not done twice", async () => {
  const { outcome } = await ran({ does: "function" }, { attempts: 3 });
  expect(outcome).toMatchObject({ state: "failed", error: { attempts: 1, message: expect.stringContaining("the result cannot leave its thread") as string } });
});

test("a payload that cannot go to a thread is an error that says so", async () => {
  const job = defineJob("threaded", { payload: z.object({ n: z.number() }).transform(() => () => 1), attempts: 1 });
  const app = testApp();
  app.pool([{ ...threaded, job } as unknown as Handler]);
  const outcome = await (await app.put(job, { n: 1 })).outcome({ timeout: "20s" });
  expect(outcome).toMatchObject({ state: "failed", error: { message: expect.stringContaining("to be data that can be copied: () => 1") as string } });
});

test.each([
  ["exports another handler", new URL("./threaded.ts", import.meta.url).href, /expected file:.*threaded\.ts to export as default the handler of job "other"/],
  ["exports none", "data:text/javascript,export const one = 1", /to export as default the handler of job "other"/],
  ["is not there", new URL("./nowhere.ts", import.meta.url).href, /Cannot find module .*nowhere\.ts/],
  ["does not parse", "data:text/javascript,export default {", /Unexpected end of input/],
  ["throws", "data:text/javascript,throw new RangeError('no key to be had')", /no key to be had/],
  ["exits", "data:text/javascript,process.exit(4)", /worker exited with code: 4/],
])("a module that %s fails the attempt and says so", async (_, module, message) => {
  const other = defineJob("other", { attempts: 2, backoff: { type: "fixed", base: 0 } });
  const app = testApp();
  app.pool([defineHandler(other, { threads: { module, count: 1 }, handle: async () => undefined }) as unknown as Handler]);
  const outcome = await (await app.put(other)).outcome({ timeout: "20s" });
  expect(outcome).toMatchObject({ state: "failed", error: { attempts: 2, message: expect.stringMatching(message) as string } });
});
