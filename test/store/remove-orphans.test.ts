import { expect, test } from "vitest";
import { beginMove, park } from "../../src/store/parked.ts";
import { removeOrphans } from "../../src/store/remove-orphans.ts";
import type { StoredQueue } from "../../src/store/stored-queue.ts";
import { consumerOf, newJob, openQueue, placesOf, putAll } from "./opened-queue.ts";

async function lost(queue: StoredQueue, id: string): Promise<void> {
  await putAll(queue, [newJob(id)]);
  await queue.client.lrem(queue.keys.wait, 1, id);
}

test("removes a job in no state and what is left of one that is gone, and says of which there was something", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  await lost(queue, "lost");
  await client.hset(`${keys.base}lost`, "deid", "d");
  await client.set(`${keys.base}de:d`, "lost");
  for (const id of ["lost", "gone"]) await client.rpush(`${keys.base}${id}:logs`, "line");
  await client.sadd(`${keys.base}gone:dependencies`, "x");
  await client.set(`${keys.base}gone:lock`, "t");
  expect(await removeOrphans(queue, ["lost", "gone", "never"], true)).toEqual(new Set(["lost", "gone"]));
  expect(await client.exists(`${keys.base}lost`, `${keys.base}gone:logs`)).toBe(2);
  expect(await removeOrphans(queue, ["lost", "gone", "never"], false)).toEqual(new Set(["lost", "gone"]));
  expect((await client.keys(`${keys.base}*`)).filter((key) => /lost|gone|:de:/.test(key))).toEqual([]);
  expect(await removeOrphans(queue, ["lost", "gone"], false)).toEqual(new Set());
});

test("leaves what is in a state, runs, is on its way to another queue, or is held by who knows of it", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  await putAll(queue, [newJob("runs"), newJob("parked"), newJob("waits"), newJob("late", { delayMs: 60_000 })]);
  await consumerOf(queue).reserver.take(1);
  await beginMove(queue, { id: "m", to: "there" });
  await park(queue, "m", "waiting", 0, { jobs: 1, bytes: 1e6 });
  await lost(queue, "held");
  await client.set(`${keys.base}held:lock`, "t", "PX", 60_000);
  expect(await removeOrphans(queue, ["runs", "parked", "waits", "late", "held"], false)).toEqual(new Set());
  expect(await Promise.all(["runs", "waits", "late"].map((id) => placesOf(queue, id)))).toEqual([["active"], ["wait"], ["delayed"]]);
  expect(await client.exists(`${keys.base}parked`, `${keys.base}held`)).toBe(2);
});

test("what the queue has of its own under such a name is no job", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  await putAll(queue, [newJob("waits")]);
  await client.hset(keys.metricsCompleted, "count", 1);
  await client.rpush(`${keys.base}gone:logs`, "line");
  expect(await removeOrphans(queue, ["meta", "metrics:completed", "gone:logs"], true)).toEqual(new Set());
  expect(await removeOrphans(queue, ["meta", "metrics:completed", "gone:logs"], false)).toEqual(new Set());
  expect(await client.exists(keys.meta, keys.metricsCompleted, `${keys.base}gone:logs`)).toBe(3);
});

test("of a flow, the parent no longer waits for a child that is removed", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  await lost(queue, "child");
  await putAll(queue, [newJob("parent")]);
  await client.lrem(keys.wait, 1, "parent");
  await client.zadd(keys.waitingChildren, 1, "parent");
  await client.hset(`${keys.base}child`, "parentKey", `${keys.base}parent`, "parent", JSON.stringify({ id: "parent", queueKey: keys.base.slice(0, -1) }));
  await client.sadd(`${keys.base}parent:dependencies`, `${keys.base}child`);
  expect(await removeOrphans(queue, ["child"], false)).toEqual(new Set(["child"]));
  expect(await client.exists(`${keys.base}child`, `${keys.base}parent:dependencies`)).toBe(0);
  expect(await placesOf(queue, "parent")).toEqual(["wait"]);
});
