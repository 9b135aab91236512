import { expect, test } from "vitest";
import { joinQueue } from "../../src/admin/queue-join.ts";
import { OptionError, TimeoutError } from "../../src/errors.ts";
import { stockQueue, stockWorker } from "../interop/stock.ts";
import { failure } from "../support/outcome.ts";
import { startRedis } from "../support/redis.ts";
import { testOperator } from "./opened-operator.ts";

test("returns when stock BullMQ's jobs have ended, well or badly, and says how the queue stands", async () => {
  const operator = testOperator();
  await stockQueue(operator.prefix).addBulk([1, 2, 3].map((n) => ({ name: "n", data: n })));
  const joined = joinQueue(operator, "work");
  await stockWorker(operator.prefix, ({ data }) => (data === 2 ? Promise.reject(new Error("no")) : Promise.resolve()));
  expect(await joined).toEqual({ queue: "work", unfinished: 0, completed: 2, failed: 1 });
});

test("when the time is over it says how many jobs are left; where Redis has gone, that the time is over", async () => {
  const own = await startRedis();
  const operator = testOperator({ redis: own.url });
  const stock = stockQueue(operator.prefix, "work", own.url);
  await stock.addBulk([1, 2].map((n) => ({ name: "n", data: n })));
  await stock.close();
  expect((await failure(joinQueue(operator, "work", { timeout: 50 }))).error).toMatchObject({ code: "TIMEOUT", message: "expected queue work to be joined within 50 ms: 2 of its jobs are unfinished" });
  const joining = failure(joinQueue(operator, "work", { timeout: "1s" }));
  await own.stop();
  const { error } = await joining;
  expect(error).toBeInstanceOf(TimeoutError);
  expect((error as Error).message).toBe("expected queue work to be joined within 1000 ms");
});

test("refuses what is none before any I/O, and a queue that nobody ever used", async () => {
  await expect(joinQueue(testOperator({ redis: "redis://127.0.0.1:1" }), "work", { timeout: "soon" as never })).rejects.toThrow(OptionError);
  await expect(joinQueue(testOperator(), "work")).rejects.toThrow('no queue is called "work"');
});

test("its signal ends it", async () => {
  const operator = testOperator();
  await stockQueue(operator.prefix).add("n", 1);
  const over = new AbortController();
  const joining = failure(joinQueue(operator, "work", { signal: over.signal }));
  over.abort(new Error("enough"));
  expect((await joining).error).toMatchObject({ message: "enough" });
});
