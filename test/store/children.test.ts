import { expect, test } from "vitest";
import { readChildren, readLink } from "../../src/store/children.ts";
import { stockFlows, stockWorker } from "../interop/stock.ts";
import { until } from "../support/app.ts";
import { openQueue } from "./opened-queue.ts";

test("gives the children that are waited for and those that have ended, so many of them, and how many there are", async () => {
  const queue = await openQueue();
  const flow = await stockFlows(queue.prefix).add({ name: "parent", queueName: "parents", children: [{ name: "good", queueName: "work" }, { name: "bad", queueName: "work", opts: { ignoreDependencyOnFailure: true } }, { name: "later", queueName: "work", opts: { delay: 60_000 } }] });
  await stockWorker(queue.prefix, async ({ name }) => (name === "bad" ? Promise.reject(new Error("no")) : 1));
  const parents = await openQueue({ prefix: queue.prefix, name: "parents" });
  const id = flow.job.id!;
  await until(async () => (await queue.client.scard(`${parents.keys.base}${id}:dependencies`)) === 1);
  const all = await readChildren(parents, id, 10);
  expect(all.total).toBe(3);
  expect(all.keys.toSorted()).toEqual(flow.children!.map(({ job }) => queue.keys.base + job.id).toSorted());
  expect(await readChildren(parents, id, 2)).toMatchObject({ keys: { length: 2 }, total: 3 });
  expect(await readLink(queue, flow.children![0]!.job.id!)).toMatchObject({ parentKey: parents.keys.base + id });
  expect(await readLink(queue, "gone")).toBeUndefined();
});
