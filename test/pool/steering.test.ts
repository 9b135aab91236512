/** A pool as operators see and steer it. */
import { once } from "node:events";
import { gunzipSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { ask } from "../../src/control/ask.ts";
import { registeredPools, registeredTasks } from "../../src/control/registry.ts";
import { createLog } from "../../src/log.ts";
import { connect, defineHandler, defineJob, typed, type App, type Pool } from "../../src/index.ts";
import { setDebug } from "../../src/concurrency/debug.ts";
import type { Connections } from "../../src/redis/connection.ts";
import { connected } from "../control/control.ts";
import { recordedLog, testApp, until } from "../support/app.ts";
import { takes } from "../support/outcome.ts";
import { freshPrefix, redisClient, redisUrl, startCluster, startRedis, startSentinels } from "../support/redis.ts";

const job = defineJob("work", { payload: typed<{ n: number }>(), progress: typed<{ done: string }>(), attempts: 1 });

/** Handlers that run until they are let go, or told to end. */
function gated() {
  const gate = Promise.withResolvers<void>();
  const handler = defineHandler(job, {
    async handle({ n }, task) {
      if (n < 0) throw new Error(`no ${n}`);
      await task.progress({ done: `${n} of 10` });
      await Promise.race([gate.promise, once(task.signal, "abort").then(() => Promise.reject(task.signal.reason as Error))]);
    },
  });
  return { handler, open: gate.resolve };
}

async function steered(options: { concurrency?: number; name?: string } = {}): Promise<{ app: App; pool: Pool; operator: Connections; open: () => void }> {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const { handler, open } = gated();
  const pool = app.pool([handler], { concurrency: 2, ...options });
  await pool.ready;
  const operator = await connected(redisUrl(), prefix);
  await until(async () => (await registeredPools(operator)).length === 1);
  return { app, pool, operator, open };
}

test("is registered while it lives, with what it runs, how far that is and what failed last", async () => {
  const { app, pool, operator, open } = await steered({ name: "mill" });
  const before = operator.clock.now();
  await app.put(job, { n: 7 }, { id: "seven" });
  await until(async () => (await registeredTasks(operator))[0]?.tasks[0]?.progress != null);
  const [{ pool: entry, tasks } = {}] = await registeredTasks(operator);
  expect(entry).toMatchObject({ id: pool.id, name: "mill", pid: process.pid, state: "ready", queues: ["work"], slots: 2, running: 1, stuck: 0, lastError: null, supervisor: null, place: null });
  expect(entry?.rssBytes).toBeGreaterThan(10_000_000);
  expect(tasks).toEqual([{ id: "seven", name: "work", queue: "work", attempt: 1, startedAt: expect.any(Number) as number, progress: '{"done":"7 of 10"}', interruption: null, stuck: false }]);
  expect(tasks![0]!.startedAt).toBeGreaterThan(before - 5000);
  expect(tasks![0]!.startedAt).toBeLessThanOrEqual(operator.clock.now());
  await (await app.put(job, { n: -1 }, { id: "bad" })).outcome();
  await until(async () => (await registeredPools(operator))[0]?.lastError?.job?.id === "bad");
  expect((await registeredPools(operator))[0]?.lastError?.message).toContain("no -1");
  open();
  await pool.stop();
  expect(await registeredPools(operator)).toEqual([]);
});

test("tells of a change of its state at once, and while it drains", async () => {
  const { app, pool, operator, open } = await steered();
  await app.put(job, { n: 1 });
  await until(() => pool.running === 1);
  const state = async (): Promise<string | undefined> => (await registeredPools(operator))[0]?.state;
  const soon = async (wanted: string): Promise<void> => expect(await takes(until(async () => (await state()) === wanted))).toBeLessThan(1500);
  pool.quiet();
  await soon("quiet");
  pool.resume();
  await soon("ready");
  const stopped = pool.stop();
  await soon("draining");
  open();
  await stopped;
  expect(await state()).toBeUndefined();
});

test("is quieted, resumed, scaled and stopped by messages", async () => {
  const { app, pool, operator, open } = await steered();
  open();
  const told = async <V extends "quiet" | "resume" | "stop" | "ping">(verb: V) => (await ask(operator, verb, {}, "all")).answers[0];
  expect(await told("ping")).toMatchObject({ pool: { id: pool.id }, value: { state: "ready", running: 0 } });
  expect(await told("quiet")).toMatchObject({ value: { state: "quiet" } });
  await app.put(job, { n: 1 });
  for (let look = 0; look < 20; look += 1) expect(await app.queue(job).counts()).toMatchObject({ waiting: 1 });
  expect(await told("resume")).toMatchObject({ value: { state: "ready" } });
  await app.queue(job).join();
  expect((await ask(operator, "scale", { concurrency: 9 }, "all")).answers).toMatchObject([{ value: { from: 2, to: 9, usable: 9 } }]);
  expect(pool.concurrency).toBe(9);
  expect((await ask(operator, "restart", {}, "all")).answers).toMatchObject([{ error: { code: "STATE_INVALID", message: expect.stringContaining("--processes 1") as string } }]);
  expect(await told("stop")).toMatchObject({ value: { ends: "pool", replacedBy: null } });
  await pool.done;
});

test("says how many of its slots its handlers can use", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const pool = app.pool([defineHandler(job, { concurrency: 3, handle: async () => {} })]);
  await pool.ready;
  const operator = await connected(redisUrl(), prefix);
  await until(async () => (await registeredPools(operator)).length === 1);
  expect((await ask(operator, "scale", { concurrency: 8 }, "all")).answers).toMatchObject([{ value: { from: 3, to: 8, usable: 3 } }]);
});

