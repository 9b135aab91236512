import { Queue as StockQueue } from "bullmq";
import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { BackendError, JobRemovedError } from "../../src/errors.ts";
import { defineHandler, defineJob, typed, type Delivery, type Job } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { failure, takes } from "../support/outcome.ts";
import { freshPrefix, redisClient, startRedis } from "../support/redis.ts";
import { startProxy } from "../support/tcp-proxy.ts";
import { doomedWorker } from "./doomed.ts";

const job = defineJob("job", { queue: "results", payload: z.int(), result: z.int() });
type OpenJob = typeof job extends Job<infer T> ? Delivery<T> : never;

/** A job that is put, waited for and in our hands, on a server of its own. @param lastEvent  the id of an event before the wait */
async function awaited(lastEvent = "*") {
  const server = await startRedis();
  const redis = new Redis(server.url, { maxRetriesPerRequest: null });
  onTestFinished(() => redis.disconnect());
  const prefix = freshPrefix();
  const events = `${prefix}:results:events`;
  const app = testApp({ redis: server.url, prefix });
  const queue = app.queue(job);
  const put = await queue.put(1);
  const deliveries = queue.deliveries()[Symbol.asyncIterator]();
  const delivery = (await deliveries.next()).value as OpenJob;
  /** The connections that read events, by id. */
  const readers = async (): Promise<string[]> => {
    const list = (await redis.client("LIST")) as string;
    return list.split("\n").filter((line) => line.includes(" name=results:results ") && line.includes(" cmd=xread ")).map((line) => /^id=(\d+)/.exec(line)![1]!);
  };
  await redis.xadd(events, lastEvent, "event", "noise");
  const result = put.result();
  result.catch(() => {});
  await until(async () => (await readers()).length === 1);
  /** A stock Queue beside ours. */
  const stockBeside = (): StockQueue => {
    const stock = new StockQueue("results", { connection: { url: server.url, maxRetriesPerRequest: null }, prefix });
    onTestFinished(() => stock.close());
    return stock;
  };
  return { server, redis, events, app, queue, put, delivery, result, readers, stockBeside };
}

test("an event wakes whoever waits", async () => {
  const { delivery, result } = await awaited();
  await delivery.ack(7);
  // Sooner than a look every second would.
  expect(await takes(result)).toBeLessThan(300);
  expect(await result).toBe(7);
});

test("one connection serves all who wait, and whoever waits later", async () => {
  const { queue, put, delivery, result, readers } = await awaited();
  const [reader] = await readers();
  const more = await Promise.all([1, 2, 3].map((n) => queue.put(n)));
  const results = [put.result(), ...more.map(({ id }) => queue.job(id).outcome({ timeout: 300 }).catch(() => "late"))];
  expect(await readers()).toEqual([reader]);
  await delivery.ack(1);
  expect(await Promise.all([result, ...results])).toEqual([1, 1, "late", "late", "late"]);
  const later = failure(more[0]!.result({ timeout: 1000 }));
  await until(async () => (await readers()).length === 1);
  expect(await readers()).toEqual([reader]);
  await later;
});

test("the result comes within 1.5 s when the connection for events is killed", async () => {
  const { redis, delivery, result, readers } = await awaited();
  const [reader] = await readers();
  expect(await redis.client("KILL", "ID", reader!)).toBe(1);
  await delivery.ack(8);
  expect(await takes(result)).toBeLessThan(1500);
  expect(await result).toBe(8);
});

test("a result whose event never came is found by a look", async () => {
  // The reader waits for what follows an event of the far future, which nothing does: as after a restore of Redis.
  const { redis, events, delivery, result } = await awaited("9999999999999-0");
  await redis.del(events);
  await delivery.ack(9);
  expect(await redis.xlen(events)).toBeGreaterThan(0);
  expect(await takes(result)).toBeLessThan(1500);
  expect(await result).toBe(9);
});

test("an outage of Redis prolongs a wait, and the result comes after it", async () => {
  const { server, delivery, result } = await awaited();
  let ended = false;
  void result.then(() => (ended = true));
  await server.kill();
  const acked = delivery.ack(10);
  expect(ended).toBe(false);
  await server.start();
  await acked;
  expect(await result).toBe(10);
});

