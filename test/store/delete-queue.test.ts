import { expect, test } from "vitest";
import { deleteQueue } from "../../src/store/delete-queue.ts";
import { newJob, openQueue, putAll } from "./opened-queue.ts";

test("deletes step by step, ends with its signal, and goes on when asked again", async () => {
  const queue = await openQueue();
  await putAll(queue, Array.from({ length: 2500 }, (_, i) => newJob(`job-${i}`)));
  const stopped = AbortSignal.abort(new Error("enough"));
  await expect(deleteQueue(queue, { force: false, signal: stopped })).rejects.toThrow("enough");
  expect(await queue.client.llen(queue.keys.wait)).toBe(1500);
  await deleteQueue(queue, { force: false });
  expect(await queue.client.keys(`${queue.keys.base}*`)).toEqual([]);
});
