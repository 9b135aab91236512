import { once } from "node:events";
import { expect, test } from "vitest";
import { typed } from "../../src/job/contract.ts";
import { StateError } from "../../src/errors.ts";
import { run, spawn, timeout } from "../../src/concurrency/index.ts";
import { defineHandler, defineJob, OptionError, type Handler, type Pool } from "../../src/index.ts";
import { recordedLog, testApp, until } from "../support/app.ts";
import { failure, takes } from "../support/outcome.ts";
import { freshPrefix, redisClient, redisUrl, startRedis } from "../support/redis.ts";

const job = defineJob("work", { payload: typed<{ n: number }>(), backoff: { type: "fixed", base: 0 } });

/** A handler that tells when it has started, and ends when its signal fires or it is let go. */
function gated() {
  const gate = Promise.withResolvers<void>();
  const state = { started: 0, ended: 0, reasons: [] as unknown[], open: gate.resolve };
  const handler = defineHandler(job, {
    async handle(_, task) {
      state.started += 1;
      const aborted = once(task.signal, "abort").then(() => {
        state.reasons.push(task.signal.reason);
        throw task.signal.reason;
      });
      await Promise.race([gate.promise, aborted]);
      state.ended += 1;
    },
  });
  return { handler: handler, state };
}

/** A handler that never ends, whatever its signal says. */
function deaf(onStart: () => void = () => {}): Handler {
  return defineHandler(job, { handle: () => (onStart(), new Promise<void>(() => {})) });
}

test("runs what is put, and drains what runs when it stops", async () => {
  const app = testApp();
  const { handler, state } = gated();
  const pool = app.pool([handler], { concurrency: 2 });
  const handles = await Promise.all([1, 2, 3].map((n) => app.put(job, { n })));
  await until(() => state.started === 2);
  expect(pool.running).toBe(2);
  const stopped = pool.stop();
  state.open();
  await stopped;
  expect([state.started, state.ended, pool.running]).toEqual([2, 2, 0]);
  expect(await Promise.all(handles.map((handle) => handle.state()))).toEqual(["completed", "completed", "waiting"]);
});

test("interrupts after the drain, and gives back without spending an attempt: the job runs again at once elsewhere", async () => {
  const prefix = freshPrefix();
  const [here, elsewhere] = [testApp({ prefix }), testApp({ prefix })];
  const { handler, state } = gated();
  const pool = here.pool([handler]);
  const handle = await here.put(job, { n: 1 });
  await until(() => state.started === 1);
  await pool.stop({ drain: 50 });
  expect(state.reasons).toMatchObject([{ code: "CANCELLED" }]);
  expect(await handle.state()).toBe("waiting");
  const redis = redisClient();
  expect(await redis.hget(`${prefix}:work:${handle.id}`, "atm")).toBeNull();

  let attempt = 0;
  elsewhere.pool([defineHandler(job, { handle: async (_, task) => void (attempt = task.attempt) })]);
  expect(await takes(handle.result())).toBeLessThan(1000);
  expect(attempt).toBe(1);
});

test("gives a job back under a handler that ignores its signal", async () => {
  const app = testApp();
  const started = Promise.withResolvers<void>();
  const pool = app.pool([deaf(started.resolve)]);
  const handle = await app.put(job, { n: 1 });
  await started.promise;
  const tookMs = await takes(pool.stop({ drain: 100, grace: 200 }));
  expect(tookMs).toBeGreaterThanOrEqual(295);
  expect(tookMs).toBeLessThan(1500);
  expect(await handle.state()).toBe("waiting");
});

test("a second stop hurries the first", async () => {
  const app = testApp();
  const started = Promise.withResolvers<void>();
  const pool = app.pool([deaf(started.resolve)]);
  const handle = await app.put(job, { n: 1 });
  await started.promise;
  const first = pool.stop();
  expect(await takes(pool.stop({ drain: 0, grace: 0 }))).toBeLessThan(1000);
  await first;
  expect(await handle.state()).toBe("waiting");
});

