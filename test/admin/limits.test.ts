import { expect, test } from "vitest";
import { audit } from "../../src/admin/audit.ts";
import { listLimits, setLimits, showLimits } from "../../src/admin/limits.ts";
import { OptionError, ReadOnlyError, StateError } from "../../src/errors.ts";
import { exportQueue } from "../../src/admin/queue-export.ts";
import { importQueue } from "../../src/admin/queue-import.ts";
import { defineHandler, defineJob, defineQueue } from "../../src/index.ts";
import { stockQueue, stockWorker } from "../interop/stock.ts";
import { testApp, until } from "../support/app.ts";
import { all, testOperator } from "./opened-operator.ts";

test("limits hold for stock workers at once, and are lifted", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  await stock.addBulk(Array.from({ length: 5 }, () => ({ name: "n", data: 1 })));
  expect(await setLimits(operator, "work", { concurrency: 2, rate: "500/10s" })).toEqual({ queue: "work", concurrency: 2, rate: { max: 500, durationMs: 10_000 }, heldForMs: 0, shares: 1, isPartial: false });
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

test("of a queue in partitions they are shared out, hold for the whole, and are shown as one", async () => {
  const operator = testOperator();
  const job = defineJob("n", { queue: defineQueue("work", { partitions: 3 }) });
  const app = testApp({ prefix: operator.prefix });
  await app.queue(job).putMany(Array.from({ length: 40 }, () => undefined));
  expect(await setLimits(operator, "work", { concurrency: 6, rate: "100/h" })).toEqual({ queue: "work", concurrency: 6, rate: { max: 100, durationMs: 3_600_000 }, heldForMs: 0, shares: 4, isPartial: false });
  const parts = await operator.parts("work");
  expect(await Promise.all(parts.map(({ client, keys }) => client.hmget(keys.meta, "concurrency", "max")))).toEqual([["2", "25"], ["2", "25"], ["1", "25"], ["1", "25"]]);
  let most = 0;
  let running = 0;
  app.pool([defineHandler(job, { handle: async () => {
    most = Math.max(most, (running += 1));
    await new Promise((resolve) => setTimeout(resolve, 20));
    running -= 1;
  } })], { concurrency: 20 });
  await app.queue(job).join();
  // The plain queue has its share, and no jobs.
  expect([most > 1, most <= 4]).toEqual([true, true]);
  await expect(setLimits(operator, "work", { concurrency: 3 })).rejects.toMatchObject({ code: "STATE_INVALID", message: expect.stringContaining("at least 4") as string });
  await expect(setLimits(operator, "work", { rate: "3/m" })).rejects.toThrow(StateError);
  expect(await setLimits(operator, "work", { concurrency: "none", rate: "none" })).toMatchObject({ concurrency: undefined, rate: undefined, isPartial: false });
  expect(await listLimits(operator)).toEqual([]);
  await stockQueue(operator.prefix).setGlobalConcurrency(5);
  expect(await listLimits(operator)).toMatchObject([{ queue: "work", concurrency: undefined, isPartial: true }]);
  const other = testOperator();
  await setLimits(operator, "work", { concurrency: 8 });
  await importQueue(other, "work", (await all(exportQueue(operator, "work"))).map((line) => JSON.stringify(line)));
  expect(await showLimits(other, "work")).toMatchObject({ concurrency: 8, shares: 4 });
});

test("refuses what is none before any I/O", async () => {
  const nowhere = testOperator({ redis: "redis://127.0.0.1:1" });
  for (const limits of [{}, { concurrency: 0 }, { rate: "100" }, { rate: "0/s" }, { rate: "fast" }, { rat: "1/s" }]) await expect(setLimits(nowhere, "work", limits as never), JSON.stringify(limits)).rejects.toThrow(OptionError);
  await expect(setLimits(testOperator({ redis: "redis://127.0.0.1:1", readOnly: true }), "work", { concurrency: 1 })).rejects.toThrow(ReadOnlyError);
});
