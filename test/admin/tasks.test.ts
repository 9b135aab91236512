import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { audit } from "../../src/admin/audit.ts";
import { cancelTask, listTasks } from "../../src/admin/tasks.ts";
import { register } from "../../src/control/registry.ts";
import { connect, defineHandler, defineJob, typed } from "../../src/index.ts";
import { stockQueue, stockWorker } from "../interop/stock.ts";
import { entryOf, taskOf } from "../control/control.ts";
import { recordedLog, until } from "../support/app.ts";
import { failure } from "../support/outcome.ts";
import { redisUrl } from "../support/redis.ts";
import { all, testOperator } from "./opened-operator.ts";

function pooled(prefix: string) {
  const app = connect({ redis: redisUrl(), prefix, log: recordedLog() });
  onTestFinished(() => app[Symbol.asyncDispose]());
  const reasons: unknown[] = [];
  const handler = defineHandler(defineJob("n", { queue: "work", payload: typed<object>(), attempts: 5, progress: typed<string>() }), {
    async handle(_, task) {
      await task.progress("half");
      await once(task.signal, "abort");
      reasons.push(task.signal.reason);
      throw task.signal.reason as Error;
    },
  });
  return { pool: app.pool([handler], { name: "mill" }), reasons };
}

test("lists what runs everywhere, the oldest first, and cancels one by the beginning of its id, of a job that stock BullMQ put", async () => {
  const operator = testOperator();
  const { pool, reasons } = pooled(operator.prefix);
  const stock = stockQueue(operator.prefix);
  await stock.add("n", {}, { jobId: "first-job" });
  await until(() => pool.running === 1);
  await stock.add("n", {}, { jobId: "second-job" });
  await until(async () => (await listTasks(operator)).tasks.filter(({ progress }) => progress === '"half"').length === 2);
  const { tasks, unlisted } = await listTasks(operator);
  expect(tasks).toMatchObject(["first-job", "second-job"].map((id) => ({ id, name: "n", queue: "work", attempt: 1, stuck: false, interruption: null, worker: { id: pool.id, name: "mill" } })));
  expect(tasks[0]!.ageMs).toBeGreaterThanOrEqual(tasks[1]!.ageMs);
  expect(unlisted).toEqual([]);
  expect(await cancelTask(operator, "first", { reason: "the customer left" })).toEqual({ id: "first-job", name: "n", queue: "work", worker: { id: pool.id, name: "mill" }, cancelled: true });
  await until(async () => (await stock.getJobState("first-job")) === "failed");
  expect((await stock.getJob("first-job"))?.failedReason).toContain("the customer left");
  expect(String(reasons[0])).toContain("the customer left");
  expect(pool.running).toBe(1);
  expect(await all(audit(operator))).toMatchObject([{ command: "task cancel", target: "work/first-job", outcome: "done", touched: 1 }]);
});

test("lists what is asked for: of a queue, of a name, what runs for longer, the oldest of it", async () => {
  const operator = testOperator();
  await operator.ready();
  const now = operator.connections.clock.now();
  const startedAt = (ms: number) => ({ startedAt: now - ms });
  await register(operator.connections, entryOf("a"), [taskOf("t1", { queue: "mail", ...startedAt(90_000) }), taskOf("t2", { queue: "mail", name: "send", ...startedAt(30_000) })]);
  await register(operator.connections, entryOf("b"), [taskOf("t3", { queue: "post", name: "send", ...startedAt(120_000) })]);
  const ids = async (filter?: Parameters<typeof listTasks>[1]): Promise<string[]> => (await listTasks(operator, filter)).tasks.map(({ id }) => id);
  expect(await ids()).toEqual(["t3", "t1", "t2"]);
  expect(await ids({ queue: "mail" })).toEqual(["t1", "t2"]);
  expect(await ids({ name: "send" })).toEqual(["t3", "t2"]);
  expect(await ids({ older: "1m" })).toEqual(["t3", "t1"]);
  expect(await ids({ limit: 1 })).toEqual(["t3"]);
  expect(await ids({ queue: "mail", name: "send", older: "1m" })).toEqual([]);
  const nowhere = testOperator({ redis: "redis://127.0.0.1:1" });
  for (const wrong of [{ limit: 0 }, { older: "soon" }, { queue: "" }, { state: "active" }]) expect((await failure(listTasks(nowhere, wrong as never))).error).toMatchObject({ code: "OPTION_INVALID" });
});

