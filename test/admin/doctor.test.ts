import { rm } from "node:fs/promises";
import { hostname } from "node:os";
import { expect, onTestFinished, test, vi } from "vitest";
import { doctor } from "../../src/admin/doctor.ts";
import { removeJobs } from "../../src/admin/job-changes.ts";
import type { Operator } from "../../src/admin/operator.ts";
import { deaf } from "../../src/admin/pool-findings.ts";
import { register } from "../../src/control/registry.ts";
import { defineHandler, defineJob, defineQueue, typed } from "../../src/index.ts";
import { historyKey } from "../../src/store/keys.ts";
import { bucketOf } from "../../src/telemetry/histogram.ts";
import { entryOf } from "../control/control.ts";
import { stockQueue, stockWorker } from "../interop/stock.ts";
import { testApp, until } from "../support/app.ts";
import { redisClient, startRedis } from "../support/redis.ts";
import { testOperator } from "./opened-operator.ts";

const job = defineJob("n", { queue: "work", payload: typed<object>() });

/** Of the queue, or of whatever is named. */
async function findings(operator: Operator, subject = "queue work", deep = false): Promise<Record<string, { message: string; remedy: string; evidence: Record<string, unknown> }>> {
  const found = (await doctor(operator, { deep })).findings.filter((finding) => finding.subject === subject);
  return Object.fromEntries(found.map((finding) => [finding.finding, finding]));
}

const kinds = async (operator: Operator, subject?: string): Promise<string[]> => Object.keys(await findings(operator, subject));

test("finds nothing where nothing is wrong, and says what it looked at", async () => {
  const { url } = await startRedis();
  const operator = testOperator({ redis: url });
  const app = testApp({ redis: url, prefix: operator.prefix });
  const pool = app.pool([defineHandler(job, { handle: async () => {} })]);
  await pool.ready;
  await app.put(job, {});
  await app.queue(job).join();
  await until(async () => (await doctor(operator)).workers === 1);
  expect(await doctor(operator, { deep: true })).toEqual({ findings: [], server: expect.stringMatching(/^Redis \d+\.\d+.* at /) as string, queues: 1, workers: 1 });
});

test("of many queues it looks over the keys, and at who is connected, as often as of one", async () => {
  const { url } = await startRedis();
  const operator = testOperator({ redis: url });
  await operator.ready();
  const [scans, calls] = [vi.spyOn(operator.connections.command, "scan"), vi.spyOn(operator.connections.command, "call")];
  const looks = async (queues: number): Promise<readonly [number, number]> => {
    for (let n = 0; n < queues; n += 1) await stockQueue(operator.prefix, `queue-${n}`, url).add("n", {});
    scans.mockClear();
    calls.mockClear();
    expect((await doctor(operator)).queues).toBe(queues);
    return [scans.mock.calls.length, calls.mock.calls.length];
  };
  const ofOne = await looks(1);
  expect(ofOne[0]).toBeGreaterThan(0);
  expect(await looks(60)).toEqual(ofOne);
});

test("a server that may evict jobs is a finding with its remedy, and the only one", async () => {
  const { url } = await startRedis({ "maxmemory-policy": "allkeys-lru" });
  expect((await doctor(testOperator({ redis: url }))).findings).toEqual([
    { finding: "unfit", severity: "error", subject: "redis", message: expect.stringContaining("allkeys-lru") as string, evidence: { maxmemoryPolicy: "allkeys-lru" }, remedy: "redis-cli CONFIG SET maxmemory-policy noeviction" },
  ]);
});

test("finds what a server lacks: persistence, memory, a disk, connections", async () => {
  const own = await startRedis({ appendonly: "no", maxmemory: "4mb", maxclients: "40" });
  const operator = testOperator({ redis: own.url });
  const client = redisClient(own.url);
  expect(await findings(operator, "redis")).toMatchObject({ server: { evidence: { appendonly: "no", save: "" }, remedy: "redis-cli CONFIG SET appendonly yes" } });
  expect(await kinds(operator, "redis")).not.toContain("memory");
  const used = async (): Promise<number> => Number(/used_memory:(\d+)/.exec(await client.info("memory"))?.[1]);
  for (let n = 0; (await used()) < 3.5 * 2 ** 20; n += 1) await client.set(`filler-${n}`, "x".repeat(50_000));
  await rm(own.dir, { recursive: true });
  await client.call("BGSAVE");
  await until(async () => (await client.info("persistence")).includes("rdb_last_bgsave_status:err"));
  const others = Array.from({ length: 34 }, () => redisClient(own.url));
  await Promise.all(others.map((other) => other.ping()));
  expect(await findings(operator, "redis")).toMatchObject({
    memory: { evidence: { limitBytes: 4 * 2 ** 20, limit: "maxmemory" } },
    saving: { evidence: { rdb_last_bgsave_status: "err" } },
    connections: { evidence: { most: expect.any(Number) as number }, remedy: expect.stringContaining("CONFIG SET maxclients") as string },
  });
});

