import { expect, test } from "vitest";
import { audit } from "../../src/admin/audit.ts";
import { doctor } from "../../src/admin/doctor.ts";
import { removeJobs } from "../../src/admin/job-changes.ts";
import type { Operator } from "../../src/admin/operator.ts";
import { exportQueue } from "../../src/admin/queue-export.ts";
import { deleteQueue } from "../../src/admin/queue-changes.ts";
import { giveBackMove } from "../../src/admin/queue-give-back.ts";
import { moveQueue } from "../../src/admin/queue-move.ts";
import { defineHandler, defineJob, defineQueue, typed } from "../../src/index.ts";
import { beginMove, park, parkedJobs, parkedKey } from "../../src/store/parked.ts";
import { partitionsOf } from "../../src/store/partitions.ts";
import { stockQueue } from "../interop/stock.ts";
import { testApp } from "../support/app.ts";
import { redisClient } from "../support/redis.ts";
import { all, testOperator } from "./opened-operator.ts";

const job = defineJob("n", { queue: "work", payload: typed<{ n: number }>() });
const LOST = "redis://lost.example bull work";

/** So many jobs, of which a move to a place that is lost has some on their way; of each partition. */
async function interrupted(operator: Operator, jobs: number, partitions = 1): Promise<void> {
  const queue = defineQueue("work", partitions === 1 ? {} : { partitions });
  await testApp({ prefix: operator.prefix }).queue(defineJob("n", { queue, payload: typed<{ n: number }>() })).putMany(Array.from({ length: jobs }, (_, n) => ({ n })));
  for (const part of await partitionsOf(await operator.existing("work"))) {
    await beginMove(part, { id: "m", to: LOST });
    await park(part, "m", "waiting", 0, { jobs: 4, bytes: 1e6 });
  }
}
const idsOf = async (operator: Operator): Promise<string[]> => (await all(exportQueue(operator, "work"))).flatMap((line) => (line.kind === "job" ? [line.id] : []));

test("what is on its way to a place that is lost is given back, runs here in its order, and the next move may go anywhere", async () => {
  const operator = testOperator();
  await interrupted(operator, 10);
  const found = (await doctor(operator)).findings.find(({ finding }) => finding === "moving");
  expect(found).toMatchObject({ evidence: { jobs: 4, to: LOST }, remedy: expect.stringMatching(/^millrace queue move work, .*; .* millrace queue move work --give-back$/) as string });
  expect(await giveBackMove(operator, "work", { dryRun: true })).toEqual({ queue: "work", to: LOST, jobs: 4 });
  expect(await stockQueue(operator.prefix).getWaitingCount()).toBe(6);
  expect(await giveBackMove(operator, "work")).toEqual({ queue: "work", to: LOST, jobs: 4 });
  expect((await doctor(operator)).findings.map(({ finding }) => finding)).not.toContain("moving");
  expect(await all(audit(operator))).toMatchObject([{ command: "queue move", target: "work", details: JSON.stringify({ giveBack: true, to: LOST }), outcome: "done", touched: 4 }]);
  const target = testOperator();
  expect(await moveQueue(operator, "work", target, "work")).toMatchObject({ moved: 10 });
  const ran: number[] = [];
  const app = testApp({ prefix: target.prefix });
  app.pool([defineHandler(job, { handle: async ({ n }) => void ran.push(n) })], { concurrency: 1 });
  await app.queue(job).join();
  expect(ran).toEqual(Array.from({ length: 10 }, (_, n) => n));
});

test("of a queue in partitions all of them give back", async () => {
  const operator = testOperator();
  await interrupted(operator, 30, 3);
  const { jobs } = await giveBackMove(operator, "work", { dryRun: true });
  expect(jobs).toBeGreaterThan(4);
  expect(await giveBackMove(operator, "work")).toMatchObject({ jobs });
  expect(await idsOf(operator)).toHaveLength(30);
});

test("where a move runs all the same, that one ends, and every job is in one of the queues, or in both", async () => {
  const [operator, target] = [testOperator(), testOperator()];
  await testApp({ prefix: operator.prefix }).queue(job).putMany(Array.from({ length: 4000 }, (_, n) => ({ n })));
  const before = await idsOf(operator);
  let giving: Promise<unknown> | undefined;
  const moving = moveQueue(operator, "work", target, "work", { onProgress: () => void (giving ??= giveBackMove(operator, "work")) });
  await expect(moving).rejects.toMatchObject({ code: "STATE_INVALID", message: expect.stringContaining("given back") as string });
  await giving;
  const [here, there] = await Promise.all([idsOf(operator), idsOf(target)]);
  expect(there.length).toBeLessThan(4000);
  expect(new Set([...here, ...there])).toEqual(new Set(before));
});

test("what is on its way goes with its queue only where that is forced, and is removed by nobody else", async () => {
  const operator = testOperator();
  await interrupted(operator, 4);
  const [id] = await parkedJobs(await operator.existing("work"));
  await expect(removeJobs(operator, "work", { ids: [id!] })).rejects.toMatchObject({ message: expect.stringContaining("on its way") as string });
  await expect(deleteQueue(operator, "work")).rejects.toMatchObject({ code: "STATE_INVALID", message: expect.stringContaining("4 are") as string });
  expect(await giveBackMove(operator, "work", { dryRun: true })).toMatchObject({ jobs: 4 });
  expect(await deleteQueue(operator, "work", { force: true })).toEqual({ queue: "work", jobs: 4 });
});

test("a move that has nothing on its way is forgotten; where none stands, or only looking is allowed, it is refused", async () => {
  const operator = testOperator();
  await stockQueue(operator.prefix).add("n", 1);
  await expect(giveBackMove(operator, "work")).rejects.toMatchObject({ code: "STATE_INVALID" });
  await expect(giveBackMove(operator, "wrok")).rejects.toMatchObject({ code: "NOT_FOUND" });
  const queue = await operator.existing("work");
  await beginMove(queue, { id: "m", to: LOST });
  const onlooker = testOperator({ prefix: operator.prefix, readOnly: true });
  await expect(giveBackMove(onlooker, "work")).rejects.toMatchObject({ code: "READ_ONLY" });
  expect(await giveBackMove(onlooker, "work", { dryRun: true })).toEqual({ queue: "work", to: LOST, jobs: 0 });
  expect(await giveBackMove(operator, "work")).toEqual({ queue: "work", to: LOST, jobs: 0 });
  expect(await redisClient().exists(parkedKey(queue))).toBe(0);
});
