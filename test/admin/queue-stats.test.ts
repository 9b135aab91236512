import { expect, test } from "vitest";
import { queueStats } from "../../src/admin/queue-stats.ts";
import { NotFoundError, OptionError } from "../../src/errors.ts";
import { failJobs, stockQueue } from "../interop/stock.ts";
import { testOperator } from "./opened-operator.ts";

test("tells depth by state, what waits longest and what failed of late, of a queue that only stock BullMQ uses", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  await failJobs(stock, operator.prefix, [{ name: "bad" }], () => Promise.reject(new Error("no")));
  await stock.add("n", 1, { timestamp: Date.now() - 90_000 });
  await stock.addBulk([{ name: "n", data: 1 }, { name: "n", data: 1, opts: { priority: 1, timestamp: Date.now() - 5000 } }]);
  const stats = await queueStats(operator, "work");
  expect(stats).toMatchObject({ queue: "work", paused: false, waiting: 2, prioritized: 1, failed: 1, failedLastHour: 1, history: { wait: undefined, counts: { completed: 0 } } });
  expect(stats.oldestWaitingMs).toBeGreaterThanOrEqual(89_000);
  expect(stats.oldestWaitingMs).toBeLessThan(120_000);
});

test("of an empty queue nothing waits", async () => {
  const operator = testOperator();
  await stockQueue(operator.prefix).pause();
  expect(await queueStats(operator, "work", { since: "1h" })).toMatchObject({ paused: true, oldestWaitingMs: undefined, failedLastHour: 0 });
});

test("refuses a time that is none before any I/O, and a queue that is not there", async () => {
  await expect(queueStats(testOperator({ redis: "redis://127.0.0.1:1" }), "work", { since: "1s" })).rejects.toThrow(OptionError);
  await expect(queueStats(testOperator(), "work")).rejects.toThrow(NotFoundError);
});
