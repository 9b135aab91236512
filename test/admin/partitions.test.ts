/** Every verb of an operator sees one queue, however many partitions it is in, and finds it by its name alone. */
import { beforeAll, afterAll, describe, expect, test } from "vitest";
import {
  cancelJobs, cancelTask, copyJobs, deleteQueue, discardDead, doctor, editJob, jobLogs, listDead, listJobs, listQueues, listTasks, listWorkers, moveQueue, pauseQueue, promoteJobs, purgeQueue,
  queueStats, removeJobs, resumeQueue, retryDead, retryJobs, showJob,
} from "../../src/admin/index.ts";
import { defineHandler, defineJob, defineQueue, typed } from "../../src/index.ts";
import { findServer } from "../../src/redis/server.ts";
import { testApp, until } from "../support/app.ts";
import { openCluster, type Cluster } from "../support/cluster.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";
import { all, testOperator } from "./opened-operator.ts";

const PARTITIONS = 5;
const JOBS = 20;
const job = defineJob("letter", { queue: defineQueue("mail", { partitions: PARTITIONS }), payload: typed<{ n: number }>(), attempts: 1, backoff: { type: "fixed", base: 0 } });
const letters = Array.from({ length: JOBS }, (_, n) => ({ n }));
const everyN = letters.map(({ n }) => n);

let cluster: Cluster | undefined;
beforeAll(async () => {
  const program = await findServer();
  if (program !== undefined) cluster = await openCluster(program.path, { primaries: 3, replicas: 0 });
});
afterAll(() => cluster?.[Symbol.asyncDispose]());

