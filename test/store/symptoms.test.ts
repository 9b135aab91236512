import { expect, test } from "vitest";
import { readSymptoms } from "../../src/store/symptoms.ts";
import { consumerOf, newJob, openQueue, putAll } from "./opened-queue.ts";

test("a queue that nobody ever used, and one that works, have none", async () => {
  const none = { unleased: [], next: { looked: 0, late: 0 }, overdue: [], failed: { lately: 0, before: 0 }, due: { jobs: 0, since: undefined } };
  const queue = await openQueue();
  expect(await readSymptoms(queue)).toMatchObject(none);
  await putAll(queue, [newJob("a"), newJob("b", { deadlineMs: 60_000 }), newJob("c", { priority: 1, expireAtMs: Date.now() + 60_000 })]);
  await consumerOf(queue).reserver.take(1);
  expect(await readSymptoms(queue)).toMatchObject({ ...none, next: { looked: 2, late: 0 } });
});

test("delayed jobs that are due are counted, and since when; those that are not yet are none", async () => {
  const queue = await openQueue();
  const now = queue.connections.clock.now();
  await queue.client.zadd(queue.keys.delayed, (now + 60_000) * 0x1000, "later");
  expect((await readSymptoms(queue)).due).toEqual({ jobs: 0, since: undefined });
  await queue.client.zadd(queue.keys.delayed, (now - 5000) * 0x1000 + 7, "b", (now - 9000) * 0x1000 + 1, "a");
  expect((await readSymptoms(queue)).due).toEqual({ jobs: 2, since: now - 9000 });
});

test("failures are counted apart: lately, and in the hour before; those that were cancelled are left out", async () => {
  const queue = await openQueue();
  const { client, keys, connections } = queue;
  const now = connections.clock.now();
  const fail = async (id: string, agoMs: number, reason: string): Promise<void> => {
    await client.zadd(keys.failed, now - agoMs, id);
    await client.hset(keys.base + id, "failedReason", reason);
  };
  for (const [id, agoMs, reason] of [["a", 60_000, "no"], ["b", 120_000, "cancelled: asked"], ["c", 1_200_000, "no"], ["d", 1_300_000, "no"], ["e", 90 * 60_000, "no"]] as const) await fail(id, agoMs, reason);
  expect((await readSymptoms(queue)).failed).toEqual({ lately: 1, before: 2 });
});