test("a later, longer stop does not prolong the first", async () => {
  const app = testApp();
  const { handler, state } = gated();
  const pool = app.pool([handler]);
  await app.put(job, { n: 1 });
  await until(() => state.started === 1);
  const first = pool.stop({ drain: 100 });
  void pool.stop({ drain: "20s" });
  expect(await takes(first)).toBeLessThan(2000);
});

test("jobs that wait for a turn of their handler are given back at once, and never start", async () => {
  const app = testApp();
  const other = defineJob("other", { queue: "work", payload: typed<{ n: number }>() });
  let starts = 0;
  const narrow = defineHandler(job, { concurrency: 1, handle: () => ((starts += 1), new Promise<void>(() => {})) });
  const wide = defineHandler(other, { handle: async () => {} });
  const pool = app.pool([narrow, wide], { concurrency: 10 });
  await app.queue(job).putMany([1, 2, 3, 4, 5].map((n) => ({ n })));
  await until(() => pool.running === 5 && starts > 0);
  expect(starts).toBe(1);
  const stopped = pool.stop({ drain: "20s", grace: 0 });
  await until(async () => (await app.queue(job).counts()).waiting === 4);
  await pool.stop({ drain: 0, grace: 0 });
  await stopped;
  expect(starts).toBe(1);
  expect(await app.queue(job).counts()).toMatchObject({ waiting: 5, active: 0 });
});

test("what Redis hands over when it is quiet already is given back, not run", async () => {
  const redis = await startRedis();
  const app = testApp({ redis: redis.url });
  await app.queue(job).putMany([{ n: 1 }, { n: 2 }]);
  let starts = 0;
  redis.pause();
  const pool = app.pool([defineHandler(job, { handle: async () => void (starts += 1) })]);
  // Until its request is on the way; the answer waits for Redis.
  for (let turns = 0; turns < 50; turns += 1) await new Promise((resolve) => setImmediate(resolve));
  const stopped = pool.cancel();
  redis.resume();
  await stopped;
  expect(starts).toBe(0);
  expect(await app.queue(job).counts()).toMatchObject({ waiting: 2, active: 0 });
});

test("stops within its time while Redis is down, from the start and in the middle", async () => {
  const redis = await startRedis();
  const app = testApp({ redis: redis.url });
  const { handler, state } = gated();
  const busy = app.pool([handler]);
  const idle = app.pool([handler]);
  await app.put(job, { n: 1 });
  await until(() => state.started === 1);
  await redis.kill();
  expect(await takes(idle.stop({ drain: 100, grace: 100 }))).toBeLessThan(2000);
  expect(await takes(busy.stop({ drain: 100, grace: 100 }))).toBeLessThan(2000);
  expect(await takes(app[Symbol.asyncDispose]())).toBeLessThan(3000);

  const late = testApp({ redis: redis.url });
  const connecting = late.pool([handler]);
  expect(await takes(connecting.stop())).toBeLessThan(500);
  expect(await takes(late[Symbol.asyncDispose]())).toBeLessThan(1000);
});

test("an idle pool waits no longer for a Redis that is down than it is told to, whatever drain and grace are", async () => {
  const redis = await startRedis();
  const app = testApp({ redis: redis.url });
  const [idle, told] = [app.pool([deaf()]), app.pool([deaf()])];
  await Promise.all([idle.ready, told.ready]);
  await redis.kill();
  const [idleMs, toldMs] = await Promise.all([takes(idle.cancel()), takes(told.stop({ drain: "1m", grace: "1m", flush: 50 }))]);
  expect(idleMs).toBeLessThan(3000);
  expect(toldMs).toBeLessThan(idleMs);
});

