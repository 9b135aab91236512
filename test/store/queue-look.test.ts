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
