import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { BackendError } from "../../src/errors.ts";
import { defineJob, type Delivery, type Job } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { failure, takes } from "../support/outcome.ts";
import { freshPrefix, startRedis } from "../support/redis.ts";

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
  return { server, redis, events, app, queue, put, delivery, result, readers };
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
