import { expect, test } from "vitest";
import { deleteQueue } from "../../src/admin/queue-changes.ts";
import { exportQueue, type ExportLine } from "../../src/admin/queue-export.ts";
import { importQueue } from "../../src/admin/queue-import.ts";
import type { Operator } from "../../src/admin/operator.ts";
import { audit } from "../../src/admin/audit.ts";
import { showJob } from "../../src/admin/job-show.ts";
import { pauseSchedule, putSchedule } from "../../src/admin/schedules.ts";
import { listJobs } from "../../src/admin/jobs.ts";
import { OptionError, ReadOnlyError } from "../../src/errors.ts";
import { defineHandler, defineJob, defineQueue, typed } from "../../src/index.ts";
import { stockFlows, stockQueue, stockWorker } from "../interop/stock.ts";
import { testApp, until } from "../support/app.ts";
import { redisClient } from "../support/redis.ts";
import { all, testOperator } from "./opened-operator.ts";

const job = defineJob("n", { queue: "work", payload: typed<{ n: number }>(), result: typed<number>() });

/** Without what says when it was written. */
async function exported(operator: Operator, name = "work"): Promise<ExportLine[]> {
  return (await all(exportQueue(operator, name))).map((line) => (line.kind === "queue" ? { ...line, at: 0 } : line));
}

const asText = (lines: readonly ExportLine[]): string[] => lines.map((line) => JSON.stringify(line));

/** A queue with jobs in every state but active, put by us and by stock BullMQ, some of which were run. */
async function full(operator: Operator): Promise<void> {
  const { prefix } = operator;
  const stock = stockQueue(prefix);
  const app = testApp({ prefix });
  await stock.addBulk([{ name: "good", data: { n: 1 } }, { name: "bad", data: { n: 2 }, opts: { attempts: 2, backoff: 1 } }]);
  const worker = await stockWorker(prefix, async (each) => {
    await each.log("a line");
    await each.updateProgress(50);
    if (each.name === "bad") throw new Error("it is bad");
    return { made: each.data as unknown };
  });
  await until(async () => (await stock.getFailedCount()) === 1 && (await stock.getCompletedCount()) === 1);
  await worker.close();
  for (let n = 0; n < 5; n += 1) await app.put(job, { n });
  await stock.addBulk(Array.from({ length: 5 }, (_, n) => ({ name: "low", data: { n }, opts: { priority: 10 - n } })));
  await stock.addBulk(Array.from({ length: 5 }, (_, n) => ({ name: "later", data: { n }, opts: { delay: 3_600_000 + n } })));
  await stock.add("once", {}, { deduplication: { id: "one", ttl: 3_600_000 } });
  await stock.upsertJobScheduler("nightly", { pattern: "0 0 3 * * *" }, { name: "night", data: { n: 3 } });
  await putSchedule(operator, "work", "weekly", { name: "week", cron: "0 7 * * 1", tz: "Europe/Zurich" });
  await pauseSchedule(operator, "work", "weekly");
  await stock.setGlobalConcurrency(7);
  await stockFlows(prefix).add({ name: "parent", queueName: "work", children: [{ name: "child", queueName: "work" }] });
  await stock.pause();
}

test("what was exported and imported is exported again to the same lines: states, order, attempts, times, results, failures, logs", async () => {
  const operator = testOperator();
  await full(operator);
  const first = await exported(operator);
  const states = new Map<string, number>();
  for (const line of first) if (line.kind === "job") states.set(line.state, (states.get(line.state) ?? 0) + 1);
  expect(Object.fromEntries(states)).toEqual({ "waiting-children": 1, delayed: 6, prioritized: 5, waiting: 7, failed: 1, completed: 1 });
  const other = testOperator();
  expect(await importQueue(other, "work", asText(first))).toEqual({ queue: "work", jobs: 21, existing: 0, schedules: 2, complete: true });
  const withoutTtl = (lines: ExportLine[]) => lines.map((line) => (line.kind === "job" && line.deduplicationMs > 0 ? { ...line, deduplicationMs: 1 } : line));
  const second = withoutTtl(await exported(other));
  expect(second).toEqual(withoutTtl(first));
  expect(await importQueue(other, "work", asText(first))).toMatchObject({ jobs: 0, existing: 21, schedules: 0 });
  expect(withoutTtl(await exported(other))).toEqual(second);
});

