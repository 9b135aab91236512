import { expect, onTestFinished, test } from "vitest";
import { BackendError } from "../../src/errors.ts";
import { Connections } from "../../src/redis/connection.ts";
import type { Listener } from "../../src/redis/subscriber.ts";
import { until } from "../support/app.ts";
import { freshPrefix, redisClient, redisUrl, startRedis } from "../support/redis.ts";

async function setUp(url = redisUrl()) {
  const connections = new Connections(url, {});
  onTestFinished(() => connections.close());
  await connections.open();
  const prefix = freshPrefix();
  return { subscriber: connections.subscriber, connections, redis: redisClient(url), channel: (name: string) => `${prefix}:${name}` };
}

function recorder() {
  const texts: string[] = [];
  const seen = { begun: 0, texts };
  const listener: Listener = { message: (text) => void texts.push(text), listening: () => void (seen.begun += 1) };
  return { seen, listener };
}

const ours = async (redis: ReturnType<typeof redisClient>) => ((await redis.client("LIST")) as string).split("\n").filter((line) => line.includes("name=millrace:messages"));

test("listens to many channels on one connection, each by itself", async () => {
  const { url } = await startRedis();
  const { subscriber, redis, channel } = await setUp(url);
  const [a, b] = [recorder(), recorder()];
  subscriber.listen(channel("a"), a.listener);
  subscriber.listen(channel("b"), b.listener);
  await until(() => a.seen.begun + b.seen.begun === 2);
  for (const text of ["1", "2"]) await redis.publish(channel("a"), text);
  await redis.publish(channel("b"), "3");
  await until(() => b.seen.texts.length === 1);
  expect([a.seen.texts, b.seen.texts]).toEqual([["1", "2"], ["3"]]);
  expect(await ours(redis)).toHaveLength(1);
});

test("who comes later to a channel is told that it is listened to, and who leaves hears nothing more", async () => {
  const { subscriber, redis, channel } = await setUp();
  const [one, two] = [recorder(), recorder()];
  const stop = subscriber.listen(channel("a"), one.listener);
  await until(() => one.seen.begun === 1);
  expect(subscriber.hears(channel("a"))).toBe(true);
  subscriber.listen(channel("a"), two.listener);
  await until(() => two.seen.begun === 1);
  stop();
  await redis.publish(channel("a"), "1");
  await until(() => two.seen.texts.length === 1);
  expect(one.seen).toEqual({ begun: 1, texts: [] });
});

test("tells when it listens again after its connection was lost, and hears", async () => {
  const { url } = await startRedis();
  const { subscriber, redis, channel } = await setUp(url);
  const { seen, listener } = recorder();
  subscriber.listen(channel("a"), listener);
  await until(() => seen.begun === 1);
  await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
  await until(() => seen.begun === 2);
  await redis.publish(channel("a"), "again");
  await until(() => seen.texts.length === 1);
});

test("has no connection when nobody listens, and a new one when somebody does", async () => {
  const { url } = await startRedis();
  const { subscriber, redis, channel } = await setUp(url);
  const { seen, listener } = recorder();
  const stop = subscriber.listen(channel("a"), listener);
  await until(() => seen.begun === 1);
  stop();
  stop();
  await until(async () => (await ours(redis)).length === 0);
  subscriber.listen(channel("a"), listener);
  await until(() => seen.begun === 2);
});

test("listens to nothing once the connections are closed", async () => {
  const { subscriber, connections, channel } = await setUp();
  const stop = subscriber.listen(channel("a"), recorder().listener);
  await connections.close();
  stop();
  expect(() => subscriber.listen(channel("b"), recorder().listener)).toThrow(BackendError);
});
