import { expect, test } from "vitest";
import { showFlow } from "../../src/admin/flow.ts";
import { NotFoundError, OptionError } from "../../src/errors.ts";
import { stockFlows, stockQueue, stockWorker } from "../interop/stock.ts";
import { until } from "../support/app.ts";
import { testOperator } from "./opened-operator.ts";

test("shows the whole flow from its root, over queues, with the state of each job, whichever was asked for", async () => {
  const operator = testOperator();
  const leaf = (name: string) => ({ name, queueName: "leaves" });
  const flow = await stockFlows(operator.prefix).add({ name: "root", queueName: "roots", children: [{ name: "branch", queueName: "branches", children: [leaf("a"), leaf("b")] }, leaf("c")] });
  const branch = flow.children!.find(({ job }) => job.name === "branch")!;
  const a = branch.children!.find(({ job }) => job.name === "a")!.job;
  await stockWorker(operator.prefix, async (job) => (job.name === "a" ? 1 : new Promise(() => undefined)), { concurrency: 3 }, "leaves");
  await until(async () => (await a.getState()) === "completed");
  const root = await showFlow(operator, "leaves", a.id!);
  expect(root).toMatchObject({ queue: "roots", id: flow.job.id, name: "root", state: "waiting-children", asked: false, more: 0 });
  const shownBranch = root.children.find(({ name }) => name === "branch")!;
  expect(shownBranch).toMatchObject({ queue: "branches", state: "waiting-children" });
  expect(shownBranch.children.map(({ name, state, asked }) => [name, state, asked]).toSorted()).toEqual([["a", "completed", true], ["b", "active", false]]);
  expect(root.children.find(({ name }) => name === "c")).toMatchObject({ queue: "leaves", children: [] });
});

test("shows so many jobs and says how many more there are; a job of no flow is alone", async () => {
  const operator = testOperator();
  const flow = await stockFlows(operator.prefix).add({ name: "root", queueName: "work", children: Array.from({ length: 30 }, (_, i) => ({ name: `child-${i}`, queueName: "work" })) });
  const cut = await showFlow(operator, "work", flow.job.id!, { limit: 11 });
  expect([cut.children.length, cut.more]).toEqual([10, 20]);
  const alone = await stockQueue(operator.prefix).add("alone", 1);
  expect(await showFlow(operator, "work", alone.id!)).toEqual({ queue: "work", id: alone.id, name: "alone", state: "waiting", asked: true, children: [], more: 0 });
  await expect(showFlow(operator, "work", "gone")).rejects.toThrow(NotFoundError);
  await expect(showFlow(operator, "work", "1", { limit: 0 })).rejects.toThrow(OptionError);
});
