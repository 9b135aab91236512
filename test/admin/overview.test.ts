import { expect, test } from "vitest";
import { watchOverview } from "../../src/admin/overview.ts";
import { deleteQueue } from "../../src/admin/queue-changes.ts";
import { defineHandler, defineJob, typed } from "../../src/index.ts";
import { stockQueue } from "../interop/stock.ts";
import { testApp, until } from "../support/app.ts";
import { testOperator } from "./opened-operator.ts";

test("shows queues, workers and tasks together, and no queue that was deleted meanwhile", async () => {
  const operator = testOperator();
  const look = watchOverview(operator);
  await stockQueue(operator.prefix, "files").add("n", 1);
  const job = defineJob("n", { queue: "mail", payload: typed<object>() });
  const app = testApp({ prefix: operator.prefix });
  app.pool([defineHandler(job, { handle: () => new Promise(() => {}) })], { concurrency: 1, name: "web-1" });
  await app.put(job, {});
  await until(async () => (await look()).tasks.length === 1);
  const found = await look();
  expect(found.queues.map(({ queue, waiting, active }) => [queue, waiting, active])).toEqual([["files", 1, 0], ["mail", 0, 1]]);
  expect(found.workers).toMatchObject([{ name: "web-1", running: 1, slots: 1 }]);
  expect(found.tasks).toMatchObject([{ queue: "mail", name: "n", worker: { name: "web-1" } }]);
  await deleteQueue(operator, "files");
  expect((await look()).queues.map(({ queue }) => queue)).toEqual(["mail"]);
});