test("what has ended while Redis is down is waited for until drain and grace are over: it is not done twice", async () => {
  // Synced once a second it is written late while the disk is busy, and a kill loses what was answered.
  const redis = await startRedis({ appendfsync: "always" });
  const log = recordedLog();
  const app = testApp({ redis: redis.url, log });
  const { handler, state } = gated();
  const pool = app.pool([handler]);
  const handle = await app.put(job, { n: 1 });
  await until(() => state.started === 1);
  await redis.kill();
  const stopped = pool.stop({ drain: "20s", flush: 1 });
  state.open();
  await until(() => state.ended === 1 && pool.running === 0);
  expect(pool.state).toBe("draining");
  await redis.start();
  await stopped;
  expect(await handle.state()).toBe("completed");
  expect(log.lines).toContainEqual(expect.objectContaining({ message: "stopping: what ran has ended", fields: { phase: "drain", tookMs: expect.any(Number) as number, left: 0 } }));
});

test("tells of each phase how long it took, and what it left", async () => {
  const log = recordedLog();
  const app = testApp({ log });
  const started = Promise.withResolvers<void>();
  const pool = app.pool([deaf(started.resolve)]);
  expect(pool.state).toBe("starting");
  await pool.ready;
  expect(pool.state).toBe("ready");
  const { id } = await app.put(job, { n: 1 });
  await started.promise;
  pool.quiet();
  expect(pool.state).toBe("quiet");
  const stopped = pool.stop({ drain: 50, grace: 50 });
  expect(pool.state).toBe("draining");
  await stopped;
  expect(pool.state).toBe("stopped");
  const told = log.lines.filter(({ message }) => message.startsWith("stopping: "));
  expect(told.map(({ level, fields }) => ({ level, ...fields }))).toEqual([
    { level: "warn", phase: "drain", tookMs: expect.any(Number) as number, left: 1, jobs: [`work ${id}`] },
    { level: "warn", phase: "grace", tookMs: expect.any(Number) as number, left: 1, jobs: [`work ${id}`] },
    { level: "info", phase: "flush", tookMs: expect.any(Number) as number, left: 0 },
  ]);
  expect(pool.ended).toBe(1);
});

test("stops within its time while Redis is paused", async () => {
  const redis = await startRedis();
  const app = testApp({ redis: redis.url });
  const { handler, state } = gated();
  const pool = app.pool([handler]);
  await app.put(job, { n: 1 });
  await until(() => state.started === 1);
  redis.pause();
  expect(await takes(pool.stop({ drain: 100, grace: 100 }))).toBeLessThan(2000);
  expect(await takes(app[Symbol.asyncDispose]())).toBeLessThan(4000);
  redis.resume();
});

test("connects when Redis comes up", async () => {
  const redis = await startRedis();
  await redis.stop();
  const log = recordedLog();
  const app = testApp({ redis: redis.url, log });
  const { handler, state } = gated();
  state.open();
  app.pool([handler]);
  await until(() => log.lines.some(({ message }) => message.startsWith("cannot connect to Redis")));
  await redis.start();
  // Until Redis is known to be up, a put is refused at once.
  await until(() => app.ready().then(() => true, () => false));
  await (await app.put(job, { n: 1 })).result();
});

test("ends with the reason when the server is not fit to hold jobs", async () => {
  const redis = await startRedis({ "maxmemory-policy": "allkeys-lru", maxmemory: "100mb" });
  const log = recordedLog();
  const pool = testApp({ redis: redis.url, log }).pool([deaf()]);
  expect((await failure(pool.done)).error).toMatchObject({ code: "PREFLIGHT_FAILED" });
  expect(log.lines).toContainEqual(expect.objectContaining({ level: "error", message: "the pool has ended by an error" }));
  await expect(pool.stop()).rejects.toMatchObject({ code: "PREFLIGHT_FAILED" });
  await pool[Symbol.asyncDispose]();
});

test("a pool of an app that was closed ends at once", async () => {
  const app = testApp();
  await app.ready();
  await app[Symbol.asyncDispose]();
  const { error, tookMs } = await failure(app.pool([deaf()]).done);
  expect(error).toMatchObject({ code: "BACKEND_UNAVAILABLE" });
  expect(tookMs).toBeLessThan(500);
});

