import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { defineHandler, defineJob, LeaseLostError, typed, type JobTask } from "../../src/index.ts";
import { recordedLog, testApp, until } from "../support/app.ts";
import { freshPrefix, redisClient, redisUrl, startRedis } from "../support/redis.ts";
import { startProxy } from "../support/tcp-proxy.ts";
import { gauge } from "./gauge.ts";

const job = defineJob("work", { payload: typed<{ n: number }>(), backoff: { type: "fixed", base: 0 } });
const numbers = (count: number) => Array.from({ length: count }, (_, n) => ({ n }));
test("a name that no handler knows is given back unspent, ever more slowly, and taken by a worker that knows it", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const young = defineJob("young", { queue: "work" });
  app.pool([defineHandler(job, { handle: async () => {} })]);
  const handle = await app.put(young);
  const redis = redisClient();
  const hash = () => redis.hgetall(`${prefix}:work:${handle.id}`);
  await until(async () => Number((await hash())["ats"] ?? 0) >= 2);
  expect((await hash())["atm"]).toBeUndefined();
  let attempt = 0;
  testApp({ prefix }).pool([defineHandler(young, { handle: async (_, task) => void (attempt = task.attempt) })]);
  await handle.result({ timeout: "20s" });
  expect(attempt).toBe(1);
});

test("a name that stays unknown is a dead letter after unknownFor, with the reason", async () => {
  const app = testApp();
  app.pool([defineHandler(job, { handle: async () => {} })], { unknownFor: 300 });
  const handle = await app.put(defineJob("nobody", { queue: "work" }));
  const startedAt = performance.now();
  expect(await handle.outcome({ timeout: "10s" })).toMatchObject({ state: "failed", error: { message: expect.stringMatching(/no handler here knows job nobody/) } });
  expect(performance.now() - startedAt).toBeGreaterThan(290);
});

test("a newer version is given back unspent, for a newer worker", async () => {
  const prefix = freshPrefix();
  const [older, newer] = [testApp({ prefix }), testApp({ prefix })];
  const second = defineJob("work", { version: 2, payload: z.object({ first: z.string() }) });
  older.pool([defineHandler(job, { handle: async () => {} })]);
  const handle = await newer.put(second, { first: "Ada" });
  const redis = redisClient();
  await until(async () => (await redis.hget(`${prefix}:work:${handle.id}`, "mu")) !== null);
  let attempt = 0;
  newer.pool([defineHandler(second, { handle: async (_, task) => void (attempt = task.attempt) })]);
  await handle.result({ timeout: "20s" });
  expect(attempt).toBe(1);
});

test("renews the lease of a task that takes longer: nobody runs it a second time", async () => {
  const prefix = freshPrefix();
  const [here, there] = [testApp({ prefix }), testApp({ prefix })];
  let runs = 0;
  const handler = defineHandler(job, { handle: async () => ((runs += 1), new Promise<void>((resolve) => setTimeout(resolve, 7000))) });
  for (const app of [here, there]) app.pool([handler], { lease: "2s", concurrency: 1 });
  const handle = await here.put(job, { n: 1 });
  await handle.result();
  expect(runs).toBe(1);
  expect(await redisClient().hmget(`${prefix}:work:${handle.id}`, "atm", "ats", "stc")).toEqual(["1", "1", null]);
});

test("a lost lease fires the signal with LeaseLostError, and its holder can no longer acknowledge", async () => {
  const prefix = freshPrefix();
  const log = recordedLog();
  const app = testApp({ prefix, log });
  let reason: unknown;
  const started = Promise.withResolvers<JobTask>();
  const pool = app.pool(
    [
      defineHandler(job, {
        async handle(_, task) {
          started.resolve(task);
          await once(task.signal, "abort");
          reason = task.signal.reason;
        },
      }),
    ],
    { lease: "2s", concurrency: 1 },
  );
  const handle = await app.put(job, { n: 1 });
  const { id } = await started.promise;
  await redisClient().set(`${prefix}:work:${id}:lock`, "somebody else", "PX", 60_000);
  await until(() => reason !== undefined);
  expect(reason).toBeInstanceOf(LeaseLostError);
  await until(() => pool.running === 0);
  expect(await handle.state()).toBe("active");
  await pool.stop();
  expect(await handle.state()).toBe("active");
});

