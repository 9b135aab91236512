import { expect, onTestFinished, test } from "vitest";
import { BackendError, OptionError } from "../../src/errors.ts";
import { defineQueue } from "../../src/job/contract.ts";
import type { OpenQueue } from "../../src/queue/open-queue.ts";
import { OpenQueues } from "../../src/queue/open-queues.ts";
import { Connections } from "../../src/redis/connection.ts";
import { recordedLog } from "../support/app.ts";
import { failure, takes } from "../support/outcome.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

function openQueues(): OpenQueues {
  const connections = new Connections(redisUrl());
  onTestFinished(() => connections.close());
  return new OpenQueues(connections, freshPrefix(), recordedLog(), () => connections.open(), { replicas: 1, timeoutMs: 1000 });
}

test("all users of a queue share one, whichever contract they come by", () => {
  const queues = openQueues();
  const queue = queues.open(defineQueue("work"));
  expect(queues.open(defineQueue("work")) === queue).toBe(true);
  expect(queues.open(defineQueue("other")) === queue).toBe(false);
  expect(queue.name).toBe("work");
});

test("a queue has one bound; another is refused, and changes nothing", () => {
  const queues = openQueues();
  const bounded = queues.open(defineQueue("work", { maxSize: 5 }));
  expect(() => queues.open(defineQueue("work"))).toThrow(OptionError);
  expect(() => queues.open(defineQueue("work", { maxSize: 6 }))).toThrow(/work.*5 and 6/);
  expect(queues.open(defineQueue("work", { maxSize: 5 })) === bounded).toBe(true);
});

test("closing disposes whoever consumes by hand, and ends every wait for a result", async () => {
  const queues = openQueues();
  const [queue] = queues.open(defineQueue("work")).all as [OpenQueue];
  await queue.ready();
  const closed: string[] = [];
  for (const name of ["one", "two"]) queue.consumers.add({ [Symbol.asyncDispose]: async () => void closed.push(name) });
  const wait = failure(queue.watcher.ending("never put, but not looked at yet", undefined));
  expect(queue.closed).toBe(false);
  await queues.close();
  expect(closed).toEqual(["one", "two"]);
  expect(queue.closed).toBe(true);
  expect((await wait).error).toBeInstanceOf(BackendError);
});

test("closing waits for nobody for ever, and not for one who fails", async () => {
  const queues = openQueues();
  const [{ consumers }] = queues.open(defineQueue("work")).all as [OpenQueue];
  consumers.add({ [Symbol.asyncDispose]: () => Promise.reject(new Error("no Redis")) });
  await queues.close();
  consumers.add({ [Symbol.asyncDispose]: () => new Promise(() => {}) });
  const tookMs = await takes(queues.close());
  expect(tookMs).toBeGreaterThan(900);
  expect(tookMs).toBeLessThan(2500);
});