test("quiet lets what runs finish and fetches nothing more, until it is resumed", async () => {
  const app = testApp();
  const { handler, state } = gated();
  const pool = app.pool([handler], { concurrency: 1 });
  await app.queue(job).putMany([{ n: 1 }, { n: 2 }]);
  await until(() => state.started === 1);
  for (let round = 0; round < 3; round += 1) {
    pool.quiet();
    expect(pool.state).toBe("quiet");
    pool.resume();
    expect(pool.state).toBe("ready");
  }
  pool.quiet();
  state.open();
  await until(() => pool.ended === 1);
  // Would it fetch, it would be faster than these.
  for (let look = 0; look < 20; look += 1) expect(await app.queue(job).counts()).toMatchObject({ waiting: 1, active: 0 });
  pool.resume();
  await app.queue(job).join();
  await app.put(job, { n: 3 });
  await app.queue(job).join();
  expect(state.started).toBe(3);
  await pool.stop();
  expect(() => pool.resume()).toThrow(StateError);
});

test("quiet before it is connected it connects, and waits to be resumed", async () => {
  const app = testApp();
  const { handler, state } = gated();
  state.open();
  await app.put(job, { n: 1 });
  const pool = app.pool([handler]);
  pool.quiet();
  await pool.ready;
  expect(pool.state).toBe("quiet");
  for (let look = 0; look < 20; look += 1) expect(await app.queue(job).counts()).toMatchObject({ waiting: 1 });
  pool.resume();
  await app.queue(job).join();
});

test("disposes twice, after it has ended, and with its app, without a word", async () => {
  const app = testApp();
  const pool: Pool = app.pool([deaf()]);
  await pool[Symbol.asyncDispose]();
  await pool[Symbol.asyncDispose]();
  await pool.stop();
  app.pool([deaf()]);
  await app[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
});

test("cancelling the code that made it does not cut its deliveries short", async () => {
  const app = testApp();
  const { handler, state } = gated();
  let pool: Pool | undefined;
  const maker = spawn(async (signal) => {
    pool = app.pool([handler], { concurrency: 1 });
    await timeout("20s", () => once(signal, "abort"));
  });
  await app.queue(job).putMany([{ n: 1 }, { n: 2 }]);
  await until(() => state.started === 1);
  maker.cancel();
  await failure(Promise.resolve(maker));
  state.open();
  await app.queue(job).join({ timeout: "5s" });
  expect(state).toMatchObject({ ended: 2, reasons: [] });
  await pool?.stop();
});

test("a program that ends without disposing of its pool cancels it", async () => {
  const app = testApp();
  const { handler, state } = gated();
  const handle = await app.put(job, { n: 1 });
  const program = run(async () => {
    const pool = app.pool([handler]);
    await until(() => state.started === 1);
    return pool;
  });
  const pool = await program;
  await pool.done;
  expect(state.reasons).toHaveLength(1);
  expect(await handle.state()).toBe("waiting");
});

test("refuses what cannot be a pool before any I/O", () => {
  const app = testApp({ redis: redisUrl() });
  const { handler } = gated();
  expect(() => app.pool([])).toThrow(OptionError);
  expect(() => app.pool([undefined as unknown as Handler])).toThrow(OptionError);
  expect(() => app.pool([{} as Handler])).toThrow(OptionError);
  expect(() => app.pool(handler as unknown as Handler[])).toThrow(OptionError);
  expect(() => app.pool([handler, handler])).toThrow(/one handler a job/);
  expect(() => app.pool([handler], { concurrency: 0 })).toThrow(OptionError);
  expect(() => app.pool([handler], { lease: "1s" })).toThrow(OptionError);
  expect(() => app.pool([handler], { slots: 3 } as object)).toThrow(/unknown option/);
});