test("lists what a stock worker runs beside a pool on the same queue, and never a job that the pool has taken and not told of", { timeout: 60_000 }, async () => {
  const operator = testOperator();
  const theirs: string[] = [];
  const { prefix } = operator;
  await stockWorker(prefix, (job) => new Promise<never>(() => void theirs.push(job.id!)), { name: "press", concurrency: 10 });
  const { pool } = pooled(prefix);
  await pool.ready;
  const stock = stockQueue(prefix);
  const isStock = ({ worker }: { readonly worker: { readonly id: string | null } }): boolean => worker.id === null;
  const calledStock = new Set<string>();
  let early = 0;
  // Each has ten slots: of eleven jobs both have some.
  for (let n = 0; n < 20 && (pool.running === 0 || theirs.length === 0 || early === 0); n += 1) {
    await stock.add("n", {}, { jobId: `job-${n}` });
    await until(async () => (await stock.getWaitingCount()) === 0);
    const { tasks } = await listTasks(operator);
    for (const { id } of tasks.filter(isStock)) calledStock.add(id);
    // Whatever the pool has just taken is not told of yet.
    if (tasks.length < pool.running + theirs.length) early += 1;
  }
  expect([pool.running > 0, theirs.length > 0, early > 0]).toEqual([true, true, true]);
  expect([...calledStock].filter((id) => !theirs.includes(id))).toEqual([]);
  await until(async () => (await listTasks(operator)).tasks.length === pool.running + theirs.length);
  const { tasks, unlisted } = await listTasks(operator);
  expect(tasks.filter(isStock).map(({ id }) => id).toSorted()).toEqual(theirs.toSorted());
  expect(tasks.find(isStock)).toEqual({ id: expect.any(String) as string, name: "n", queue: "work", attempt: 1, startedAt: expect.any(Number) as number, ageMs: expect.any(Number) as number, progress: null, interruption: null, stuck: false, worker: { id: null, name: "press" } });
  expect(unlisted).toEqual([]);
  expect((await listTasks(operator, { queue: "elsewhere" })).tasks).toEqual([]);
  expect((await listTasks(operator, { queue: "work", name: "n", older: "1h" })).tasks).toEqual([]);
  const [one] = theirs;
  expect(await cancelTask(operator, one!)).toEqual({ id: one, name: "n", queue: "work", worker: { id: null, name: "press" }, cancelled: true });
  expect(await stock.getJobState(one!)).toBe("active");
  expect((await listTasks(operator)).tasks.find(({ id }) => id === one)).toMatchObject({ interruption: `by ${operator.who}`, worker: { id: null } });
});

test("a stock worker without a name is not called by who had its job before, nor is a job listed twice that its pool has lost", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  await stock.add("n", {}, { jobId: "a" });
  const key = `${operator.prefix}:work:a`;
  await operator.ready();
  await operator.connections.command.hset(key, { pb: "mill" });
  await stockWorker(operator.prefix, () => new Promise(() => undefined));
  await until(async () => (await listTasks(operator)).tasks.length === 1);
  expect((await listTasks(operator)).tasks).toMatchObject([{ id: "a", worker: { id: null, name: "BullMQ" } }]);
  await register(operator.connections, entryOf("a"), [taskOf("a")]);
  expect((await listTasks(operator)).tasks).toMatchObject([{ id: "a", worker: { id: "a" } }]);
});

test("says who runs more than is listed", async () => {
  const operator = testOperator();
  await operator.ready();
  await register(operator.connections, entryOf("a", { running: 130, stuck: 1 }), Array.from({ length: 131 }, (_, n) => taskOf(`t${n}`)));
  const { tasks, unlisted } = await listTasks(operator);
  expect(tasks).toHaveLength(100);
  expect(unlisted).toEqual([{ worker: { id: "a", name: "name-a" }, count: 31 }]);
  expect((await failure(cancelTask(operator, "t1000"))).error).toMatchObject({ code: "NOT_FOUND", message: expect.stringContaining("job cancel") as string });
});

test("refuses what names no task, or several, and what may only look; one that has ended by then is not cancelled", async () => {
  const operator = testOperator();
  expect(await listTasks(operator)).toEqual({ tasks: [], unlisted: [] });
  await register(operator.connections, entryOf("a"), [taskOf("t1"), taskOf("t2"), taskOf("120")]);
  const error = async (id: string) => (await failure(cancelTask(operator, id))).error;
  for (const id of ["x", "12"]) expect(await error(id)).toMatchObject({ code: "NOT_FOUND" });
  expect(await error("t")).toMatchObject({ code: "OPTION_INVALID", message: expect.stringContaining("t1 of work, t2 of work: job cancel takes") as string });
  expect(await error("")).toMatchObject({ code: "OPTION_INVALID" });
  expect(await cancelTask(operator, "t1")).toMatchObject({ id: "t1", cancelled: false });
  expect(await all(audit(operator))).toMatchObject([{ command: "task cancel", outcome: "failed", touched: 0, error: "STATE_INVALID: it had ended by then" }]);
  const onlooker = testOperator({ prefix: operator.prefix, readOnly: true });
  expect((await failure(cancelTask(onlooker, "t1"))).error).toMatchObject({ code: "READ_ONLY" });
  expect((await failure(cancelTask(testOperator({ redis: "redis://127.0.0.1:1", readOnly: true }), "t1"))).error).toMatchObject({ code: "READ_ONLY" });
  expect((await all(audit(operator))).map(({ target, touched }) => [target, touched])).toEqual([["work/t1", 0]]);
});
