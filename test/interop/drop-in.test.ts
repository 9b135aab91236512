import { Job, Queue as StockQueue, Worker as StockWorker, type JobsOptions, type Queue, type Worker } from "bullmq";
import { Cluster } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { createMillraceBackend, fromProcessor } from "../../src/bullmq.ts";
import { testApp, until } from "../support/app.ts";
import { defineJob, typed } from "../../src/index.ts";
import { freshPrefix, redisClient, redisUrl, startCluster } from "../support/redis.ts";
import { startProxy } from "../support/tcp-proxy.ts";
import { countsOf, dropInQueue, dropInWorker, stockEvents, stockFlows, stockQueue, stockWorker } from "./stock.ts";

const job = defineJob("work", { payload: typed<{ n: number }>(), attempts: 1, keep: { completed: { count: 10_000 } } });

/** What a queue's stream tells of each job, in order. */
async function eventsByJob(prefix: string, name = "work"): Promise<Map<string, string[]>> {
  const told = new Map<string, string[]>();
  for (const [, fields] of await redisClient().xrange(`${prefix}:${name}:events`, "-", "+")) {
    const event = Object.fromEntries(fields.flatMap((field, i) => (i % 2 === 0 ? [[field, fields[i + 1]]] : []))) as { event: string; jobId?: string; prev?: string };
    const id = event.jobId ?? "";
    told.set(id, [...(told.get(id) ?? []), event.prev === undefined ? event.event : `${event.event} from ${event.prev}`]);
  }
  return told;
}

async function isIdle(queue: Queue): Promise<boolean> {
  return Object.values(await queue.getJobCounts("waiting", "active", "delayed", "prioritized", "waiting-children")).every((count) => count === 0);
}

test("a stock Worker, a drop-in Worker and our pool share one queue of three producers: every job runs once, and all take part", async () => {
  const prefix = freshPrefix();
  const [stock, dropIn, app] = [stockQueue(prefix), dropInQueue(prefix), testApp({ prefix })];
  await redisClient().hset(`${prefix}:work:meta`, "opts.maxLenEvents", 100_000);
  const ran = new Map<string, string[]>();
  const run = async (by: string, id: string): Promise<void> => {
    ran.set(id, [...(ran.get(id) ?? []), by]);
    await new Promise((resolve) => setImmediate(resolve));
  };
  await stockWorker(prefix, ({ id }) => run("stock", id!), { concurrency: 5 });
  const worker = await dropInWorker(prefix, ({ id }) => run("drop-in", id!), { concurrency: 20 });
  app.pool([fromProcessor("work", ({ id }) => run("pool", id!))], { concurrency: 5 });
  const payloads = Array.from({ length: 300 }, (_, n) => ({ n }));
  const ids = await Promise.all(payloads.map(async (data) => (await dropIn.add("work", data)).id!));
  await Promise.all([stock.addBulk(payloads.map((data) => ({ name: "work", data }))), app.queue(job).putMany(payloads)]);
  await until(() => isIdle(stock));
  expect(new Set(ids).size).toBe(300);
  expect(ran.size).toBe(900);
  expect([...ran.values()].filter((by) => by.length !== 1)).toEqual([]);
  expect(new Set([...ran.values()].flat())).toEqual(new Set(["stock", "drop-in", "pool"]));
  expect(countsOf(dropIn)).toMatchObject({ added: 300, fallbacks: 0 });
  const taken = [...ran.values()].filter(([by]) => by === "drop-in").length;
  await worker.close();
  expect(countsOf(worker)).toMatchObject({ finished: taken, fetched: taken, fallbacks: 0 });
  const told = await eventsByJob(prefix);
  for (const id of ran.keys()) expect(told.get(id), id).toEqual(["added", "waiting", "active from waiting", "completed from active"]);
});

type Processor = (job: Job) => Promise<unknown>;
const runners: Readonly<Record<string, (prefix: string, processor: Processor) => Promise<unknown>>> = {
  "a stock Worker": (prefix, processor) => stockWorker(prefix, processor, { concurrency: 4 }),
  "a drop-in Worker": (prefix, processor) => dropInWorker(prefix, processor, { concurrency: 4 }),
  "our pool": async (prefix, processor) => testApp({ prefix }).pool([fromProcessor("work", processor)], { concurrency: 4 }),
};

const jobs: Readonly<Record<string, JobsOptions>> = {
  good: {},
  bad: {},
  again: { attempts: 3 },
  later: { attempts: 2, backoff: 50 },
  due: { delay: 50 },
  first: { priority: 1 },
  gone: { removeOnComplete: true },
  told: {},
};

test("QueueEvents sees the same events in the same order of each job, whoever runs it", async () => {
  const seen = await Promise.all(
    Object.values(runners).map(async (run) => {
      const prefix = freshPrefix();
      const queue = stockQueue(prefix);
      const { names } = await stockEvents(prefix);
      for (const [name, opts] of Object.entries(jobs)) await queue.add(name, {}, { jobId: `${name}-1`, ...opts });
      await run(prefix, async (job) => {
        if (job.name === "bad" || job.name === "again" || (job.name === "later" && job.attemptsMade === 0)) throw new Error(job.name);
        if (job.name === "told") await job.updateProgress(50);
      });
      await until(() => names.filter((name) => /^(completed|failed) /.test(name)).length === Object.keys(jobs).length && names.at(-1) === "drained");
      return Object.fromEntries(Object.keys(jobs).map((name) => [name, names.filter((each) => each.endsWith(` ${name}-1`))]));
    }),
  );
  expect(seen[0]!["again"]).toEqual(["added", "waiting", "active", "waiting", "active", "waiting", "active", "failed", "retries-exhausted"].map((event) => `${event} again-1`));
  expect(seen[1]).toEqual(seen[0]);
  expect(seen[2]).toEqual(seen[0]);
});

