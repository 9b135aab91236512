import { once } from "node:events";
import { expect, test } from "vitest";
import { exportDead } from "../../src/admin/dead.ts";
import { copyJobs } from "../../src/admin/job-edit.ts";
import { jobLogs, showJob } from "../../src/admin/job-show.ts";
import { listJobs } from "../../src/admin/jobs.ts";
import { moveQueue } from "../../src/admin/queue-move.ts";
import { listSchedules, putSchedule } from "../../src/admin/schedules.ts";
import { listTasks } from "../../src/admin/tasks.ts";
import { NotFoundError, OptionError } from "../../src/errors.ts";
import { defineJob, typed } from "../../src/job/contract.ts";
import { defineHandler } from "../../src/job/handler.ts";
import { failJobs, stockQueue, stockWorker } from "../interop/stock.ts";
import { testApp, until } from "../support/app.ts";
import { all, testOperator } from "./opened-operator.ts";

test("shows a job that a stock worker failed: payload, options, attempts, stacks, logs", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  const job = { id: "1" };
  await failJobs(stock, operator.prefix, [{ name: "mail", data: { to: "ada" }, opts: { attempts: 2, priority: 4 } }], async (job) => {
    await job.updateProgress({ done: 3 });
    await job.log(`try ${job.attemptsMade + 1}`);
    throw new Error("no such address");
  });
  const shown = await showJob(operator, "work", job.id);
  expect(shown).toMatchObject({
    queue: "work", id: job.id, name: "mail", state: "failed", payload: { to: "ada" }, result: undefined, progress: { done: 3 }, options: { attempts: 2, priority: 4 },
    version: undefined, attempts: 2, attemptsMost: 2, deliveries: 2, crashes: 0, reason: "no such address", logLines: 2, parent: undefined, pendingChildren: 0, leaseMs: undefined, priority: 4,
  });
  expect(shown.stacks).toEqual([expect.stringMatching(/^Error: no such address\n/) as string, expect.any(String) as string]);
  expect(shown.finishedAt).toBeGreaterThanOrEqual(shown.startedAt!);
  expect(await all(jobLogs(operator, "work", job.id))).toEqual(["try 1", "try 2"]);
});

test("a job that does not carry how many attempts it has does not tell it: its contract may allow more than stock workers make", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  const contract = defineJob("mail", { queue: "work", payload: typed<object>(), attempts: 2, backoff: { type: "fixed", base: 0, jitter: 0 } });
  testApp({ prefix: operator.prefix }).pool([defineHandler(contract, { handle: () => Promise.reject(new Error("no such address")) })]);
  await stock.add("mail", {}, { jobId: "a" });
  await until(async () => (await stock.getJobState("a")) === "failed");
  expect(await showJob(operator, "work", "a")).toMatchObject({ attempts: 2, attemptsMost: undefined });
});

test("shows who holds a job that runs, when one is due, and what is no JSON as it is", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  const [later] = [await stock.add("later", 1, { delay: 60_000 })];
  const { promise: started, resolve: start } = Promise.withResolvers<void>();
  await stockWorker(operator.prefix, () => (start(), new Promise(() => undefined)), { name: "worker-7" });
  const running = await stock.add("now", 1);
  await started;
  const shown = await showJob(operator, "work", running.id!);
  expect(shown).toMatchObject({ state: "active", worker: "worker-7", leaseMs: expect.any(Number) as number });
  await operator.connections.command.hset(`${operator.prefix}:work:${later.id}`, "data", "{broken");
  const delayed = await showJob(operator, "work", later.id!);
  expect(delayed).toMatchObject({ state: "delayed", payload: "{broken" });
  expect(delayed.dueAt! - delayed.putAt).toBe(60_000);
});

test("refuses what is none before any I/O, and a job that is not there", async () => {
  const nowhere = testOperator({ redis: "redis://127.0.0.1:1" });
  await expect(showJob(nowhere, "work", "")).rejects.toThrow(OptionError);
  expect(() => jobLogs(nowhere, "a:b", "1")).toThrow(OptionError);
  const operator = testOperator();
  await stockQueue(operator.prefix).add("n", 1);
  await expect(showJob(operator, "work", "99")).rejects.toThrow(NotFoundError);
  await expect(all(jobLogs(operator, "work", "99"))).rejects.toThrow('no job "99" is in queue work');
  expect(await all(jobLogs(operator, "work", "1"))).toEqual([]);
});

test("who has no contract sees what it redacts as ***, in payload, result and export; the handler sees it", async () => {
  const operator = testOperator();
  const app = testApp({ prefix: operator.prefix });
  const job = defineJob("mail", { queue: "work", payload: typed<{ to: string; body: string }>(), result: typed<{ body: string }>(), attempts: 1, redact: ["body"] });
  const handle = await app.queue(job).put({ to: "ada", body: "secret" });
  expect((await showJob(operator, "work", handle.id)).payload).toEqual({ to: "ada", body: "***" });
  const failed = await app.queue(job).put({ to: "fail", body: "secret" });
  const pool = app.pool([defineHandler(job, { handle: async ({ to, body }) => (to === "fail" ? Promise.reject(new Error("no")) : { body }) })]);
  expect(await handle.result()).toEqual({ body: "secret" });
  await failed.outcome();
  await pool.cancel();
  expect(await showJob(operator, "work", handle.id)).toMatchObject({ state: "completed", result: { body: "***" } });
  expect(await all(exportDead(operator, "work"))).toMatchObject([{ payload: { to: "fail", body: "***" } }]);
});

test("nobody who operates reads it in a schedule, in the progress of what runs, or in a job that was copied or moved elsewhere", async () => {
  const operator = testOperator();
  const app = testApp({ prefix: operator.prefix });
  const job = defineJob("mail", { queue: "work", payload: typed<{ body: string }>(), progress: typed<{ at: string; body: string }>(), redact: ["body"] });
  const pool = app.pool([defineHandler(job, {
    async handle(_, task) {
      await task.progress({ at: "half", body: "secret" });
      await once(task.signal, "abort");
    },
  })]);
  await pool.ready;
  expect(await putSchedule(operator, "work", "weekly", { name: "mail", every: "1h", payload: { body: "secret" } })).toMatchObject({ payload: { body: "***" } });
  expect(await listSchedules(operator)).toMatchObject([{ payload: { body: "***" } }]);
  await until(async () => (await listTasks(operator)).tasks[0]?.progress != null);
  expect((await listTasks(operator)).tasks.map(({ progress }) => progress)).toEqual(['{"at":"half","body":"***"}']);
  await pool.cancel();
  await app.queue(job).pause();
  const { id } = await app.put(job, { body: "secret" });
  await copyJobs(operator, "work", { ids: [id], to: "copies" });
  const target = testOperator();
  await moveQueue(operator, "work", target, "work");
  expect((await showJob(target, "work", id)).payload).toEqual({ body: "***" });
  const [copy] = await all(listJobs(operator, "copies"));
  expect((await showJob(operator, "copies", copy!.id)).payload).toEqual({ body: "***" });
});

test("a pool notes what its contracts redact in jobs that stock BullMQ puts", async () => {
  const operator = testOperator();
  const app = testApp({ prefix: operator.prefix });
  const job = await stockQueue(operator.prefix).add("mail", { body: "secret" });
  await using pool = app.pool([defineHandler(defineJob("mail", { queue: "work", payload: typed<object>(), redact: ["body"] }), { handle: async () => undefined })]);
  await pool.ready;
  expect((await showJob(operator, "work", job.id!)).payload).toEqual({ body: "***" });
});