test("a queue that nobody consumes is found while jobs wait, until a stock worker, or a pool, does", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  await stock.add("n", {}, { timestamp: Date.now() - 60_000 });
  const before = await findings(operator);
  expect(before).toMatchObject({ unconsumed: { evidence: { waiting: 1 }, remedy: expect.stringContaining("millrace worker start") as string } });
  expect(before["unconsumed"]!.evidence["oldestWaitingMs"]).toBeGreaterThan(59_000);
  const worker = await stockWorker(operator.prefix, () => new Promise<void>(() => {}), { concurrency: 1 });
  await stock.add("n", {}, { timestamp: Date.now() - 60_000 });
  await until(async () => (await kinds(operator)).length === 0);
  await worker.close(true);
  await until(async () => (await kinds(operator)).includes("unconsumed"));
  const named = await stockWorker(operator.prefix, () => new Promise<void>(() => {}), { concurrency: 1, name: "a-b" });
  await stock.add("n", {}, { timestamp: Date.now() - 60_000 });
  await until(async () => !(await kinds(operator)).includes("unconsumed"));
  await named.close(true);
  const pool = testApp({ prefix: operator.prefix }).pool([defineHandler(job, { handle: () => new Promise(() => {}) })], { concurrency: 1 });
  await until(async () => !(await kinds(operator)).includes("unconsumed"));
  pool.quiet();
  await stock.addBulk(Array.from({ length: 3 }, () => ({ name: "n", data: {}, opts: { timestamp: Date.now() - 60_000 } })));
  await until(async () => (await findings(operator))["unconsumed"]?.remedy.startsWith("millrace worker resume ") === true);
});

test("a queue that nobody consumes is found too where all that could run is delayed and due, as retries are when every worker has died", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  await stock.add("later", {}, { delay: 3_600_000 });
  await stock.add("n", {}, { delay: 1 });
  await until(async () => (await kinds(operator)).includes("unconsumed"));
  const { unconsumed } = await findings(operator);
  expect(unconsumed?.evidence).toMatchObject({ waiting: 0, delayedDue: 1, quietWorkers: 0 });
  expect(unconsumed?.evidence["oldestWaitingMs"]).toBeGreaterThanOrEqual(2000);
  await stock.pause();
  expect(await findings(operator)).toMatchObject({ paused: { evidence: { waiting: 0, delayedDue: 1 } } });
  await stock.resume();
  await stockWorker(operator.prefix, () => Promise.resolve());
  await until(async () => (await kinds(operator)).length === 0);
});

test("a paused queue is found while jobs wait", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  await stock.pause();
  expect(await kinds(operator)).toEqual([]);
  await stock.add("n", {});
  expect(await findings(operator)).toEqual({ paused: expect.objectContaining({ remedy: "millrace queue resume work" }) as object });
});

test("a queue to which more comes than is done is found", async () => {
  const operator = testOperator();
  await stockQueue(operator.prefix).add("n", {}, { delay: 3_600_000 });
  await stockWorker(operator.prefix, async () => {}, { concurrency: 5 });
  const { keys } = operator.queue("work");
  const now = Date.now();
  const step = (agoMs: number): string => historyKey(keys, 10_000, Math.floor((now - agoMs) / 10_000) * 10_000);
  const client = redisClient();
  await client.hset(step(120_000), { completed: 100, backlog: 50 });
  await client.hset(step(20_000), { completed: 200, backlog: 65 });
  await until(async () => (await kinds(operator)).length === 0);
  await client.hset(step(20_000), { completed: 200, backlog: 1250, [`r${bucketOf(2000)}`]: 200 });
  const { growing } = await findings(operator);
  const { arrivalsPerSecond, meanRunMs, slotsNeeded, withinMs } = growing!.evidence as Record<string, number>;
  expect(growing).toMatchObject({ remedy: "start more workers", evidence: { backlogBefore: 50, backlog: 1250, slots: 0 } });
  expect(arrivalsPerSecond).toBeCloseTo((1400 * 1000) / withinMs!);
  expect(Math.abs(meanRunMs! - 2000)).toBeLessThan(0.12 * 2000);
  expect(slotsNeeded).toBe(Math.ceil((arrivalsPerSecond! * meanRunMs!) / 1000));
});