test("ends every wait with the app", async () => {
  const { app, result } = await awaited();
  await app[Symbol.asyncDispose]();
  const { error, tookMs } = await failure(result);
  expect(error).toBeInstanceOf(BackendError);
  expect(tookMs).toBeLessThan(100);
  expect((await failure(app.queue(job).job("later").result())).error).toBeInstanceOf(BackendError);
});

test("the result comes within a second while the connection for events gets nowhere", async () => {
  const { redis, delivery, result, readers } = await awaited();
  const enough = new AbortController();
  const killed = (async () => {
    while (!enough.signal.aborted) {
      for (const reader of await readers()) await redis.client("KILL", "ID", reader);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  })();
  await delivery.ack(11);
  expect(await takes(result)).toBeLessThan(1500); // 750 ms, and a busy machine
  enough.abort();
  await killed;
  expect(await result).toBe(11);
});

test("a connection that has gone silent prolongs a wait, and the result comes when another has taken its place", async () => {
  const server = await startRedis();
  await using proxy = await startProxy(server.port);
  const prefix = freshPrefix();
  const [waits, works] = [testApp({ redis: `redis://127.0.0.1:${proxy.port}`, prefix }), testApp({ redis: server.url, prefix })];
  const put = await waits.put(job, 1);
  const result = put.result();
  const delivery = (await works.queue(job).deliveries()[Symbol.asyncIterator]().next()).value as OpenJob;
  await until(async () => ((await redisClient(server.url).client("LIST")) as string).includes("cmd=xread"));
  proxy.silence();
  await delivery.ack(12);
  expect(await takes(result)).toBeLessThan(20_000);
  expect(await result).toBe(12);
}, 40_000);

test("what is removed while it is waited for ends as removed, whatever it was doing", async () => {
  const { redis, app, queue, put, result, stockBeside } = await awaited();
  const [waiting, delayed] = [await queue.put(2), await queue.put(3, { delay: "1h" })];
  const outcomes = [put, waiting, delayed].map(({ id }) => app.queue(job).job(id).outcome({ timeout: "20s" }));
  await queue.counts();
  const stock = stockBeside();
  await redis.del(`${stock.toKey("")}${put.id}:lock`);
  const tookMs = await takes(Promise.all([...[put, waiting, delayed].map(({ id }) => stock.remove(id)), ...outcomes]));
  expect((await Promise.all(outcomes)).map(({ state }) => state)).toEqual(["removed", "removed", "removed"]);
  expect(tookMs).toBeLessThan(1500);
  expect((await failure(result)).error).toBeInstanceOf(JobRemovedError);
});

test("what an emptied queue held is unknown, and a join of it ends", async () => {
  const { queue, put, result, stockBeside } = await awaited();
  const outcomes = [put, await queue.put(2)].map(({ id }) => queue.job(id).outcome({ timeout: "20s" }));
  const joined = queue.join({ timeout: "20s" });
  await queue.counts();
  const stock = stockBeside();
  await stock.pause();
  await stock.obliterate({ force: true });
  const tookMs = await takes(Promise.all([joined, ...outcomes]));
  expect((await Promise.all(outcomes)).map(({ state }) => state)).toEqual(["unknown", "unknown"]);
  expect(tookMs).toBeLessThan(1500);
  expect((await failure(result)).error).toBeInstanceOf(JobRemovedError);
});

test("a job whose end was not kept and whose event was trimmed is unknown, and never done", async () => {
  const { queue, redis, events, stockBeside } = await awaited();
  const forgotten = await queue.put(2);
  await stockBeside().remove(forgotten.id);
  await redis.xtrim(events, "MAXLEN", 0);
  expect(await forgotten.outcome({ timeout: "10s" })).toEqual({ state: "unknown" });
});

test("the result of a job whose worker is killed comes within a second of its second run", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const work = defineJob("work", { payload: typed<{ n: number }>(), result: z.number(), backoff: { type: "fixed", base: 0 } });
  const doomed = doomedWorker(prefix, { LEASE: "2s" });
  const put = await app.put(work, { n: 1 });
  const result = put.result({ timeout: "40s" });
  await until(() => doomed.runs.length === 1);
  await doomed.kill();
  let endedAt = 0;
  app.pool([defineHandler(work, { handle: async () => (endedAt = performance.now()) })], { lease: "2s" });
  expect(await result).toBeGreaterThan(0);
  expect(performance.now() - endedAt).toBeLessThan(1500);
}, 60_000);