test("a process that is there for it ends and is replaced in its stead, and is told of its changes", async () => {
  const { pool, operator } = await steered();
  const calls: string[] = [];
  pool.hostedBy({ place: { supervisor: 4711, place: 3 }, stop: () => calls.push("stop"), replace: () => calls.push("replace"), changed: () => calls.push(pool.state) });
  pool.quiet();
  await until(async () => (await registeredPools(operator))[0]?.place === 3);
  expect(await registeredPools(operator)).toMatchObject([{ supervisor: 4711, place: 3, state: "quiet" }]);
  expect((await ask(operator, "restart", {}, "all")).answers).toMatchObject([{ value: { ends: "process", replacedBy: "supervisor" } }]);
  expect((await ask(operator, "stop", {}, "all")).answers).toMatchObject([{ value: { ends: "process", replacedBy: null } }]);
  await until(() => calls.length === 3);
  expect(calls).toEqual(["quiet", "replace", "stop"]);
});

test("dumps each task with where it waits, the loop and the memory", async () => {
  const debug = setDebug(true);
  onTestFinished(() => debug[Symbol.dispose]());
  const { app, pool, operator } = await steered();
  await app.put(job, { n: 1 }, { id: "one" });
  await until(() => pool.dump().tasks[0]?.progress != null);
  const { answers } = await ask(operator, "dump", {}, "all");
  expect(answers).toMatchObject([{ value: { debug: true, node: process.version, pool: { id: pool.id, running: 1 }, tasks: [{ id: "one", name: "work", attempt: 1 }] } }]);
  const [answer] = answers;
  const dump = answer !== undefined && "value" in answer ? answer.value : undefined;
  expect(dump?.tasks[0]?.waitsAt?.join()).toContain("steering.test.ts");
  expect(dump?.memory.heapUsedBytes).toBeLessThan(dump?.memory.heapLimitBytes ?? 0);
  expect(dump?.eventLoop.utilization).toBeLessThanOrEqual(1);
  expect(Object.values(dump?.resources ?? {}).every((count) => count > 0)).toBe(true);
});

test("is switched to debug mode and back by an operator, and tells where what began to wait meanwhile waits", async () => {
  onTestFinished(() => setDebug(false)[Symbol.dispose]());
  const { app, pool, operator } = await steered();
  const waitsAt = (id: string): string | undefined => pool.dump().tasks.find((task) => task.id === id)?.waitsAt?.join();
  const says = async (on: boolean) => (await ask(operator, "debug", { on }, "all")).answers;
  await app.put(job, { n: 1 }, { id: "before" });
  await until(() => pool.dump().tasks[0]?.progress != null);
  expect(await says(true)).toMatchObject([{ value: { from: false, to: true } }]);
  expect(await says(true)).toMatchObject([{ value: { from: true, to: true } }]);
  await app.put(job, { n: 2 }, { id: "after" });
  await until(() => waitsAt("after")?.includes("steering.test.ts") === true);
  expect([pool.dump().debug, waitsAt("before")]).toEqual([true, undefined]);
  expect(await says(false)).toMatchObject([{ value: { from: true, to: false } }]);
  expect([pool.dump().debug, waitsAt("after")]).toEqual([false, undefined]);
});

test("tells handlers that ignore their signal among its tasks", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const never = Promise.withResolvers<void>();
  const pool = app.pool([defineHandler(job, { handle: () => never.promise })], { grace: 10 });
  const handle = await app.put(job, { n: 1 }, { id: "deaf" });
  await until(() => pool.running === 1);
  await handle.cancel();
  await until(() => pool.stuck.length === 1);
  const operator = await connected(redisUrl(), prefix);
  await until(async () => (await registeredPools(operator))[0]?.stuck === 1);
  expect((await registeredTasks(operator))[0]?.tasks).toMatchObject([{ id: "deaf", name: "work", queue: "work", attempt: 1, stuck: true }]);
});

