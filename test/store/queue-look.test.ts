import { expect, test } from "vitest";
import { lookAtQueue } from "../../src/store/queue-look.ts";
import { newJob, openQueue, putAll } from "./opened-queue.ts";

test("the oldest is told of a paused queue, and of one that older BullMQ paused by moving its jobs, too", async () => {
  const queue = await openQueue();
  expect(await lookAtQueue(queue, 1000)).toEqual({ oldestPutAt: undefined, failedSince: 0 });
  await putAll(queue, [newJob("first"), newJob("second")]);
  const putAt = Number(await queue.client.hget(`${queue.keys.base}first`, "timestamp"));
  expect(await lookAtQueue(queue, 1000)).toEqual({ oldestPutAt: putAt, failedSince: 0 });
  await queue.client.rename(queue.keys.wait, queue.keys.paused);
  expect(await lookAtQueue(queue, 1000)).toEqual({ oldestPutAt: putAt, failedSince: 0 });
});

test("of jobs with a priority the next one counts, and jobs that failed since then are counted", async () => {
  const queue = await openQueue();
  const { client, keys, connections } = queue;
  await putAll(queue, [newJob("later", { priority: 9 }), newJob("next", { priority: 1 })]);
  await client.hset(`${keys.base}next`, "timestamp", 4000);
  await client.hset(`${keys.base}later`, "timestamp", 3000);
  const now = connections.clock.now();
  await client.zadd(keys.failed, now - 500, "lately", now - 60_000, "before");
  expect(await lookAtQueue(queue, 10_000)).toEqual({ oldestPutAt: 4000, failedSince: 1 });
});