describe.each([["one server", () => redisUrl()], ["a cluster", () => cluster!.url]])("on %s", (_, url) => {
  function setUp() {
    const options = { redis: url(), prefix: freshPrefix() };
    const app = testApp(options);
    return { app, queue: app.queue(job), operator: testOperator(options) };
  }

  test("list, stats, pause and resume", async () => {
    const { app, queue, operator } = setUp();
    await queue.putMany(letters);
    await queue.putMany(letters, { delay: "1h" });
    const counts = { waiting: JOBS, delayed: JOBS, unfinished: 2 * JOBS, active: 0, completed: 0, failed: 0 };
    expect(await listQueues(operator)).toEqual([expect.objectContaining({ queue: "mail", paused: false, ...counts })]);
    expect(await queueStats(operator, "mail")).toMatchObject({ queue: "mail", paused: false, ...counts, oldestWaitingMs: expect.any(Number) });
    await pauseQueue(operator, "mail");
    const ran: number[] = [];
    app.pool([defineHandler(job, { handle: async ({ n }) => void ran.push(n) })]);
    expect((await listQueues(operator))[0]!.paused).toBe(true);
    await queue.putMany([{ n: 99 }]);
    // What a paused queue would run, it would have run before these looks are over.
    for (let look = 0; look < 20; look += 1) expect(await queue.counts()).toMatchObject({ waiting: JOBS + 1, active: 0, completed: 0 });
    expect(ran).toEqual([]);
    await resumeQueue(operator, "mail");
    await until(() => ran.length === JOBS + 1);
    expect(ran.toSorted((a, b) => a - b)).toEqual([...everyN, 99]);
  });

  test("list, show and edit jobs; promote, cancel, remove, copy and purge them", async () => {
    const { queue, operator } = setUp();
    const handles = await Promise.all(letters.map((letter) => queue.put(letter, { delay: "1h" })));
    const ids = handles.map(({ id }) => id);
    expect((await all(listJobs(operator, "mail", { state: "delayed" }))).map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    expect(await all(listJobs(operator, "mail", { limit: 7 }))).toHaveLength(7);
    for (const { n } of letters) expect(await showJob(operator, "mail", ids[n]!)).toMatchObject({ queue: "mail", state: "delayed", payload: { n } });
    expect(await all(jobLogs(operator, "mail", ids[3]!))).toEqual([]);
    await editJob(operator, "mail", ids[3]!, { payload: { n: 33 } });
    expect(await showJob(operator, "mail", ids[3]!)).toMatchObject({ payload: { n: 33 } });
    expect(await promoteJobs(operator, "mail", { all: true })).toMatchObject({ matched: JOBS, changed: JOBS });
    expect(await queue.counts()).toMatchObject({ waiting: JOBS, delayed: 0 });
    expect(await cancelJobs(operator, "mail", { ids: ids.slice(0, 5) })).toMatchObject({ changed: 5 });
    expect(await handles[0]!.outcome({ timeout: "5s" })).toMatchObject({ state: "cancelled" });
    expect(await removeJobs(operator, "mail", { ids: ids.slice(5, 10) })).toMatchObject({ changed: 5 });
    expect(await queue.counts()).toMatchObject({ waiting: 10, failed: 5 });
    const copied = await copyJobs(operator, "mail", { state: "waiting" });
    expect(copied).toMatchObject({ matched: 10, changed: 10 });
    const now = await all(listJobs(operator, "mail", { state: "waiting" }));
    expect(now).toHaveLength(20);
    // The copies are found by their ids as any other job of the queue.
    for (const { id } of now) expect(await queue.job(id).state()).toBe("waiting");
    expect(await purgeQueue(operator, "mail", { state: "waiting" })).toMatchObject({ changed: 20 });
    await queue.join({ timeout: "5s" });
  });

  test("dead letters: list, retry and discard a group; then delete the queue", async () => {
    const { app, queue, operator } = setUp();
    let fails = true;
    const handler = defineHandler(job, {
      async handle({ n }) {
        if (fails) throw new Error(`no post box ${n}`);
      },
    });
    const pool = app.pool([handler]);
    await queue.putMany(letters);
    await queue.join({ timeout: "20s" });
    const { groups } = await listDead(operator, "mail");
    expect(groups).toEqual([expect.objectContaining({ queue: "mail", name: "letter", count: JOBS })]);
    fails = false;
    const [{ id: one } = { id: "" }] = await all(listJobs(operator, "mail", { state: "failed" }));
    expect(await retryJobs(operator, "mail", { ids: [one] })).toMatchObject({ changed: 1 });
    expect(await retryDead(operator, "mail", { group: groups[0]!.group, limit: 9 })).toMatchObject({ changed: 9 });
    await queue.join({ timeout: "20s" });
    expect(await queue.counts()).toMatchObject({ completed: 10, failed: 10 });
    expect(await discardDead(operator, "mail", { group: groups[0]!.group })).toMatchObject({ changed: 10 });
    expect((await doctor(operator)).findings.filter(({ severity }) => severity === "error")).toEqual([]);
    await pool.cancel();
    expect(await deleteQueue(operator, "mail")).toEqual({ queue: "mail", jobs: 10 });
    expect(await listQueues(operator)).toEqual([]);
  });

  test("workers and their tasks, of whichever partition, are those of one queue", async () => {
    const { app, queue, operator } = setUp();
    const before = testApp({ redis: url(), prefix: operator.prefix });
    const plain = await before.put(defineJob("letter", { payload: typed<{ n: number }>(), queue: "mail" }), { n: 0 });
    await queue.putMany(letters.slice(1, 6));
    app.pool([defineHandler(job, { handle: (_letter, { signal }) => new Promise((_resolve, reject) => void signal.addEventListener("abort", () => reject(signal.reason as Error))) })], { concurrency: 6 });
    await until(async () => (await listTasks(operator)).tasks.length === 6);
    const { tasks } = await listTasks(operator);
    expect(new Set(tasks.map((task) => task.queue))).toEqual(new Set(["mail"]));
    expect((await listWorkers(operator)).map(({ queues }) => queues)).toEqual([["mail"]]);
    for (const { id } of tasks) expect(await cancelTask(operator, id)).toMatchObject({ cancelled: true });
    expect(await plain.outcome({ timeout: "10s" })).toMatchObject({ state: "cancelled" });
    await queue.join({ timeout: "10s" });
  });

  test("another number of partitions, with jobs in them: moved away, and moved back", async () => {
    const { app, queue, operator } = setUp();
    await queue.putMany(letters);
    await queue.putMany(letters, { delay: "1h" });
    await app[Symbol.asyncDispose]();
    expect(await moveQueue(operator, "mail", operator, "old")).toMatchObject({ moved: 2 * JOBS });
    await deleteQueue(operator, "mail");
    const later = testApp({ redis: url(), prefix: operator.prefix });
    const three = defineJob("letter", { queue: defineQueue("mail", { partitions: 3 }), payload: typed<{ n: number }>() });
    const ran: number[] = [];
    later.pool([defineHandler(three, { handle: async ({ n }) => void ran.push(n) })]);
    await later.put(three, { n: 99 });
    expect(await moveQueue(operator, "old", operator, "mail")).toMatchObject({ moved: 2 * JOBS });
    await until(() => ran.length === JOBS + 1);
    expect(ran.toSorted((a, b) => a - b)).toEqual([...everyN, 99]);
    expect(await later.queue(three).counts()).toMatchObject({ delayed: JOBS, unfinished: JOBS });
  });
});
