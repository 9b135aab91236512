import { expect, test } from "vitest";
import { audit } from "../../src/admin/audit.ts";
import { exportQueue } from "../../src/admin/queue-export.ts";
import { moveQueue } from "../../src/admin/queue-move.ts";
import type { Operator } from "../../src/admin/operator.ts";
import { pauseQueue, resumeQueue } from "../../src/admin/queue-changes.ts";
import { listSchedules, pauseSchedule, putSchedule } from "../../src/admin/schedules.ts";
import { doctor } from "../../src/admin/doctor.ts";
import { defineHandler, defineJob, defineQueue, typed } from "../../src/index.ts";
import { readRecords, writeRecords } from "../../src/store/job-records.ts";
import { beginMove, movedKey, park } from "../../src/store/parked.ts";
import { stockFlows, stockQueue, stockWorker } from "../interop/stock.ts";
import { testApp, until } from "../support/app.ts";
import { redisClient, startRedis } from "../support/redis.ts";
import { all, testOperator } from "./opened-operator.ts";

const job = defineJob("n", { queue: "work", payload: typed<{ n: number }>() });
const jobsOf = async (operator: Operator, name = "work") => (await all(exportQueue(operator, name))).filter((line) => line.kind === "job");

async function filled(operator: Operator): Promise<void> {
  const stock = stockQueue(operator.prefix);
  await stock.addBulk([{ name: "good", data: 1 }, { name: "bad", data: 2 }]);
  const worker = await stockWorker(operator.prefix, async ({ name }) => (name === "bad" ? Promise.reject(new Error("no")) : "done"));
  await until(async () => (await stock.getFailedCount()) === 1 && (await stock.getCompletedCount()) === 1);
  await worker.close();
  await testApp({ prefix: operator.prefix }).queue(job).putMany(Array.from({ length: 1200 }, (_, n) => ({ n })));
  await stock.addBulk(Array.from({ length: 5 }, (_, n) => ({ name: "low", data: { n }, opts: { priority: 10 - n } })));
  await stock.add("later", {}, { delay: 3_600_000 });
  await stock.upsertJobScheduler("nightly", { pattern: "0 0 3 * * *" }, { name: "night" });
  await putSchedule(operator, "work", "weekly", { name: "week", cron: "0 7 * * 1" });
  await pauseSchedule(operator, "work", "weekly");
  await stock.setGlobalConcurrency(7);
}

test("moves jobs of every state to another queue as they stand, with schedules and settings, and leaves nothing", async () => {
  const [operator, target] = [testOperator(), testOperator()];
  await filled(operator);
  const before = await jobsOf(operator);
  const told: number[] = [];
  const result = await moveQueue(operator, "work", target, "post", { onProgress: (moved) => told.push(moved) });
  expect(result).toEqual({ queue: "work", to: "post", moved: before.length, schedules: 2, paused: false, left: { active: 0, flow: 0, taken: [] } });
  expect(told.at(-1)).toBe(before.length);
  expect(await jobsOf(target, "post")).toEqual(before);
  expect(await jobsOf(operator)).toEqual([]);
  const stock = stockQueue(target.prefix, "post");
  expect((await stock.getJobSchedulers()).map(({ key }) => key)).toEqual(["nightly"]);
  expect((await listSchedules(target, "post")).map(({ id, paused }) => [id, paused])).toEqual([["nightly", false], ["weekly", true]]);
  expect(await stock.getGlobalConcurrency()).toBe(7);
  expect(await stockQueue(operator.prefix).getJobSchedulers()).toEqual([]);
  expect((await redisClient().keys(`${operator.prefix}:work:*`)).filter((key) => !/:(meta|events|id|marker|pc|stalled-check|millrace:.*)$/.test(key))).toEqual([]);
  expect(await redisClient().exists(`${operator.prefix}:work:millrace:moving`)).toBe(0);
});

test("moves to another server, whose stock worker runs it in order", async () => {
  const { url } = await startRedis();
  const operator = testOperator();
  const target = testOperator({ redis: url, prefix: operator.prefix });
  await testApp({ prefix: operator.prefix }).queue(job).putMany(Array.from({ length: 700 }, (_, n) => ({ n })));
  await moveQueue(operator, "work", target, "work");
  const ran: number[] = [];
  const app = testApp({ redis: url, prefix: operator.prefix });
  app.pool([defineHandler(job, { handle: async ({ n }) => void ran.push(n) })], { concurrency: 1 });
  await app.queue(job).join();
  expect(ran).toEqual(Array.from({ length: 700 }, (_, n) => n));
});

test("leaves what runs, what belongs to a flow, and what has an id that the other queue has; the rest goes, and theirs is untouched", async () => {
  const [operator, target] = [testOperator(), testOperator()];
  const app = testApp({ prefix: operator.prefix });
  const free = Promise.withResolvers<void>();
  const pool = app.pool([defineHandler(job, { handle: () => free.promise })], { concurrency: 1 });
  await app.put(job, { n: 0 });
  await until(async () => (await app.queue(job).counts()).active === 1);
  await app.put(job, { n: 1 }, { id: "taken" });
  await stockFlows(operator.prefix).add({ name: "parent", queueName: "work", children: [{ name: "child", queueName: "work" }] });
  await app.queue(job).putMany([2, 3, 4].map((n) => ({ n })));
  await testApp({ prefix: target.prefix }).put(job, { n: 99 }, { id: "taken" });
  const result = await moveQueue(operator, "work", target, "work");
  expect(result).toMatchObject({ moved: 3, left: { active: 1, flow: 2, taken: ["taken"] } });
  expect((await all(audit(operator))).at(-1)).toMatchObject({ command: "queue move", outcome: "failed", touched: 3, error: "STATE_INVALID: left behind: 1 active, 2 of flows, 1 whose ids are taken" });
  expect((await jobsOf(target)).map((line) => line.fields["data"])).toEqual(['{"n":99}', '{"n":2}', '{"n":3}', '{"n":4}']);
  const left = (await jobsOf(operator)).filter(({ state }) => state === "waiting").map((line) => line.fields["name"]);
  expect(left).toEqual(expect.arrayContaining(["n", "child"]));
  expect(left).toHaveLength(2);
  free.resolve();
  await pool.stop();
});