test("stock BullMQ goes on with what was imported: it runs it in order, gives ids that are free, keeps the schedule", async () => {
  const operator = testOperator();
  await full(operator);
  const lines = await exported(operator);
  // In its place again, since a flow is bound to its queues.
  await deleteQueue(operator, "work");
  expect(await redisClient().keys(`${operator.prefix}:work:*`)).toEqual([]);
  await importQueue(operator, "work", asText(lines));
  const stock = stockQueue(operator.prefix);
  expect(await stock.isPaused()).toBe(true);
  expect(await stock.getGlobalConcurrency()).toBe(7);
  expect((await stock.getJobScheduler("nightly"))?.pattern).toBe("0 0 3 * * *");
  expect((await stock.add("once", {}, { deduplication: { id: "one" } })).id).toBe((await stock.getWaiting()).find(({ name }) => name === "once")?.id);
  const failed = (await stock.getFailed())[0]!;
  expect([failed.failedReason, failed.attemptsMade, failed.progress, (await stock.getJobLogs(failed.id!)).count]).toEqual(["it is bad", 2, 50, 2]);
  expect((await stock.getCompleted())[0]!.returnvalue).toEqual({ made: { n: 1 } });
  const ids = new Set(lines.map((line) => (line.kind === "job" ? line.id : "")));
  const added = await stock.add("new", {});
  expect(ids).not.toContain(added.id);
  const ran: string[] = [];
  const order: number[] = [];
  await stock.removeGlobalConcurrency();
  await stock.resume();
  const worker = await stockWorker(operator.prefix, async ({ name, data }) => {
    ran.push(name);
    if (name === "n" || name === "low") order.push((data as { n: number }).n);
  }, { concurrency: 1 });
  await until(async () => (await stock.getWaitingCount()) + (await stock.getPrioritizedCount()) + (await stock.getActiveCount()) + (await stock.getWaitingChildrenCount()) === 0);
  await worker.close();
  expect(ran).toEqual(["n", "n", "n", "n", "n", "once", "child", "parent", "new", "low", "low", "low", "low", "low"]);
  expect(order).toEqual([0, 1, 2, 3, 4, 4, 3, 2, 1, 0]);
});

test("what was active waits again, first of all, and the attempt it had begun is not lost to it", async () => {
  const [operator, other] = [testOperator(), testOperator()];
  const app = testApp({ prefix: operator.prefix });
  const free = Promise.withResolvers<number>();
  app.pool([defineHandler(job, { handle: () => free.promise })], { concurrency: 1 });
  const running = await app.put(job, { n: 0 });
  await until(async () => (await app.queue(job).counts()).active === 1);
  await app.put(job, { n: 1 });
  await importQueue(other, "work", asText(await exported(operator)));
  free.resolve(1);
  const client = redisClient();
  expect((await client.lrange(`${other.prefix}:work:wait`, "0", "-1")).at(-1)).toBe(running.id);
  const ran: number[] = [];
  const there = testApp({ prefix: other.prefix });
  there.pool([defineHandler(job, { handle: async ({ n }) => (ran.push(n), n) })], { concurrency: 1 });
  await there.queue(job).join();
  expect(ran).toEqual([0, 1]);
});

test("an export of an empty queue is its first and its last line; of one that is not there, an error", async () => {
  const operator = testOperator();
  await stockQueue(operator.prefix).pause();
  expect(await exported(operator)).toEqual([{ kind: "queue", format: 1, queue: "work", at: 0, settings: { paused: "1" } }, { kind: "end", jobs: 0, schedules: 0 }]);
  await expect(all(exportQueue(operator, "wrok"))).rejects.toMatchObject({ code: "NOT_FOUND", message: expect.stringContaining("work") as string });
});

test("a line that is none ends the import, and says which and why; what stands before it is imported with the rest of its batch or not at all", async () => {
  const operator = testOperator();
  const good: ExportLine = { kind: "job", id: "a", state: "waiting", score: 0, fields: { name: "n", data: "{}", opts: "{}" }, logs: [], deduplicationMs: -1, children: { pending: [], processed: {}, failed: {}, unsuccessful: {} } };
  const wrong: readonly (readonly [string, RegExp])[] = [
    ["{", /line 2 of an export/],
    ["{}", /line 2 of an export.*kind/],
    [JSON.stringify({ ...good, state: "lost" }), /state/],
    [JSON.stringify({ ...good, fields: { data: "{}" } }), /name/],
    [JSON.stringify({ ...good, id: "meta" }), /id of a job/],
    [JSON.stringify({ ...good, id: "a:lock" }), /id of a job/],
  ];
  for (const [text, message] of wrong) {
    const failing = importQueue(operator, "work", [JSON.stringify(good), text]);
    await expect(failing, text).rejects.toThrow(OptionError);
    await expect(failing, text).rejects.toThrow(message);
  }
  expect(await importQueue(operator, "work", [JSON.stringify(good)])).toMatchObject({ jobs: 1, complete: false });
  expect((await all(audit(operator))).at(-1)).toMatchObject({ outcome: "failed", touched: 1, error: "OPTION_INVALID: the export ends before its last line" });
});

test("an operator that only looks imports nothing", async () => {
  const operator = testOperator({ readOnly: true });
  await expect(importQueue(operator, "work", [])).rejects.toMatchObject({ code: "READ_ONLY" });
});

const letter = defineJob("letter", { queue: "work", payload: typed<{ to: string; body?: string }>(), result: typed<{ body: string }>(), redact: ["body"] });