test("schedules of stock job schedulers keep ticking under a drop-in Worker", async () => {
  const prefix = freshPrefix();
  const queue = dropInQueue(prefix);
  const ran: string[] = [];
  await dropInWorker(prefix, async ({ id, name }) => void ran.push(`${name} ${id}`), { concurrency: 10 });
  await queue.upsertJobScheduler("every", { every: 100 }, { name: "every" });
  await queue.upsertJobScheduler("cron", { pattern: "* * * * * *" }, { name: "cron" });
  await until(() => ran.filter((run) => run.startsWith("every")).length >= 8 && ran.filter((run) => run.startsWith("cron")).length >= 2);
  expect(new Set(ran).size).toBe(ran.length);
  expect(await queue.getJobSchedulersCount()).toBe(2);
});

test("parents of stock flows move on under a drop-in Worker, across queues and in spite of a failed child", async () => {
  const prefix = freshPrefix();
  const parents = stockQueue(prefix, "parents");
  const given: unknown[] = [];
  const process = async (job: Job): Promise<unknown> => {
    if (job.name === "parent") return void given.push(Object.values(await job.getChildrenValues()).toSorted());
    if (job.data.fails) throw new Error("child");
    return job.data.n;
  };
  await Promise.all(["parents", "children"].map((name) => dropInWorker(prefix, process, { concurrency: 10 }, name)));
  const flows = stockFlows(prefix);
  const child = (n: number, opts = {}): object => ({ name: "child", queueName: "children", data: { n, fails: n > 10 }, opts });
  await flows.add({ name: "parent", queueName: "parents", children: [1, 2, 3].map((n) => child(n)) as never });
  await flows.add({ name: "parent", queueName: "parents", children: [child(4), child(11, { ignoreDependencyOnFailure: true })] as never });
  const doomed = await flows.add({ name: "parent", queueName: "parents", children: [child(12, { failParentOnFailure: true })] as never });
  await until(async () => given.length === 2 && (await parents.getJobState(doomed.job.id!)) === "failed");
  expect(given.toSorted()).toEqual([[1, 2, 3], [4]]);
});

test("what a drop-in Worker held when it went silent is run by another, as by stock", async () => {
  const prefix = freshPrefix();
  const queue = dropInQueue(prefix);
  const held: string[] = [];
  const settings = { concurrency: 5, lockDuration: 500, stalledInterval: 300 };
  const silent: Worker = await dropInWorker(prefix, ({ id }) => (held.push(id!), new Promise(() => {})), { ...settings, lockRenewTime: 60_000, skipStalledCheck: true });
  await queue.addBulk([1, 2, 3, 4, 5].map((n) => ({ name: "work", data: { n } })));
  await until(() => held.length === 5);
  void silent.close(true);
  const ran: string[] = [];
  await dropInWorker(prefix, async ({ id }) => void ran.push(id!), settings);
  await until(async () => (await queue.getCompletedCount()) === 5);
  expect(ran.toSorted()).toEqual(held.toSorted());
  expect((await Job.fromId(queue, "1"))!.stalledCounter).toBe(1);
});

test("it works on a cluster, where a queue is one slot", async () => {
  const { url } = await startCluster();
  const nodes = url.replace("redis+cluster://", "").split(",").map((place) => ({ host: place.split(":")[0]!, port: Number(place.split(":")[1]) }));
  const clients: Cluster[] = [];
  const connect = (): Cluster => {
    const cluster = new Cluster(nodes, { redisOptions: { maxRetriesPerRequest: null } });
    clients.push(cluster);
    return cluster;
  };
  const queue = new StockQueue("work", { connection: connect(), prefix: "{bull}" }, createMillraceBackend);
  const ran: number[] = [];
  const worker = new StockWorker("work", async ({ data }) => void ran.push(data.n), { connection: connect(), prefix: "{bull}", concurrency: 20 }, createMillraceBackend);
  onTestFinished(async () => {
    await Promise.all([worker.close(true), queue.close()]);
    for (const client of clients) client.disconnect();
  });
  await Promise.all(Array.from({ length: 100 }, (_, n) => queue.add("work", { n })));
  await until(() => ran.length === 100);
  await worker.close();
  expect(countsOf(queue)).toMatchObject({ added: 100, fallbacks: 0 });
  expect(countsOf(worker)).toMatchObject({ finished: 100, fetched: 100, fallbacks: 0 });
});

test("batches whose answers were lost lose no job: what they had fetched is run when its locks have run out", async () => {
  const prefix = freshPrefix();
  const queue = stockQueue(prefix);
  const server = new URL(redisUrl());
  const proxy = await startProxy(Number(server.port));
  const ran = new Set<string>();
  const settings = { prefix, concurrency: 20, lockDuration: 1000, stalledInterval: 300, maxStalledCount: 9, runRetryDelay: 50 };
  const connection = { port: proxy.port, host: "127.0.0.1", maxRetriesPerRequest: null };
  const worker = new StockWorker("work", async ({ id }) => void ran.add(id!), { ...settings, connection }, createMillraceBackend);
  worker.on("error", () => {});
  onTestFinished(async () => {
    await worker.close(true);
    await proxy[Symbol.asyncDispose]();
  });
  await queue.addBulk(Array.from({ length: 2000 }, (_, n) => ({ name: "work", data: { n } })));
  for (const count of [300, 900, 1500]) {
    await until(() => ran.size >= count);
    proxy.loseReplies();
  }
  await until(async () => (await queue.getCompletedCount()) === 2000, 30_000);
  expect(ran.size).toBe(2000);
  expect(countsOf(worker).batches).toBeGreaterThan(50);
}, 60_000);
