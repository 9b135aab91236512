import { expect, test } from "vitest";
import { findOrphans, sampleJobs } from "../../src/store/orphans.ts";
import { freshPrefix, startRedis } from "../support/redis.ts";
import { newJob, openQueue, putAll } from "./opened-queue.ts";

test("of thousands that wait, those in no state are found, and no more are told of than a hundred", async () => {
  const queue = await openQueue();
  await putAll(queue, Array.from({ length: 12_000 }, (_, n) => newJob(`job-${n}`)));
  expect((await findOrphans(queue, "all")).ids).toEqual([]);
  await queue.client.lrem(queue.keys.wait, 1, "job-7");
  await queue.client.hset(`${queue.keys.base}lost`, "name", "n");
  expect(await findOrphans(queue, "all")).toMatchObject({ looked: 12_001, ids: expect.toSatisfy((ids: string[]) => ids.toSorted().join() === "job-7,lost") as string[] });
  for (let n = 0; n < 150; n += 1) await queue.client.hset(`${queue.keys.base}lost-${n}`, "name", "n");
  expect((await findOrphans(queue, "all")).ids).toHaveLength(100);
});

test("one walk samples every queue of a prefix: of a large one a part, of a small one all, of none that has no jobs", async () => {
  // The walk ends after so many keys, whosesoever they are.
  const { url } = await startRedis();
  const [large, small] = [await openQueue({ url }), await openQueue({ url, prefix: freshPrefix() })];
  const beside = await openQueue({ url, prefix: large.prefix, name: "small" });
  await putAll(large, Array.from({ length: 5000 }, (_, n) => newJob(`job-${n}`)));
  await putAll(beside, [newJob("a"), newJob("b")]);
  await putAll(small, [newJob("elsewhere")]);
  const samples = await sampleJobs(large.client, large.prefix, ["work", "small", "empty"]);
  expect([...samples.keys()]).toEqual(["work", "small", "empty"]);
  expect(samples.get("work")).toHaveLength(1000);
  expect(samples.get("small")?.toSorted()).toEqual(["a", "b"]);
  expect(samples.get("empty")).toEqual([]);
  expect(await findOrphans(large, samples.get("work")!)).toEqual({ looked: 1000, ids: [] });
  await beside.client.lrem(beside.keys.wait, 1, "b");
  expect(await findOrphans(beside, ["a", "b"])).toEqual({ looked: 2, ids: ["b"] });
  await expect(sampleJobs(large.client, large.prefix, ["work"], AbortSignal.abort(new Error("told to")))).rejects.toThrow("told to");
});

test("settings, schedules and what belongs to a job are no orphans", async () => {
  const queue = await openQueue();
  for (const key of ["meta", "repeat:nightly", "a:processed", "millrace:history:10000:1", "metrics:completed"]) await queue.client.hset(queue.keys.base + key, "name", "n");
  expect(await findOrphans(queue, "all")).toEqual({ looked: 0, ids: [] });
  await queue.client.hset(`${queue.keys.base}repeat:nightly:1700000000000`, "name", "n");
  expect((await findOrphans(queue, "all")).ids).toEqual(["repeat:nightly:1700000000000"]);
});

test("ends when it is told to", async () => {
  const queue = await openQueue();
  await expect(findOrphans(queue, "all", AbortSignal.abort(new Error("told to")))).rejects.toThrow("told to");
});
