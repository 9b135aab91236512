import { expect, test } from "vitest";
import { copyJobs, editJob } from "../../src/admin/job-edit.ts";
import { NotFoundError, OptionError, ReadOnlyError, StateError } from "../../src/errors.ts";
import { stockQueue, stockWorker } from "../interop/stock.ts";
import { testOperator } from "./opened-operator.ts";

test("edits payload, priority, delay and attempts of what stock BullMQ put", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  const [waits, later] = await stock.addBulk([{ name: "n", data: { to: "a" } }, { name: "n", data: 1, opts: { delay: 60_000 } }]);
  expect(await editJob(operator, "work", waits!.id!, { payload: { to: "b" }, priority: 3, attempts: 7 })).toEqual({ queue: "work", id: waits!.id, edited: ["payload", "priority", "attempts"] });
  expect(await stock.getJob(waits!.id!)).toMatchObject({ data: { to: "b" }, priority: 3, opts: { attempts: 7 } });
  expect(await stock.getPrioritizedCount()).toBe(1);
  await editJob(operator, "work", later!.id!, { delay: "2h" });
  expect((await stock.getJob(later!.id!))!.delay).toBe(7_200_000);
});

test("refuses to edit what runs, and what a state does not allow", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  const job = await stock.add("n", 1);
  await expect(editJob(operator, "work", job.id!, { delay: "1h" })).rejects.toThrow('expected a delayed job for delay, but "1" of queue work is waiting');
  const { promise: started, resolve } = Promise.withResolvers<void>();
  await stockWorker(operator.prefix, () => (resolve(), new Promise(() => undefined)));
  await started;
  await expect(editJob(operator, "work", job.id!, { payload: 2 })).rejects.toThrow(StateError);
  await expect(editJob(operator, "work", "99", { payload: 2 })).rejects.toThrow(NotFoundError);
});

test("refuses an edit that is none before any I/O", async () => {
  const nowhere = testOperator({ redis: "redis://127.0.0.1:1" });
  for (const edit of [{}, { attempts: 0 }, { priority: -1 }, { payload: 1n }, { payload: () => 1 }, { payload: "x".repeat(2 ** 20) }, { paylod: 1 }]) await expect(editJob(nowhere, "work", "1", edit as never)).rejects.toThrow();
  await expect(editJob(testOperator({ redis: "redis://127.0.0.1:1", readOnly: true }), "work", "1", { payload: 1 })).rejects.toThrow(ReadOnlyError);
});

test("copies jobs under new ids, of a flow or a schedule as ordinary ones, to another queue too", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  await stock.add("mail", { to: "a" }, { attempts: 4, delay: 60_000, priority: 2, deduplication: { id: "d" }, jobId: "own" });
  expect(await copyJobs(operator, "work", { ids: ["own"], to: "other" })).toMatchObject({ matched: 1, changed: 1 });
  const [copy] = await stockQueue(operator.prefix, "other").getJobs(["prioritized", "waiting"]);
  expect(copy).toMatchObject({ name: "mail", data: { to: "a" }, priority: 2, opts: { attempts: 4 } });
  expect(copy!.id).not.toBe("own");
  expect(copy!.opts).not.toHaveProperty("de");
  expect(await copyJobs(operator, "work", { name: "mail" })).toMatchObject({ changed: 1 });
  expect(await stock.getJobCounts("prioritized", "delayed")).toEqual({ prioritized: 1, delayed: 1 });
  expect(() => copyJobs(operator, "work", { all: true, to: "a:b" })).toThrow(OptionError);
});

test("copies within a queue each job once, and no copy", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  await stock.addBulk(Array.from({ length: 1200 }, (_, n) => ({ name: "n", data: n })));
  expect(await copyJobs(operator, "work", { all: true })).toMatchObject({ matched: 1200, changed: 1200 });
  expect(await stock.getWaitingCount()).toBe(2400);
});
