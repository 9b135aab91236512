import { expect, test } from "vitest";
import { audit } from "../../src/admin/audit.ts";
import { listLimits, setLimits, showLimits } from "../../src/admin/limits.ts";
import { OptionError, ReadOnlyError, StateError } from "../../src/errors.ts";
import { defineJob, defineQueue } from "../../src/job/contract.ts";
import { stockQueue, stockWorker } from "../interop/stock.ts";
import { testApp, until } from "../support/app.ts";
import { all, testOperator } from "./opened-operator.ts";

test("limits hold for stock workers at once, and are lifted", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  await stock.addBulk(Array.from({ length: 5 }, () => ({ name: "n", data: 1 })));
  expect(await setLimits(operator, "work", { concurrency: 2, rate: "500/10s" })).toEqual({ queue: "work", concurrency: 2, rate: { max: 500, durationMs: 10_000 }, heldForMs: 0 });
  expect([await stock.getGlobalConcurrency(), await stock.getGlobalRateLimit()]).toEqual([2, { max: 500, duration: 10_000 }]);
  await stockWorker(operator.prefix, () => new Promise(() => undefined), { concurrency: 5 });
  await until(async () => (await stock.getActiveCount()) === 2);
  expect(await setLimits(operator, "work", { concurrency: "none" })).toMatchObject({ concurrency: undefined, rate: { max: 500 } });
  await until(async () => (await stock.getActiveCount()) === 5);
  expect(await listLimits(operator)).toMatchObject([{ queue: "work" }]);
  expect(await setLimits(operator, "work", { rate: "none" })).toMatchObject({ rate: undefined });
  expect(await listLimits(operator)).toEqual([]);
  expect((await all(audit(operator))).map(({ details }) => details)).toEqual(['{"concurrency":2,"rate":"500/10s"}', '{"concurrency":"none"}', '{"rate":"none"}']);
});

test.each([["1/s", 1000], ["3/m", 60_000], ["3/min", 60_000], ["1000/2h", 7_200_000], ["5/250ms", 250]])("takes %s as a rate", async (rate, durationMs) => {
  const operator = testOperator();
  await stockQueue(operator.prefix).add("n", 1);
  expect(await setLimits(operator, "work", { rate })).toMatchObject({ rate: { max: Number.parseInt(rate, 10), durationMs } });
  expect(await showLimits(operator, "work")).toMatchObject({ concurrency: undefined });
});

test("refuses what is none before any I/O, and a queue in partitions", async () => {
  const nowhere = testOperator({ redis: "redis://127.0.0.1:1" });
  for (const limits of [{}, { concurrency: 0 }, { rate: "100" }, { rate: "0/s" }, { rate: "fast" }, { rat: "1/s" }]) await expect(setLimits(nowhere, "work", limits as never), JSON.stringify(limits)).rejects.toThrow(OptionError);
  await expect(setLimits(testOperator({ redis: "redis://127.0.0.1:1", readOnly: true }), "work", { concurrency: 1 })).rejects.toThrow(ReadOnlyError);
  const operator = testOperator();
  await testApp({ prefix: operator.prefix }).queue(defineJob("n", { queue: defineQueue("work", { partitions: 2 }) })).put();
  await expect(setLimits(operator, "work", { concurrency: 1 })).rejects.toThrow(StateError);
});