test("one that was interrupted is gone on with, nothing is doubled although its batch was run there meanwhile; a move to elsewhere is refused", async () => {
  const [operator, target, elsewhere] = [testOperator(), testOperator(), testOperator()];
  const app = testApp({ prefix: operator.prefix });
  await app.queue(job).putMany(Array.from({ length: 10 }, (_, n) => ({ n })));
  // Broken off after the batch was written there, and before it was removed here.
  const source = await operator.existing("work");
  const move = await beginMove(source, { id: "m", to: `${target.connections.address} ${target.prefix} work` });
  const batch = await park(source, move.id, "waiting", 0, { jobs: 4, bytes: 1e6 });
  await target.ready();
  const to = target.queue("work");
  await writeRecords(to, await readRecords(source, batch.places), { key: movedKey(to, move.id), number: batch.number });
  const ran: number[] = [];
  const there = testApp({ prefix: target.prefix });
  const gone = defineJob("n", { queue: "work", payload: typed<{ n: number }>(), keep: { completed: { count: 0 } } });
  there.pool([defineHandler(gone, { handle: async ({ n }) => void ran.push(n) })], { concurrency: 1 });
  await until(() => ran.length === 4);
  expect((await doctor(operator)).findings.map(({ finding, remedy }) => [finding, remedy])).toEqual(expect.arrayContaining([["moving", expect.stringMatching(/^millrace queue move work/) as string]]));
  expect((await doctor(operator, { deep: true })).findings.map(({ finding }) => finding)).not.toContain("orphans");
  await expect(moveQueue(operator, "work", elsewhere, "work")).rejects.toMatchObject({ code: "STATE_INVALID", message: expect.stringContaining(target.prefix) as string });
  const result = await moveQueue(operator, "work", target, "work");
  expect(result).toMatchObject({ moved: 10, left: { taken: [] } });
  await until(() => ran.length === 10);
  await there.queue(job).join();
  expect(ran.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, n) => n));
  expect(await jobsOf(operator)).toEqual([]);
});

test("takes limits of one partition along as they are; where they cannot be had nothing is changed", async () => {
  const operator = testOperator();
  const parted = defineJob("n", { queue: defineQueue("work", { partitions: 2 }), payload: typed<{ n: number }>() });
  await testApp({ prefix: operator.prefix }).queue(parted).putMany([1, 2, 3].map((n) => ({ n })));
  await stockQueue(`{${operator.prefix}-1}`).setGlobalConcurrency(5);
  const before = await all(exportQueue(operator, "work"));
  const plain = testOperator();
  await stockQueue(plain.prefix).add("n", 1);
  await expect(moveQueue(operator, "work", plain, "work")).rejects.toMatchObject({ code: "STATE_INVALID", message: expect.stringContaining("concurrency") as string });
  expect((await all(exportQueue(operator, "work"))).slice(1)).toEqual(before.slice(1));
  expect(await jobsOf(plain)).toHaveLength(1);
  // It is not taken for one that was interrupted.
  const target = testOperator();
  await moveQueue(operator, "work", target, "work");
  expect((await all(exportQueue(target, "work")))[0]).toMatchObject({ shares: [{}, {}, { concurrency: "5" }] });
});

test("settings went along once: interrupted, it does not pause again what was resumed there", async () => {
  const [operator, target] = [testOperator(), testOperator()];
  const parted = defineJob("n", { queue: defineQueue("work", { partitions: 2 }), payload: typed<{ n: number }>() });
  await testApp({ prefix: operator.prefix }).queue(parted).putMany(Array.from({ length: 20 }, (_, n) => ({ n })));
  await pauseQueue(operator, "work");
  const breaking = new AbortController();
  const interrupted = moveQueue(operator, "work", target, "work", { signal: breaking.signal, onProgress: () => breaking.abort() });
  await expect(interrupted).rejects.toThrow();
  await resumeQueue(target, "work");
  expect(await moveQueue(operator, "work", target, "work")).toMatchObject({ paused: false });
  expect(await jobsOf(target)).toHaveLength(20);
  expect((await all(exportQueue(target, "work")))[0]).toMatchObject({ settings: {}, shares: [{}, {}, {}] });
});

test("refuses to move a queue to itself, one that is not there, and for an operator that only looks", async () => {
  const operator = testOperator();
  await stockQueue(operator.prefix).add("n", 1);
  await expect(moveQueue(operator, "work", operator, "work")).rejects.toMatchObject({ code: "OPTION_INVALID" });
  await expect(moveQueue(operator, "wrok", operator, "post")).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(moveQueue(operator, "work", testOperator({ readOnly: true }), "post")).rejects.toMatchObject({ code: "READ_ONLY" });
  expect(await stockQueue(operator.prefix).getWaitingCount()).toBe(1);
});
