import { expect, test } from "vitest";
import { retryEnded } from "../../src/store/retry.ts";
import { failJobs, stockFlows, stockQueue } from "../interop/stock.ts";
import { eventsOf, newJob, openQueue, placesOf, putAll, waitingIds } from "./opened-queue.ts";

test("failed jobs wait again with nothing of what ended them, by priority where they have one, and stock tools hear of it", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  await putAll(queue, [newJob("a"), newJob("b", { priority: 2 }), newJob("c")]);
  for (const id of ["a", "b"]) {
    await client.hset(keys.base + id, { atm: 3, ats: 4, stc: 2, mu: 1, mc: "why", defa: "x", failedReason: "no", finishedOn: 5, processedOn: 4, stacktrace: '["s"]' });
    await client.zadd(keys.failed, 5, id);
  }
  await client.del(keys.wait, keys.prioritized, keys.marker);
  expect([...(await retryEnded(queue, "failed", ["a", "b", "c", "d"]))]).toEqual(["a", "b"]);
  expect(await waitingIds(queue)).toEqual(["a", "b"]);
  expect([await placesOf(queue, "a"), await placesOf(queue, "b")]).toEqual([["wait"], ["prioritized"]]);
  expect(await client.hkeys(`${keys.base}a`)).toEqual(["name", "data", "opts", "timestamp", "delay", "priority", "ats", "stacktrace"]);
  expect((await eventsOf(queue)).slice(-2)).toEqual(["waiting a", "waiting b"]);
  expect(await client.zrange(keys.marker, "0", "-1")).toEqual(["0"]);
});

test("of a paused queue nobody is woken", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  await putAll(queue, [newJob("a")]);
  await client.multi().zadd(keys.completed, 1, "a").del(keys.wait, keys.marker).hset(keys.meta, "paused", 1).exec();
  expect((await retryEnded(queue, "completed", ["a"])).size).toBe(1);
  expect(await client.exists(keys.marker)).toBe(0);
});

test("a failed child is waited for by its parent again, as BullMQ has it", async () => {
  const queue = await openQueue();
  const flow = await stockFlows(queue.prefix).add({ name: "parent", queueName: "parents", children: [{ name: "child", queueName: "work", opts: { ignoreDependencyOnFailure: true } }] });
  const id = flow.children![0]!.job.id!;
  await failJobs(stockQueue(queue.prefix), queue.prefix, [{ name: "other" }], () => Promise.reject(new Error("no")));
  expect([...(await retryEnded(queue, "failed", [id, "gone"]))]).toEqual([id]);
  expect(await placesOf(queue, id)).toEqual(["wait"]);
  expect(await queue.client.smembers(`${queue.prefix}:parents:${flow.job.id}:dependencies`)).toEqual([`${queue.keys.base}${id}`]);
});