test("jobs that are active without a lease are found when nobody brings them back", async () => {
  const operator = testOperator();
  const client = redisClient();
  const base = `${operator.prefix}:work:`;
  await stockQueue(operator.prefix).add("n", {}, { jobId: "left" });
  const [left] = (await client.lrange(`${base}wait`, "0", "-1")) as [string];
  await client.lmove(`${base}wait`, `${base}active`, "RIGHT", "LEFT");
  await client.hset(`${base}${left}`, "processedOn", Date.now() - 5000, "pb", "web-1");
  expect(await kinds(operator)).toEqual([]);
  await client.hset(`${base}${left}`, "processedOn", Date.now() - 60_000);
  expect(await findings(operator)).toEqual({ stuck: expect.objectContaining({ evidence: expect.objectContaining({ jobs: [expect.objectContaining({ id: "left", worker: "web-1" })] }) as object }) as object });
  const worker = await stockWorker(operator.prefix, async () => {}, { autorun: false });
  void worker.run();
  await until(async () => !(await kinds(operator)).includes("stuck"));
  await worker.close();
  await client.set(`${base}${left}:lock`, "held");
  expect(await kinds(operator)).toEqual([]);
});

test("a job that is in no state is an orphan; those in every state are not", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  const client = redisClient();
  const base = `${operator.prefix}:work:`;
  const worker = await stockWorker(operator.prefix, (each) => (each.name === "bad" ? Promise.reject(new Error("no")) : Promise.resolve()));
  await stock.addBulk([{ name: "good", data: 1 }, { name: "bad", data: 1 }]);
  await until(async () => (await stock.getFailedCount()) === 1 && (await stock.getCompletedCount()) === 1);
  await worker.close();
  await stock.addBulk([{ name: "n", data: 1 }, { name: "n", data: 1, opts: { priority: 1 } }, { name: "n", data: 1, opts: { delay: 60_000 } }]);
  await stock.upsertJobScheduler("nightly", { every: 3_600_000 });
  expect(Object.keys(await findings(operator, "queue work", true))).not.toContain("orphans");
  await client.hset(`${base}lost`, "name", "n", "data", "{}", "opts", "{}");
  expect(await findings(operator, "queue work", true)).toMatchObject({ orphans: { evidence: { ids: ["lost"] }, remedy: "millrace job show work lost, then millrace job remove work lost" } });
});

test("what is left of a job that is gone is found, and removed by what the finding says", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  await stock.add("n", 1, { jobId: "kept" });
  const client = redisClient();
  const base = `${operator.prefix}:work:`;
  await client.rpush(`${base}gone:logs`, "line");
  await client.sadd(`${base}gone:dependencies`, "x");
  expect((await findings(operator, "queue work", true))["orphans"]).toMatchObject({
    severity: "warning", message: "2 keys are left of jobs that are gone: nobody will ever remove them", evidence: { ids: undefined, leftKeys: expect.arrayContaining(["gone:logs", "gone:dependencies"]) as string[], lookedAtJobs: 1 }, remedy: "millrace job remove work gone",
  });
  await client.hset(`${base}lost`, "name", "n");
  expect((await findings(operator, "queue work", true))["orphans"]).toMatchObject({ severity: "error", message: expect.stringMatching(/^a job is stored .*; 2 keys are left/) as string, evidence: { ids: ["lost"] } });
  expect(await removeJobs(operator, "work", { ids: ["lost", "gone"], dryRun: true })).toMatchObject({ matched: 2, changed: 0, skipped: [] });
  expect(await removeJobs(operator, "work", { ids: ["lost", "gone"] })).toMatchObject({ matched: 2, changed: 2, skipped: [] });
  expect(Object.keys(await findings(operator, "queue work", true))).not.toContain("orphans");
  expect(await stock.getJobState("kept")).toBe("waiting");
  await expect(removeJobs(operator, "work", { ids: ["gone"] })).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("a schedule without a next run, and one whose run nobody starts, are found", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  await stock.upsertJobScheduler("nightly", { every: 3_600_000 });
  expect(await kinds(operator)).not.toContain("overdue");
  const client = redisClient();
  const base = `${operator.prefix}:work:`;
  const dueAt = Date.now() - 120_000;
  await client.zadd(`${base}repeat`, dueAt, "nightly");
  expect(await findings(operator)).toMatchObject({ overdue: { message: expect.stringContaining("has stopped") as string, remedy: expect.stringContaining("millrace schedule run work nightly") as string } });
  await client.hset(`${base}repeat:nightly:${dueAt}`, "name", "n");
  expect(await findings(operator)).toMatchObject({ overdue: { message: expect.stringContaining("have not started") as string, evidence: { schedules: [{ schedule: "nightly", hasNextRun: true }] } } });
});

