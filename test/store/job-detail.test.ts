import { expect, test } from "vitest";
import { lastStacks, readJobDetail, readJobDetails, readLogs } from "../../src/store/job-detail.ts";
import { stockFlows } from "../interop/stock.ts";
import { consumerOf, newJob, openQueue, putAll } from "./opened-queue.ts";

test("tells of a delivery who holds it and for how long, and nothing of what is not there", async () => {
  const queue = await openQueue();
  await putAll(queue, [newJob("a", { data: '{"to":1}' })]);
  expect(await readJobDetail(queue, "a")).toMatchObject({ state: "waiting", worker: undefined, leaseMs: undefined, result: undefined, stored: { data: '{"to":1}' } });
  const { reserver } = consumerOf(queue);
  await reserver.take(1);
  const held = await readJobDetail(queue, "a");
  expect(held).toMatchObject({ state: "active", worker: "tester" });
  expect(held!.leaseMs).toBeGreaterThan(5000);
  expect(await readJobDetail(queue, "b")).toBeUndefined();
});

test("tells of many at once, in order, what is there", async () => {
  const queue = await openQueue();
  await putAll(queue, [newJob("a"), newJob("later", { delayMs: 60_000 })]);
  await queue.client.rpush(`${queue.keys.base}a:logs`, "one", "two");
  const [later, none, a] = await readJobDetails(queue, ["later", "none", "a"]);
  expect(later).toMatchObject({ state: "delayed", stored: { id: "later" }, logLines: 0 });
  expect(later!.dueAt! - later!.stored.putAt).toBeGreaterThanOrEqual(60_000);
  expect(none).toBeUndefined();
  expect(a).toMatchObject({ state: "waiting", stored: { id: "a" }, logLines: 2, dueAt: undefined });
});

test("tells the last stack of each of many, and undefined of what has none", async () => {
  const queue = await openQueue();
  const ids = Array.from({ length: 250 }, (_, i) => `job-${i}`);
  for (const id of ids.slice(0, -2)) await queue.client.hset(queue.keys.base + id, "stacktrace", JSON.stringify(["first", `last of ${id}`]));
  await queue.client.hset(`${queue.keys.base}job-248`, "name", "without");
  expect(await lastStacks(queue, ids)).toEqual([...ids.slice(0, -2).map((id) => `last of ${id}`), undefined, undefined]);
  expect(await lastStacks(queue, [])).toEqual([]);
});

test("tells who waits for whom", async () => {
  const queue = await openQueue();
  const flow = await stockFlows(queue.prefix).add({ name: "parent", queueName: "work", children: [{ name: "child", queueName: "work" }, { name: "child", queueName: "work" }] });
  expect(await readJobDetail(queue, flow.job.id!)).toMatchObject({ state: "waiting-children", pendingChildren: 2, parentKey: undefined });
  expect(await readJobDetail(queue, flow.children![0]!.job.id!)).toMatchObject({ state: "waiting", parentKey: `${queue.keys.base}${flow.job.id}` });
});

test("gives logs page by page", async () => {
  const queue = await openQueue();
  await queue.client.rpush(`${queue.keys.base}a:logs`, ...Array.from({ length: 2500 }, (_, i) => String(i)));
  const lines: string[] = [];
  for await (const line of readLogs(queue, "a")) lines.push(line);
  expect(lines.map(Number)).toEqual(Array.from({ length: 2500 }, (_, i) => i));
});
