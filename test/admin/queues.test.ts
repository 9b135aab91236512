import { expect, test } from "vitest";
import { listQueues } from "../../src/admin/queues.ts";
import { stockQueue } from "../interop/stock.ts";
import { testOperator } from "./opened-operator.ts";

test("lists every queue of the prefix, those of stock BullMQ too, by name and with its jobs by state", async () => {
  const operator = testOperator();
  await operator.ready();
  const [mail, files] = [stockQueue(operator.prefix, "mail"), stockQueue(operator.prefix, "files-?")];
  await mail.addBulk([{ name: "n", data: 1 }, { name: "n", data: 2, opts: { delay: 60_000 } }, { name: "n", data: 3, opts: { priority: 3 } }]);
  await mail.pause();
  await files.add("n", 1);
  await operator.connections.command.hset(`${operator.prefix}:a:b:meta`, "x", 1); // no queue of BullMQ's
  await stockQueue(`${operator.prefix}x`, "other").add("n", 1);
  expect(await listQueues(operator)).toEqual([
    { queue: "files-?", paused: false, waiting: 1, prioritized: 0, delayed: 0, "waiting-children": 0, active: 0, completed: 0, failed: 0, unfinished: 1 },
    { queue: "mail", paused: true, waiting: 1, prioritized: 1, delayed: 1, "waiting-children": 0, active: 0, completed: 0, failed: 0, unfinished: 3 },
  ]);
});

test("is empty where nothing was put", async () => {
  expect(await listQueues(testOperator())).toEqual([]);
});
