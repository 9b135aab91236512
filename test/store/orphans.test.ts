import { expect, test } from "vitest";
import { findOrphans, sampleJobs } from "../../src/store/orphans.ts";
import { freshPrefix, startRedis } from "../support/redis.ts";
import { newJob, openQueue, putAll } from "./opened-queue.ts";

const jobs = (...ids: string[]) => ids.map((id) => ({ id, part: undefined }));

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
  expect(samples.get("small")?.toSorted((one, other) => one.id.localeCompare(other.id))).toEqual(jobs("a", "b"));
  expect(samples.get("empty")).toEqual([]);
  expect(await findOrphans(large, samples.get("work")!)).toEqual({ looked: 1000, ids: [], parts: [] });
  await beside.client.lrem(beside.keys.wait, 1, "b");
  expect(await findOrphans(beside, jobs("a", "b"))).toEqual({ looked: 2, ids: ["b"], parts: [] });
  await expect(sampleJobs(large.client, large.prefix, ["work"], AbortSignal.abort(new Error("told to")))).rejects.toThrow("told to");
});

test("settings, schedules and what belongs to a job are no orphans", async () => {
  const queue = await openQueue();
  await putAll(queue, [newJob("a")]);
  for (const key of ["meta", "repeat:nightly", "repeat:failed", "a:processed", "millrace:history:10000:1", "metrics:completed", "metrics:failed"]) await queue.client.hset(queue.keys.base + key, "name", "n");
  for (const key of ["id", "pc", "limiter", "de:failed", "somebodys-own"]) await queue.client.set(queue.keys.base + key, "1");
  expect(await findOrphans(queue, "all")).toEqual({ looked: 2, ids: [], parts: [] });
  await queue.client.hset(`${queue.keys.base}repeat:nightly:1700000000000`, "name", "n");
  expect((await findOrphans(queue, "all")).ids).toEqual(["repeat:nightly:1700000000000"]);
});

const PARTS = { logs: "rpush", dependencies: "sadd", processed: "hset", failed: "hset", unsuccessful: "zadd", lock: "set" } as const;

test.each(Object.entries(PARTS))("what is left of a job that is gone is found by a sample and by a look at all: %s", async (part, command) => {
  const { url } = await startRedis();
  const queue = await openQueue({ url });
  await putAll(queue, [newJob("kept")]);
  for (const id of ["kept", "gone", "repeat:nightly:1700000000000"]) await queue.client.call(command, `${queue.keys.base}${id}:${part}`, ...(["hset", "zadd"].includes(command) ? ["1", "1"] : ["1"]));
  const found = { ids: [], parts: expect.toSatisfy((parts: string[]) => parts.toSorted().join() === `gone:${part},repeat:nightly:1700000000000:${part}`) as string[] };
  expect(await findOrphans(queue, "all")).toMatchObject(found);
  expect(await findOrphans(queue, (await sampleJobs(queue.client, queue.prefix, ["work"])).get("work")!)).toMatchObject(found);
  await queue.client.hset(`${queue.keys.base}gone`, "name", "n");
  expect((await findOrphans(queue, "all")).parts).toEqual([`repeat:nightly:1700000000000:${part}`]);
});

test("a lock that runs out is left to that, what is gone by then is not told of, and no more than a hundred keys are", async () => {
  const queue = await openQueue();
  await queue.client.set(`${queue.keys.base}gone:lock`, "t", "PX", 60_000);
  expect(await findOrphans(queue, [{ id: "gone", part: "lock" }, { id: "gone", part: "logs" }])).toEqual({ looked: 0, ids: [], parts: [] });
  for (let n = 0; n < 150; n += 1) await queue.client.rpush(`${queue.keys.base}gone-${n}:logs`, "line");
  expect((await findOrphans(queue, "all")).parts).toHaveLength(100);
});

test("a job that is written after its part was met, and before it is looked for, is no orphan", async () => {
  const { url } = await startRedis();
  const queue = await openQueue({ url });
  await queue.client.rpush(`${queue.keys.base}late:logs`, "line");
  const sampled = (await sampleJobs(queue.client, queue.prefix, ["work"])).get("work")!;
  expect(sampled).toEqual([{ id: "late", part: "logs" }]);
  await putAll(queue, [newJob("late")]);
  expect(await findOrphans(queue, sampled)).toEqual({ looked: 0, ids: [], parts: [] });
});

test("ends when it is told to", async () => {
  const queue = await openQueue();
  await expect(findOrphans(queue, "all", AbortSignal.abort(new Error("told to")))).rejects.toThrow("told to");
});