test("dead letters that rise are found; cancelled jobs are none", async () => {
  const operator = testOperator();
  const app = testApp({ prefix: operator.prefix });
  for (let n = 0; n < 8; n += 1) await (await app.put(job, {})).cancel();
  expect(await kinds(operator)).not.toContain("dead-letters");
  const worker = await stockWorker(operator.prefix, () => Promise.reject(new Error("no")));
  await stockQueue(operator.prefix).addBulk(Array.from({ length: 6 }, () => ({ name: "n", data: 1 })));
  await until(async () => (await app.queue(job).counts()).failed === 14);
  await worker.close();
  expect(await findings(operator)).toMatchObject({ "dead-letters": { evidence: { last10Min: 6, hourBefore: 0 }, remedy: "millrace dead list work" } });
});

test("jobs that wait past their deadline are found", async () => {
  const operator = testOperator();
  const app = testApp({ prefix: operator.prefix });
  await app.put(job, {}, { deadline: "1h" });
  await app.put(job, {}, { deadline: 20 });
  await app.put(job, {}, { expireAt: new Date(Date.now() + 20) });
  await until(async () => (await kinds(operator)).includes("late"));
  await until(async () => (await findings(operator))["late"]?.evidence["late"] === 2);
  expect((await findings(operator))["late"]!.evidence["lookedAtJobs"]).toBe(3);
});

test("a worker that blocks its loop, and one with handlers that ignore their signal, are found by name", async () => {
  const operator = testOperator();
  const app = testApp({ prefix: operator.prefix });
  const free = Promise.withResolvers<void>();
  onTestFinished(() => free.resolve());
  const handler = defineHandler(defineJob("deaf", { queue: "work", payload: typed<object>(), timeout: 50, attempts: 1 }), { handle: () => free.promise });
  app.pool([handler], { name: "web-1", grace: 50 });
  await app.put(defineJob("deaf", { queue: "work", payload: typed<object>(), attempts: 1 }), {});
  await until(async () => (await kinds(operator, "worker web-1")).includes("deaf"));
  const blockedUntil = performance.now() + 1300;
  while (performance.now() < blockedUntil);
  await until(async () => (await kinds(operator, "worker web-1")).includes("blocking"));
  expect((await findings(operator, "worker web-1"))["deaf"]?.remedy).toMatch(/^millrace worker dump (\S+), then millrace worker stop \1$/);
  free.resolve();
});

test("a worker is to be replaced where a supervisor can", () => {
  const look = { id: "a", name: "web-1", stuck: 2, supervisor: 7, loopDelayMs: { p99: 1, max: 1 }, host: "here" };
  expect(deaf(look)).toMatchObject({ message: "2 handlers ignore their signal and run on: only the end of the process ends that", remedy: "millrace worker dump a, then millrace worker restart a" });
  expect(deaf({ ...look, supervisor: null })).toMatchObject({ remedy: "millrace worker dump a, then millrace worker stop a" });
});

test("a worker whose machine has another time is found, by how much, and which way; one that does not tell is not", async () => {
  const operator = testOperator();
  const now = Date.now.bind(Date);
  vi.spyOn(Date, "now").mockImplementation(() => now() - 90_000);
  onTestFinished(() => void vi.restoreAllMocks());
  testApp({ prefix: operator.prefix }).pool([defineHandler(job, { handle: async () => {} })], { name: "web-1" });
  await until(async () => (await kinds(operator, "worker web-1")).includes("clock"));
  const { clock } = await findings(operator, "worker web-1");
  expect(clock).toMatchObject({ severity: "warning", message: expect.stringMatching(/^the clock of its machine is (90\.0|89\.9|90\.1) s behind the server's: /) as string, evidence: { host: hostname() } });
  expect(Math.abs(Number(clock!.evidence["clockOffMs"]) - 90_000)).toBeLessThan(1000);
  await register(operator.connections, entryOf("ahead", { name: "ahead", clockOffMs: -3_600_000 }), []);
  await register(operator.connections, entryOf("old", { name: "old" }), []);
  expect((await findings(operator, "worker ahead"))["clock"]?.message).toContain("is 3600.0 s ahead of the server's");
  expect(await kinds(operator, "worker old")).toEqual([]);
});

test("tells of each partition of a queue by its own", async () => {
  const operator = testOperator();
  const parted = defineJob("parted", { queue: defineQueue("parts", { partitions: 2 }), payload: typed<object>(), deadline: 20 });
  const app = testApp({ prefix: operator.prefix });
  for (let n = 0; n < 8; n += 1) await app.put(parted, {}, { deadline: 20 });
  await until(async () => {
    const { findings: found } = await doctor(operator);
    return found.filter(({ finding, subject }) => finding === "late" && subject.startsWith("queue parts in {")).length === 2;
  });
});