/** Letters that wait and that are done, of a flow too, a schedule of them, and a job that nothing is redacted in. */
async function letters(operator: Operator): Promise<void> {
  const { prefix } = operator;
  const app = testApp({ prefix });
  const done = await app.put(letter, { to: "ada", body: "secret" });
  const pool = app.pool([defineHandler(letter, { handle: async () => ({ body: "secret too" }) })]);
  await stockFlows(prefix).add({ name: "sum", queueName: "work", data: {}, children: [{ name: "letter", queueName: "work", data: { body: "secret" } }, { name: "letter", queueName: "other", data: {} }] });
  await done.result();
  await until(async () => Object.keys((await (await stockQueue(prefix).getWaitingChildren())[0]?.getChildrenValues()) ?? {}).length === 1);
  await pool.cancel();
  await app.queue(letter).putMany([{ to: "grace", body: "secret" }, { to: "nobody" }]);
  await stockQueue(prefix).upsertJobScheduler("weekly", { every: 3_600_000 }, { name: "letter", data: { body: "secret" } });
  await stockQueue(prefix).add("plain", { body: "public" });
}

test("what contracts redact is masked in an export, which says so and is refused before anything is read in", async () => {
  const operator = testOperator();
  await letters(operator);
  const lines = await exported(operator);
  const text = asText(lines).join("\n");
  expect(text).not.toContain("secret");
  expect(text).toContain("public");
  expect(lines[0]).toMatchObject({ redact: { letter: ["body"] }, masked: true });
  const maskedJobs = lines.filter((line) => line.kind === "job" && line.masked === true).map((line) => line.kind === "job" && line.fields["name"]);
  expect(maskedJobs.toSorted()).toEqual(["letter", "letter", "letter", "letter", "sum"]);
  expect(lines.find((line) => line.kind === "schedule")).toMatchObject({ fields: { data: '{"body":"***"}' }, masked: true });
  const other = testOperator();
  for (const [first, at] of [[lines, 1], [lines.slice(1), 1]] as const) {
    await expect(importQueue(other, "work", asText(first))).rejects.toMatchObject({ code: "OPTION_INVALID", message: expect.stringContaining(`(line ${at}): millrace queue export --unmasked`) as string });
  }
  expect(await other.queueNames()).toEqual([]);
  expect(await all(audit(operator))).toEqual([]);
});

test("unmasked it is exact, keeps what is to be redacted, and stands in the trail; who may only look is refused", async () => {
  const [operator, other] = [testOperator(), testOperator()];
  await letters(operator);
  const onlooker = testOperator({ prefix: operator.prefix, readOnly: true });
  expect(() => exportQueue(onlooker, "work", { unmasked: true })).toThrow(ReadOnlyError);
  expect(await all(exportQueue(onlooker, "work"))).toHaveLength((await exported(operator)).length);
  const lines = await all(exportQueue(operator, "work", { unmasked: true }));
  expect(asText(lines).filter((line) => line.includes("secret"))).toHaveLength(6);
  expect(await all(audit(operator))).toMatchObject([{ command: "queue export", target: "work", details: '{"unmasked":true}', outcome: "done" }]);
  await importQueue(other, "work", asText(lines));
  const [, ...jobs] = await all(exportQueue(other, "work", { unmasked: true }));
  expect(jobs).toEqual(lines.slice(1));
  const waiting = (await all(listJobs(other, "work", { name: "letter", state: "waiting" })))[0]!;
  expect((await showJob(other, "work", waiting.id)).payload).toMatchObject({ body: "***" });
});

test("of a queue in partitions too", async () => {
  const operator = testOperator();
  const parted = defineJob("letter", { queue: defineQueue("parts", { partitions: 2 }), payload: typed<{ body: string }>(), redact: ["body"] });
  await testApp({ prefix: operator.prefix }).queue(parted).putMany(Array.from({ length: 6 }, () => ({ body: "secret" })));
  const lines = await exported(operator, "parts");
  expect(lines).toHaveLength(8);
  expect(lines[0]).toMatchObject({ redact: { letter: ["body"] }, masked: true });
  expect(asText(lines).join("")).not.toContain("secret");
});

test("limits that a stock tool set of one partition come back there; a queue of another number refuses them before anything is changed", async () => {
  const operator = testOperator();
  const parted = defineJob("n", { queue: defineQueue("parts", { partitions: 2 }), payload: typed<{ n: number }>() });
  await testApp({ prefix: operator.prefix }).queue(parted).putMany([1, 2, 3].map((n) => ({ n })));
  const second = stockQueue(`{${operator.prefix}-1}`, "parts");
  await second.setGlobalConcurrency(5);
  await second.setGlobalRateLimit(100, 1000);
  await second.pause();
  const lines = await exported(operator, "parts");
  expect(lines[0]).toMatchObject({ settings: {}, shares: [{}, {}, { concurrency: "5", max: "100", duration: "1000", paused: "1" }] });
  const other = testOperator();
  await importQueue(other, "parts", asText(lines));
  expect((await exported(other, "parts"))[0]).toEqual(lines[0]);
  await testApp({ prefix: other.prefix }).queue(parted).counts();
  await stockQueue(other.prefix, "plain").pause();
  await expect(importQueue(other, "plain", asText(lines))).rejects.toMatchObject({ code: "STATE_INVALID", message: expect.stringContaining("their own concurrency and rate,") as string });
  expect(await exported(other, "plain")).toHaveLength(2);
});
