import { expect, test } from "vitest";
import { searchQueues } from "../../src/admin/queue-search.ts";
import { listStockWorkers } from "../../src/admin/workers.ts";
import { register } from "../../src/control/registry.ts";
import { stockQueue, stockWorker } from "../interop/stock.ts";
import { entryOf } from "../control/control.ts";
import { until } from "../support/app.ts";
import { all, testOperator } from "./opened-operator.ts";

test("gives the queues of pools and of stock workers first, by name, then those that nobody consumes, each once, and none that was deleted", async () => {
  const operator = testOperator();
  await operator.ready();
  const names = Array.from({ length: 20 }, (_, i) => `q${i}`);
  for (const name of names) await stockQueue(operator.prefix, name).add("n", 1);
  await register(operator.connections, entryOf("a", { queues: ["q7", "q3", "gone"] }), []);
  await stockWorker(operator.prefix, () => Promise.resolve(), {}, "q5");
  await until(async () => (await listStockWorkers(operator)).length === 1);
  const found = await all(searchQueues(operator));
  expect(found.slice(0, 3)).toEqual(["q3", "q5", "q7"]);
  expect(found.toSorted()).toEqual(names.toSorted());
});
