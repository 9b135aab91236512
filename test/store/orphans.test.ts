import { expect, test } from "vitest";
import { findOrphans } from "../../src/store/orphans.ts";
import { newJob, openQueue, putAll } from "./opened-queue.ts";

test("of thousands that wait, those in no state are found, and no more are told of than a hundred", async () => {
  const queue = await openQueue();
  await putAll(queue, Array.from({ length: 12_000 }, (_, n) => newJob(`job-${n}`)));
  expect((await findOrphans(queue, Infinity)).ids).toEqual([]);
  await queue.client.lrem(queue.keys.wait, 1, "job-7");
  await queue.client.hset(`${queue.keys.base}lost`, "name", "n");
  expect(await findOrphans(queue, Infinity)).toMatchObject({ looked: 12_001, ids: expect.toSatisfy((ids: string[]) => ids.toSorted().join() === "job-7,lost") as string[] });
  for (let n = 0; n < 150; n += 1) await queue.client.hset(`${queue.keys.base}lost-${n}`, "name", "n");
  expect((await findOrphans(queue, Infinity)).ids).toHaveLength(100);
});

test("a sample ends when enough were looked at", async () => {
  const queue = await openQueue();
  await putAll(queue, Array.from({ length: 5000 }, (_, n) => newJob(`job-${n}`)));
  const { looked, ids } = await findOrphans(queue, 500);
  expect(looked).toBeGreaterThanOrEqual(500);
  expect(looked).toBeLessThan(5000);
  expect(ids).toEqual([]);
});

test("settings, schedules and what belongs to a job are no orphans", async () => {
  const queue = await openQueue();
  for (const key of ["meta", "repeat:nightly", "a:processed", "millrace:history:10000:1", "metrics:completed"]) await queue.client.hset(queue.keys.base + key, "name", "n");
  expect(await findOrphans(queue, Infinity)).toEqual({ looked: 0, ids: [] });
  await queue.client.hset(`${queue.keys.base}repeat:nightly:1700000000000`, "name", "n");
  expect((await findOrphans(queue, Infinity)).ids).toEqual(["repeat:nightly:1700000000000"]);
});

test("ends when it is told to", async () => {
  const queue = await openQueue();
  await expect(findOrphans(queue, Infinity, AbortSignal.abort(new Error("told to")))).rejects.toThrow("told to");
});
