import { expect, test } from "vitest";
import { cancelledReason } from "../../src/job/state.ts";
import { inspectJobs } from "../../src/store/inspect.ts";
import { stockFlows } from "../interop/stock.ts";
import { consumerOf, newJob, openQueue, putAll } from "./opened-queue.ts";

test("says how each job stands, in the order asked", async () => {
  const queue = await openQueue();
  await stockFlows(queue.prefix).add({ name: "p", queueName: queue.name, opts: { jobId: "parent" }, children: [{ name: "c", queueName: "elsewhere" }] });
  await putAll(queue, ["done", "dead", "cancelled", "held"].map((id) => newJob(id)));
  const { lane, reserver } = consumerOf(queue);
  const [done, dead, cancelled] = await reserver.take(4);
  await lane.settle({ leased: done!, kind: "ack", result: '{"n":1}', keep: {} });
  await lane.settle({ leased: dead!, kind: "fail", reason: "broken", stack: [], attempts: 1, keep: {} });
  await lane.settle({ leased: cancelled!, kind: "fail", reason: cancelledReason("by the user"), stack: [], attempts: 3, keep: {} });
  await putAll(queue, [newJob("waits"), newJob("first", { priority: 1 }), newJob("late", { delayMs: 60_000 })]);
  expect(await inspectJobs(queue, ["late", "done", "nobody", "dead", "waits", "held", "first", "cancelled", "parent", "done"])).toEqual([
    { state: "delayed" },
    { state: "completed", result: '{"n":1}' },
    { state: "removed" },
    { state: "failed", reason: "broken", attempts: 1 },
    { state: "waiting" },
    { state: "active" },
    { state: "prioritized" },
    { state: "cancelled", reason: "by the user", attempts: 1 },
    { state: "waiting-children" },
    { state: "completed", result: '{"n":1}' },
  ]);
});

test("reads more jobs than one script does", async () => {
  const queue = await openQueue();
  const ids = Array.from({ length: 1203 }, (_, n) => `j${n}`);
  await putAll(queue, ids.filter((_, n) => n % 2 === 0).map((id) => newJob(id)));
  const reports = await inspectJobs(queue, ids);
  expect(reports.map(({ state }) => state)).toEqual(ids.map((_, n) => (n % 2 === 0 ? "waiting" : "removed")));
  expect(await inspectJobs(queue, [])).toEqual([]);
});