test("profiles itself", async () => {
  const { operator } = await steered();
  let gzip = "";
  // Where others compute, an answer may take longer than a second.
  await until(async () => {
    const [answer] = (await ask(operator, "profile", { seconds: 0.2 }, "all", 10_000)).answers;
    gzip = answer !== undefined && "value" in answer ? answer.value.gzip : "";
    return gzip !== "";
  });
  expect(Object.keys(JSON.parse(gunzipSync(Buffer.from(gzip, "base64")).toString()) as object)).toContain("nodes");
});

test("sets the level of its log while it runs, where that is a pino", async () => {
  const lines: string[] = [];
  const prefix = freshPrefix();
  const app = connect({ redis: redisUrl(), prefix, log: createLog({ level: "warn", stream: { write: (line) => lines.push(line) } }) });
  onTestFinished(() => app[Symbol.asyncDispose]());
  const handler = defineHandler(job, { handle: async (_, task) => task.log.debug("seen") });
  const pool = app.pool([handler]);
  await pool.ready;
  const operator = await connected(redisUrl(), prefix);
  await until(async () => (await registeredPools(operator)).length === 1);
  await (await app.put(job, { n: 1 })).outcome();
  expect((await ask(operator, "log-level", { level: "debug" }, "all")).answers).toMatchObject([{ value: { from: "warn", to: "debug" } }]);
  await (await app.put(job, { n: 2 })).outcome();
  await until(() => lines.filter((line) => line.includes("seen")).length === 1);
  const other = await steered();
  expect((await ask(other.operator, "log-level", { level: "debug" }, "all")).answers).toMatchObject([{ error: { code: "STATE_INVALID", message: expect.stringContaining("pino") as string } }]);
});

test("pools of one process are told apart, and one that ends leaves the other", async () => {
  const { app, pool, operator } = await steered();
  const second = app.pool([gated().handler], { concurrency: 1 });
  await until(async () => (await registeredPools(operator)).length === 2);
  expect((await ask(operator, "quiet", {}, [{ id: second.id, name: "" }])).answers).toHaveLength(1);
  expect([pool.state, second.state]).toEqual(["ready", "quiet"]);
  await second.stop();
  expect((await registeredPools(operator)).map(({ id }) => id)).toEqual([pool.id]);
  expect((await ask(operator, "ping", {}, "all")).answers).toHaveLength(1);
});

/** Registers, answers, and works. */
async function expectSteered(redis: string, prefix: string): Promise<{ pool: Pool; operator: Connections }> {
  const app = testApp({ redis, prefix });
  const pool = app.pool([defineHandler(job, { handle: async () => {} })]);
  await pool.ready;
  const operator = await connected(redis, prefix);
  await expectAnswer(operator, pool);
  return { pool, operator };
}

async function expectAnswer(operator: Connections, pool: Pool): Promise<void> {
  const answers = async (): Promise<boolean> => (await ask(operator, "ping", {}, "all").catch(() => undefined))?.answers[0]?.pool.id === pool.id;
  await until(answers, 25_000);
}

test("works on a cluster, and after the fail-over of the node that serves it", { timeout: 60_000 }, async () => {
  const cluster = await startCluster();
  const { pool, operator } = await expectSteered(cluster.url, "mill");
  const primary = await cluster.primaryOf("{mill}");
  await primary.kill();
  await expectAnswer(operator, pool);
});

test("works behind Sentinels, and after a fail-over", { timeout: 60_000 }, async () => {
  const sentinels = await startSentinels();
  const { pool, operator } = await expectSteered(sentinels.url, "mill");
  await (await sentinels.primary()).kill();
  await expectAnswer(operator, pool);
});

test("works again with a Redis that was restarted and has forgotten everything", { timeout: 60_000 }, async () => {
  const redis = await startRedis({ appendonly: "no" });
  const { pool, operator } = await expectSteered(redis.url, "mill");
  await redis.kill();
  await redis.start();
  await expectAnswer(operator, pool);
});

test("a pool that may neither register nor listen works all the same, and ends", async () => {
  const { url, port } = await startRedis();
  const admin = testApp({ redis: url, prefix: "bull" });
  await redisClient(url).call("ACL", "SETUSER", "narrow", "on", ">secret", "~bull:work:*", "resetchannels", "+@all");
  const log = recordedLog();
  const app = testApp({ redis: `redis://narrow:secret@127.0.0.1:${port}`, prefix: "bull", log });
  const pool = app.pool([defineHandler(job, { handle: async () => {} })]);
  await until(() => log.lines.filter(({ message }) => /cannot (be steered|listen for operators|register)/.test(message)).length === 2);
  await admin.put(job, { n: 1 });
  await admin.queue(job).join();
  await pool.stop();
});