test("a handler that goes on after its lease was lost frees its slot when the grace is over", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const starts: string[] = [];
  const pool = app.pool([defineHandler(job, { handle: (_, { id }) => (starts.push(id), new Promise<void>(() => {})) })], { lease: "2s", concurrency: 1 });
  await app.queue(job).putMany(numbers(2));
  await until(() => starts.length === 1);
  await redisClient().set(`${prefix}:work:${starts[0]}:lock`, "somebody else", "PX", 60_000);
  await until(() => starts.length === 2, 15_000);
  await pool.stop({ drain: 0, grace: 0 });
}, 30_000);

test("goes on when each of its connections is killed, again and again", async () => {
  const prefix = freshPrefix();
  const redis = await startRedis();
  const app = testApp({ redis: redis.url, prefix });
  const { seen, handle } = gauge();
  const pool = app.pool([defineHandler(job, { handle })], { concurrency: 4 });
  const admin = redisClient(redis.url);
  const names = async (): Promise<string[]> => [...String(await admin.client("LIST")).matchAll(/ name=(\S+)/g)].map(([, name]) => name!);
  await until(async () => (await names()).some((name) => name.startsWith("wait:")));
  for (let round = 0; round < 5; round += 1) {
    await app.queue(job).putMany(numbers(20));
    await admin.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    await app.queue(job).join({ timeout: "10s" });
    await until(async () => (await names()).some((name) => name.startsWith("wait:")));
  }
  expect(await app.queue(job).counts()).toMatchObject({ unfinished: 0, failed: 0 });
  expect(seen.runs).toBeGreaterThanOrEqual(100);
  // No slot was lost on the way.
  seen.most = 0;
  await app.queue(job).putMany(numbers(100));
  await app.queue(job).join({ timeout: "10s" });
  expect(seen.most).toBe(4);
  await pool.stop();
  await pool.done;
}, 60_000);

test("an answer that is lost costs no attempt and no run", async () => {
  const prefix = freshPrefix();
  const proxy = await startProxy(Number(new URL(redisUrl()).port));
  const app = testApp({ redis: `redis://127.0.0.1:${proxy.port}`, prefix });
  const producer = testApp({ prefix });
  const attempts: number[] = [];
  app.pool([defineHandler(job, { handle: async (_, { attempt }) => void attempts.push(attempt) })], { concurrency: 4 });
  await app.ready();
  for (let round = 0; round < 10; round += 1) {
    proxy.loseReplies();
    await producer.queue(job).putMany(numbers(5));
    await producer.queue(job).join({ timeout: "10s" });
  }
  expect(attempts).toEqual(Array.from({ length: 50 }, () => 1));
  await proxy[Symbol.asyncDispose]();
}, 120_000);

/** A pool behind a proxy that can keep from it what Redis says, beside a producer that has none. */
async function setUpDeaf(concurrency: number, handle: () => Promise<void>) {
  const prefix = freshPrefix();
  const proxy = await startProxy(Number(new URL(redisUrl()).port));
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  const app = testApp({ redis: `redis://127.0.0.1:${proxy.port}`, prefix });
  const producer = testApp({ prefix });
  const pool = app.pool([defineHandler(job, { handle })], { concurrency });
  const admin = redisClient();
  /** The bytes that stand in Redis behind the pool's block: 0 where it waits for no more than a marker, `undefined` where it does not wait. */
  const asked = async (): Promise<number | undefined> => {
    const block = String(await admin.client("LIST")).split("\n").find((line) => line.includes(` name=wait:${prefix}:work `) && line.includes(" flags=b "));
    return block === undefined ? undefined : Number(/ qbuf=(\d+)/.exec(block)![1]);
  };
  const waits = () => until(async () => (await asked()) === 0);
  /** Long before it looks for itself. */
  const takes = () => until(async () => ((await asked()) ?? 0) > 0, 3000);
  return { proxy, pool, producer, waits, takes };
}

test("a pool in which nothing runs has a job in the step that puts it; one that works takes it when it hears of it", async () => {
  const held = Promise.withResolvers<void>();
  const { proxy, pool, producer, waits, takes } = await setUpDeaf(2, () => held.promise);
  await takes();
  await producer.put(job, { n: 1 });
  await until(() => pool.running === 1);
  await waits();
  proxy.silence();
  // It cannot hear of anything now: what it has not asked for before, it does not get.
  const second = await producer.put(job, { n: 2 });
  expect(await second.state()).toBe("waiting");
  held.resolve();
  await pool.stop({ drain: 0, grace: 0, flush: 0 });
}, 30_000);

