import { expect, test } from "vitest";
import { audit } from "../../src/admin/audit.ts";
import { deleteQueue, pauseQueue, resumeQueue } from "../../src/admin/queue-changes.ts";
import { NotFoundError, OptionError, ReadOnlyError, StateError } from "../../src/errors.ts";
import { stockFlows, stockQueue, stockWorker } from "../interop/stock.ts";
import { all, testOperator } from "./opened-operator.ts";

test("a paused queue starts nothing with a stock worker, until it is resumed; both stand in the trail", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  await stock.add("n", 1);
  expect(await pauseQueue(operator, "work")).toEqual({ queue: "work", paused: true });
  const { promise: ran, resolve } = Promise.withResolvers<string>();
  await stockWorker(operator.prefix, async (job) => resolve(job.name));
  expect([await stock.isPaused(), await stock.getActiveCount()]).toEqual([true, 0]);
  expect(await resumeQueue(operator, "work")).toEqual({ queue: "work", paused: false });
  expect(await ran).toBe("n");
  expect(await all(audit(operator))).toMatchObject([
    { command: "queue pause", target: "work", outcome: "done", touched: 1 },
    { command: "queue resume", target: "work", outcome: "done", touched: 1 },
  ]);
});

test("a deleted queue leaves nothing, and parents elsewhere go on without its jobs", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  await stock.addBulk([{ name: "n", data: 1 }, { name: "n", data: 1, opts: { delay: 60_000 } }, { name: "n", data: 1, opts: { priority: 1 } }]);
  await stock.upsertJobScheduler("daily", { every: 86_400_000 });
  await stock.add("n", 1, { deduplication: { id: "d", ttl: 60_000 } });
  await stockFlows(operator.prefix).add({ name: "parent", queueName: "parents", children: [{ name: "child", queueName: "work" }] });
  expect(await deleteQueue(operator, "work")).toEqual({ queue: "work", jobs: 6 });
  const { command } = operator.connections;
  expect(await command.keys(`${operator.prefix}:work:*`)).toEqual([]);
  expect(await stockQueue(operator.prefix, "parents").getJobCounts("waiting", "waiting-children")).toEqual({ waiting: 1, "waiting-children": 0 });
  expect(await all(audit(operator))).toMatchObject([{ command: "queue delete", target: "work", details: '{"force":false}', outcome: "done", touched: 6 }]);
});

test("a queue of which jobs are active is not deleted, unless forced", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  const { promise: started, resolve: start } = Promise.withResolvers<void>();
  const { promise: end, resolve } = Promise.withResolvers<void>();
  const worker = await stockWorker(operator.prefix, () => (start(), end));
  worker.on("error", () => undefined); // it can no longer settle its job
  await stock.add("n", 1);
  await started;
  await expect(deleteQueue(operator, "work")).rejects.toThrow(StateError);
  expect(await stock.getActiveCount()).toBe(1);
  expect(await deleteQueue(operator, "work", { force: true })).toEqual({ queue: "work", jobs: 1 });
  resolve();
});

test("refuses what is none before any I/O, and a queue that is not there", async () => {
  const nowhere = testOperator({ redis: "redis://127.0.0.1:1" });
  expect(() => pauseQueue(nowhere, "a:b")).toThrow(OptionError);
  expect(() => deleteQueue(nowhere, "work", { forced: true } as never)).toThrow('did you mean force?');
  await expect(pauseQueue(testOperator({ redis: "redis://127.0.0.1:1", readOnly: true }), "work")).rejects.toThrow(ReadOnlyError);
  const operator = testOperator();
  for (const change of [pauseQueue, resumeQueue, deleteQueue]) await expect(change(operator, "wrok")).rejects.toThrow(NotFoundError);
});
