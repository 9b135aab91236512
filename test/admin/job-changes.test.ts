import { beforeEach, expect, test } from "vitest";
import { audit } from "../../src/admin/audit.ts";
import { cancelJobs, promoteJobs, purgeQueue, removeJobs, retryJobs } from "../../src/admin/job-changes.ts";
import type { Operator } from "../../src/admin/operator.ts";
import { NotFoundError, OptionError, ReadOnlyError, StateError } from "../../src/errors.ts";
import { failJobs, stockQueue, stockWorker } from "../interop/stock.ts";
import type { Queue } from "bullmq";
import { until } from "../support/app.ts";
import { all, testOperator } from "./opened-operator.ts";

let operator: Operator;
let stock: Queue;
beforeEach(() => {
  operator = testOperator();
  stock = stockQueue(operator.prefix);
});

/** Jobs that a stock worker has failed, by their names. */
const fail = (...names: string[]): Promise<void> => failJobs(stock, operator.prefix, names.map((name) => ({ name })), (job) => Promise.reject(new Error(`no ${job.name}`)));

test("failed jobs run again by a filter, or all of them, with all of their attempts; it stands in the trail", async () => {
  await fail("mail", "mail", "file");
  expect(await retryJobs(operator, "work", { error: "no mail", dryRun: true })).toEqual({ queue: "work", dryRun: true, matched: 2, changed: 0, skipped: [] });
  expect(await stock.getFailedCount()).toBe(3);
  expect(await retryJobs(operator, "work", { error: "no mail" })).toEqual({ queue: "work", dryRun: false, matched: 2, changed: 2, skipped: [] });
  expect(await retryJobs(operator, "work", { all: true })).toMatchObject({ matched: 1, changed: 1 });
  const attempts: number[] = [];
  await stockWorker(operator.prefix, async (job) => void attempts.push(job.attemptsMade));
  await until(() => attempts.length === 3);
  expect(attempts).toEqual([0, 0, 0]);
  expect(await all(audit(operator))).toMatchObject([
    { command: "job retry", target: "work", details: '{"error":"no mail"}', outcome: "done", touched: 2 },
    { command: "job retry", outcome: "done", touched: 1 },
  ]);
});

test("a cancelled job is retried by its id alone", async () => {
  const [a, b] = await stock.addBulk([{ name: "n", data: 1 }, { name: "n", data: 2 }]);
  expect(await cancelJobs(operator, "work", { ids: [a!.id!, b!.id!], reason: "twice" })).toMatchObject({ matched: 2, changed: 2 });
  expect((await stock.getFailed()).map(({ failedReason }) => failedReason)).toEqual(["cancelled: twice", "cancelled: twice"]);
  expect(await retryJobs(operator, "work", { all: true })).toMatchObject({ matched: 0, changed: 0 });
  expect(await retryJobs(operator, "work", { ids: [a!.id!] })).toMatchObject({ changed: 1 });
  expect(await stock.getWaitingCount()).toBe(1);
});

test("cancels what waits and asks what runs, page by page", async () => {
  await stock.addBulk(Array.from({ length: 1200 }, (_, i) => ({ name: i % 2 === 0 ? "even" : "odd", data: i })));
  await stock.add("later", 1, { delay: 60_000 });
  await stockWorker(operator.prefix, () => new Promise(() => undefined));
  await until(async () => (await stock.getActiveCount()) === 1); // it is even
  expect(await cancelJobs(operator, "work", { name: "even", dryRun: true })).toMatchObject({ matched: 600, changed: 0, asked: 0 });
  expect(await cancelJobs(operator, "work", { name: "even" })).toMatchObject({ matched: 600, changed: 600, asked: 1 });
  expect(await cancelJobs(operator, "work", { state: "delayed" })).toMatchObject({ matched: 1, changed: 1 });
  expect(await stock.getJobCounts("waiting", "delayed", "failed")).toEqual({ waiting: 600, delayed: 0, failed: 600 });
  expect((await stock.getWaiting()).every(({ name }) => name === "odd")).toBe(true);
});

test("promotes and removes by filter and by id; a purge takes all of its states", async () => {
  await stock.addBulk([1, 2, 3].map((n) => ({ name: "later", data: n, opts: { delay: 60_000 } })));
  expect(await promoteJobs(operator, "work", { ids: ["1"] })).toMatchObject({ changed: 1 });
  expect(await promoteJobs(operator, "work", { limit: 1 })).toMatchObject({ matched: 1, changed: 1 });
  await stock.addBulk(Array.from({ length: 1500 }, (_, i) => ({ name: i % 3 === 0 ? "third" : "n", data: i })));
  expect(await removeJobs(operator, "work", { name: "third", state: "waiting" })).toMatchObject({ matched: 500, changed: 500 });
  expect(await stock.getJobCounts("waiting", "delayed")).toEqual({ waiting: 1002, delayed: 1 });
  expect(await purgeQueue(operator, "work", { state: ["waiting", "delayed"] })).toMatchObject({ matched: 1003, changed: 1003 });
  expect(await stock.count()).toBe(0);
  expect((await all(audit(operator))).map(({ command }) => command)).toEqual(["job promote", "job promote", "job remove", "queue purge"]);
});

test("says of each id why it could not be, and fails where none could", async () => {
  await fail("mail");
  const waiting = await stock.add("n", 1);
  const result = await retryJobs(operator, "work", { ids: ["1", waiting.id!, "99", "1"] });
  expect(result).toMatchObject({ matched: 1, changed: 1 });
  expect(result.skipped).toEqual([
    { id: waiting.id, reason: "it is waiting: expected failed, completed" },
    { id: "99", reason: "there is no such job" },
  ]);
  await expect(retryJobs(operator, "work", { ids: ["99"] })).rejects.toThrow(NotFoundError);
  await expect(retryJobs(operator, "work", { ids: [waiting.id!] })).rejects.toThrow(StateError);
  await expect(retryJobs(operator, "work", { ids: ["98", "99"] })).rejects.toThrow(NotFoundError);
});

test("ends between two pages when it is told to, and the trail says how far it came", async () => {
  await stock.addBulk(Array.from({ length: 1000 }, (_, i) => ({ name: "n", data: i })));
  const controller = new AbortController();
  const removing = removeJobs(operator, "work", { all: true, signal: controller.signal });
  while ((await stock.getWaitingCount()) === 1000);
  controller.abort(new Error("enough"));
  await removing.catch(() => undefined);
  const [entry] = await all(audit(operator));
  expect(entry!.touched).toBe(1000 - (await stock.getWaitingCount()));
});

test("refuses what is none before any I/O: no selection, two of them, a state that makes no sense, a change by who may look", async () => {
  const nowhere = testOperator({ redis: "redis://127.0.0.1:1" });
  const refused = [{}, { dryRun: true }, { ids: ["1"], all: true }, { ids: ["1"], name: "n" }, { ids: [] }, { state: "active" }, { nmae: "n" }, { all: 1 }];
  for (const selection of refused) await expect(retryJobs(nowhere, "work", selection as never), JSON.stringify(selection)).rejects.toThrow(OptionError);
  await expect(cancelJobs(nowhere, "work", { all: true, reason: "" })).rejects.toThrow(OptionError);
  await expect(removeJobs(testOperator({ redis: "redis://127.0.0.1:1", readOnly: true }), "work", { all: true })).rejects.toThrow(ReadOnlyError);
  await expect(retryJobs(operator, "wrok", { all: true })).rejects.toThrow(NotFoundError);
});
