import { expect, test } from "vitest";
import { event } from "../support/outcome.ts";
import { freshPrefix, redisUrl, startRedis } from "../support/redis.ts";
import { Connections } from "../../src/redis/connection.ts";
import { storedQueue } from "../../src/store/stored-queue.ts";
import { openQueue } from "./opened-queue.ts";

test("the client of a queue is there once the connections are open, not before and not after", async () => {
  const connections = new Connections(redisUrl());
  const queue = storedQueue(connections, freshPrefix(), "q");
  expect(() => queue.client).toThrow(/not open/);
  await connections.open();
  expect(await queue.client.ping()).toBe("PONG");
  await connections.close();
  expect(() => queue.client).toThrow(/closed/);
});

test("BullMQ's operations are opened once, on the same keys, without a connection of their own", async () => {
  const server = await startRedis();
  const queue = await openQueue({ url: server.url });
  const clients = async (): Promise<number> => Number((await queue.client.info("clients")).match(/connected_clients:(\d+)/)![1]);
  const before = await clients();
  const [one, other] = await Promise.all([queue.stock(), queue.stock()]);
  expect(one).toBe(other);
  expect(one.keys["wait"]).toBe(queue.keys.wait);
  expect(await clients()).toBe(before);
});

test("BullMQ's operations that are asked for during an outage are there when it is over", async () => {
  const server = await startRedis();
  const queue = await openQueue({ url: server.url });
  await server.kill();
  while (queue.client.status === "ready") await event(queue.client, "close");
  const opening = queue.stock();
  await server.start();
  expect(await (await opening).getState("nobody")).toBe("unknown");
});