test("a pool in which nothing runs any more goes back to that, whatever it waits for", async () => {
  const { proxy, pool, producer, waits, takes } = await setUpDeaf(2, () => new Promise((resolve) => setTimeout(resolve, 300)));
  await takes();
  const first = await producer.put(job, { n: 1 });
  await waits();
  await first.result({ timeout: "10s" });
  await takes();
  proxy.silence();
  const second = await producer.put(job, { n: 2 });
  expect(await second.state()).toBe("active");
  await pool.stop({ drain: 0, grace: 0, flush: 0 });
}, 30_000);

test("a job that comes as the pool is told to be quiet is given back, and its slot is not lost", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const pool = app.pool([defineHandler(job, { handle: async () => {} })], { concurrency: 1 });
  const admin = redisClient();
  for (let n = 0; n < 3; n += 1) {
    await until(async () => String(await admin.client("LIST")).split("\n").some((line) => line.includes(` name=wait:${prefix}:work `) && line.includes(" flags=b ")));
    const putting = app.put(job, { n });
    pool.quiet();
    const handle = await putting;
    await until(async () => (await handle.state()) === "waiting");
    pool.resume();
    await handle.result({ timeout: "10s" });
    expect(await admin.hmget(`${prefix}:work:${handle.id}`, "atm")).not.toEqual(["2"]);
  }
  await pool.stop();
});

test("where a wait cannot be ended by command, a pool hears of jobs on one connection, and loses none", async () => {
  const redis = await startRedis();
  const admin = redisClient(redis.url);
  // Redis 6 can allow a part of a command, and not forbid one.
  await admin.call("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-client", "+client|id", "+client|setname", "+client|list");
  const app = testApp({ redis: `redis://app:secret@127.0.0.1:${new URL(redis.url).port}` });
  const pool = app.pool([defineHandler(job, { handle: () => new Promise((resolve) => setTimeout(resolve, 5)) })]);
  const made = async (): Promise<number> => Number(/total_connections_received:(\d+)/.exec(await admin.info("stats"))![1]);
  const runOne = async (): Promise<unknown> => {
    const result = await (await app.put(job, { n: 1 })).result({ timeout: "10s" });
    await new Promise((resolve) => setTimeout(resolve, 10));
    return result;
  };
  await runOne();
  await runOne();
  const before = await made();
  for (let n = 0; n < 20; n += 1) await runOne();
  expect(await made()).toBe(before);
  await pool.stop();
}, 30_000);

test("a pool that is gone while nothing runs takes one job along, whatever its slots, and others run it when its lease has run out", async () => {
  const { proxy, pool, producer, takes } = await setUpDeaf(100, () => new Promise<void>(() => {}));
  await takes();
  proxy.silence();
  await producer.queue(job).putMany(numbers(40));
  expect(await producer.queue(job).counts()).toMatchObject({ active: 1, waiting: 39 });
  await pool.stop({ drain: 0, grace: 0, flush: 0 });
  await proxy[Symbol.asyncDispose]();
  const seen: number[] = [];
  producer.pool([defineHandler(job, { handle: async ({ n }) => void seen.push(n) })]);
  await until(() => seen.length === 40, 15_000);
  expect(seen.at(-1)).toBe(0);
}, 30_000);

test("what others stored as options stops nobody", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const redis = redisClient();
  const handles = await Promise.all(numbers(6).map((payload) => app.put(job, payload)));
  const options = ["not json", "null", '{"removeOnComplete":null}', '{"attempts":"x","backoff":7,"removeOnFail":"y"}', '{"backoff":{"type":"mine"}}', "[]"];
  await Promise.all(handles.map(({ id }, i) => redis.hset(`${prefix}:work:${id}`, "opts", options[i]!)));
  app.pool([defineHandler(job, { handle: async ({ n }, { attempt }) => (attempt === 1 && n % 2 === 0 ? Promise.reject(new Error("once")) : undefined) })]);
  await app.queue(job).join({ timeout: "20s" });
  expect(await app.queue(job).counts()).toMatchObject({ completed: 6 });
}, 30_000);
