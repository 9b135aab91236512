/** Holds that our backend leaves in Redis, and gives back, what BullMQ's own does: every scene is played on both. */
import { createRedisBackend, FlowProducer, Queue, Worker, type Job, type JobsOptions, type QueueOptions, type WorkerOptions } from "bullmq";
import type { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { createMillraceBackend, type BackendCounts } from "../../src/store/batched-backend.ts";
import { failure } from "../support/outcome.ts";
import { freshPrefix, redisClient } from "../support/redis.ts";

interface Stage {
  readonly client: Redis;
  readonly prefix: string;
  readonly base: string;
  queue(options?: Partial<QueueOptions>): Queue;
  /** Fetches by hand. */
  worker(options?: Partial<WorkerOptions>): Worker;
  flows(): FlowProducer;
  counts(): BackendCounts;
}

type Factory = typeof createMillraceBackend;

function stage(factory: Factory): Stage {
  const prefix = freshPrefix();
  const client = redisClient();
  const backends: { counts?: BackendCounts }[] = [];
  const create = ((...args) => {
    const backend = factory(...args);
    backends.push(backend);
    return backend;
  }) as Factory;
  return {
    client,
    prefix,
    base: `${prefix}:work:`,
    queue(options) {
      const queue = new Queue("work", { connection: client, prefix, ...options }, create);
      onTestFinished(() => queue.close());
      return queue;
    },
    worker(options) {
      const worker = new Worker("work", undefined, { connection: client, prefix, ...options }, create);
      worker.on("error", () => {});
      onTestFinished(() => worker.close(true));
      return worker;
    },
    flows() {
      const flows = new FlowProducer({ connection: client, prefix }, create);
      onTestFinished(() => flows.close());
      return flows;
    },
    counts() {
      const sum: BackendCounts = { batches: 0, added: 0, finished: 0, fetched: 0, fallbacks: 0 };
      for (const { counts } of backends) for (const name of Object.keys(sum) as (keyof BackendCounts)[]) sum[name] += counts?.[name] ?? 0;
      return sum;
    },
  };
}

/** Everything in Redis that belongs to the queue; instants and tokens are not compared. */
async function picture({ client, base, prefix }: Stage): Promise<unknown> {
  const text = (value: object): unknown =>
    JSON.parse(JSON.stringify(value).replaceAll(prefix, "PREFIX").replaceAll(/\b1[6-9]\d{11}\b/g, "1600000000000").replaceAll(/\b[67]\d{15}\b/g, "6500000000000000"));
  const found: Record<string, unknown> = {};
  for (const key of (await client.keys(`${base}*`)).toSorted()) {
    const name = key.slice(base.length);
    const type = await client.type(key);
    if (type === "hash") found[name] = name === "meta" || /:/.test(name) ? await client.hgetall(key) : readJob(await client.hgetall(key));
    if (type === "string") found[name] = name.endsWith(":lock") ? "LOCK" : await client.get(key);
    if (type === "list") found[name] = await client.lrange(key, "0", "-1");
    if (type === "set") found[name] = (await client.smembers(key)).toSorted();
    if (type === "zset") found[name] = await client.zrange(key, "0", "-1", "WITHSCORES");
    if (type === "stream") found[name] = byJob((await client.xrange(key, "-", "+")).map(([, fields]) => fields));
  }
  return text(found);
}

/** Lua stores options in an order of its own. */
function readJob({ opts, stacktrace, ...hash }: Record<string, string>): unknown {
  return { ...hash, opts: JSON.parse(opts ?? "null") as unknown, traces: stacktrace === undefined ? undefined : (JSON.parse(stacktrace) as string[]).length };
}

/** What was told of each job, in order; between jobs the order of a batch is another. */
function byJob(events: readonly (readonly string[])[]): Record<string, string[]> {
  const told: Record<string, string[]> = {};
  for (const event of events) (told[event[event.indexOf("jobId") + 1] ?? ""] ??= []).push(event.join(" "));
  return told;
}

/** A job as its Worker sees it. */
const seen = (job: Job | undefined): unknown => job && { ...job.toJSON(), token: undefined, timestamp: 0, processedOn: typeof job.processedOn, finishedOn: typeof job.finishedOn, toKey: 0, queueQualifiedName: 0 };
const thrown = async (work: Promise<unknown>): Promise<unknown> => {
  const { error } = await failure(work);
  return error === undefined ? undefined : [(error as Error).message, (error as { code?: unknown }).code];
};
const add = (queue: Queue, count: number, opts?: JobsOptions): Promise<Job[]> => queue.addBulk(Array.from({ length: count }, (_, n) => ({ name: "job", data: { n }, ...(opts && { opts }) })));
const fetchAll = async (worker: Worker, count: number): Promise<Job[]> => (await Promise.all(Array.from({ length: count }, (_, n) => worker.getNextJob(`token-${n}`, { block: false })))).filter((job) => job !== undefined);

const scenes: Readonly<Record<string, (stage: Stage) => Promise<unknown>>> = {
  async "plain jobs of one turn"({ queue }) {
    const stock = queue();
    const jobs = await Promise.all([stock.add("a", { text: "ä / \u2028" }), stock.add("b", undefined), stock.add("c", null), stock.add("d", [1, "two", {}])]);
    return jobs.map(seen);
  },
  async "jobs of all kinds keep their order and their ids"({ queue }) {
    const stock = queue();
    const options: JobsOptions[] = [{}, { priority: 3 }, {}, { delay: 5000 }, { lifo: true }, { jobId: "own" }, { jobId: "own" }, { deduplication: { id: "d" } }, { deduplication: { id: "d" } }, { jobId: "late", lifo: true }, {}];
    const jobs = await Promise.all(options.map((opts, n) => stock.add("job", { n }, opts)));
    return jobs.map(({ id }) => id);
  },
  async "options are stored as BullMQ stores them"({ queue }) {
    const stock = queue({ defaultJobOptions: { attempts: 4, backoff: 500, removeOnComplete: { age: 60, count: 3 } } });
    const options: JobsOptions[] = [{ keepLogs: 5, sizeLimit: 100 }, { backoff: { type: "exponential", delay: 10, jitter: 0.25 } }, { removeOnComplete: true, removeOnFail: 7 }, { stackTraceLimit: 1.1e20 }, { failParentOnFailure: true, timestamp: 1_700_000_000_000 }];
    const jobs = await Promise.all(options.map((opts) => stock.add("job", {}, opts)));
    return [jobs.map(seen), await Promise.all(jobs.map(async ({ id }) => seen(await stock.getJob(id!))))];
  },
  async "adding to a paused, and to a full queue, wakes nobody"({ queue, client, base }) {
    const stock = queue();
    await stock.pause();
    await Promise.all([stock.add("a", {}), stock.add("b", {})]);
    const paused = await client.exists(`${base}marker`);
    await stock.resume();
    await client.del(`${base}marker`);
    await stock.setGlobalConcurrency(1);
    await client.lpush(`${base}active`, "x");
    await Promise.all([stock.add("c", {}), stock.add("d", {})]);
    return [paused, await client.exists(`${base}marker`)];
  },
  async "bulks, plain and mixed"({ queue }) {
    const stock = queue();
    const plain = await stock.addBulk(["a", "b", "c"].map((name) => ({ name, data: { name } })));
    const mixed = await stock.addBulk([{ name: "d", data: {} }, { name: "e", data: {}, opts: { delay: 9000 } }, { name: "f", data: {} }]);
    return [...plain, ...mixed].map(({ id }) => id);
  },
  async "jobs that end in one turn, without a next one"({ queue, worker }) {
    await add(queue(), 4);
    const by = worker({ name: "stock" });
    const jobs = await fetchAll(by, 6);
    const results = await Promise.all(jobs.map((job, n) => job.moveToCompleted({ n }, job.token!, false)));
    return [jobs.map(seen), results];
  },
  async "jobs that end in one turn, with a next one each while there are any"({ queue, worker }) {
    await add(queue(), 5);
    const by = worker();
    const jobs = await fetchAll(by, 3);
    const results = await Promise.all(jobs.map((job) => job.moveToCompleted(undefined, job.token!, true)));
    return results.map((result) => result && [(result[0] as { data: string } | null)?.data, ...result.slice(1)]);
  },
  async "jobs that fail, for good and to be tried again"({ queue, worker }) {
    const stock = queue();
    await add(stock, 2);
    await add(stock, 2, { attempts: 2 });
    await add(stock, 1, { attempts: 2, backoff: 5000 });
    const jobs = await fetchAll(worker(), 5);
    return Promise.all(jobs.map((job) => job.moveToFailed(new Error(`no ${job.id}`), job.token!, false)));
  },
  async "attempts that are spent"({ queue, worker }) {
    await add(queue(), 3, { attempts: 2 });
    const by = worker();
    for (const job of await fetchAll(by, 3)) await job.moveToFailed(new Error("once"), job.token!, false);
    const again = await fetchAll(by, 3);
    await Promise.all(again.map((job) => job.moveToFailed(new Error("twice"), job.token!, true)));
    return again.map(({ attemptsMade, attemptsStarted }) => [attemptsMade, attemptsStarted]);
  },
  async "retention by count, by age, and none"({ queue, worker }) {
    const stock = queue();
    await add(stock, 4, { removeOnComplete: 2, removeOnFail: true });
    await add(stock, 4, { removeOnComplete: { age: 3600, count: 3 } });
    await add(stock, 2, { removeOnComplete: true });
    const by = worker();
    for (let turn = 0; turn < 5; turn += 1) {
      const jobs = await fetchAll(by, 2);
      for (const job of jobs) await job.log("a line");
      await Promise.all(jobs.map((job) => job.moveToCompleted("done", job.token!, false)));
    }
    await add(stock, 2, { removeOnFail: true });
    for (const job of await fetchAll(by, 2)) await job.moveToFailed(new Error("gone"), job.token!, false);
    return stock.getJobCounts();
  },
  async "retention that the Worker asks for"({ queue, worker }) {
    await add(queue(), 4);
    const jobs = await fetchAll(worker({ removeOnComplete: { count: 1 }, removeOnFail: { count: 0 } }), 4);
    await Promise.all([
      ...jobs.slice(0, 2).map((job) => job.moveToCompleted(1, job.token!, false)),
      ...jobs.slice(2).map((job) => job.moveToFailed(new Error("x"), job.token!, false)),
    ]);
    return undefined;
  },
  async "what is amiss is refused for that job, as BullMQ refuses it"({ queue, worker, client, base }) {
    await add(queue(), 5);
    const jobs = await fetchAll(worker(), 5);
    const [good, unlocked, stolen, inactive, gone] = jobs as [Job, Job, Job, Job, Job];
    await client.del(`${base}${unlocked.id}:lock`, `${base}${gone.id}`);
    await client.set(`${base}${stolen.id}:lock`, "somebody else");
    await client.lrem(`${base}active`, 0, inactive.id!);
    return Promise.all([good, unlocked, stolen, inactive, gone].map((job) => thrown(job.moveToCompleted(1, job.token!, false))));
  },
  async "a job that ends twice in one turn is refused once"({ queue, worker }) {
    await add(queue(), 1);
    const [job] = (await fetchAll(worker(), 1)) as [Job];
    return Promise.all([1, 2].map((result) => thrown(job.moveToCompleted(result, job.token!, false))));
  },
  async "a queue that is paused, full, limited or empty tells so"({ queue, worker }) {
    const stock = queue();
    const by = worker();
    const next = async (): Promise<unknown> => (by as unknown as { backend: { moveToActive(token: string): Promise<unknown[]> } }).backend.moveToActive("t").then(([job, ...rest]) => [job !== null, ...rest.slice(0, 2), typeof rest[2]]);
    const empty = await next();
    await stock.add("late", {}, { delay: 60_000 });
    const delayed = await next();
    await add(stock, 3);
    await stock.pause();
    const paused = await next();
    await stock.resume();
    await stock.setGlobalConcurrency(1);
    const full = [await next(), await next()];
    await stock.removeGlobalConcurrency();
    return [empty, delayed, paused, full];
  },
  async "a full queue gives out what there is room for"({ queue, worker }) {
    const stock = queue();
    await stock.setGlobalConcurrency(3);
    await add(stock, 6);
    const by = worker();
    const jobs = await fetchAll(by, 5);
    const next = await Promise.all(jobs.slice(0, 2).map((job) => job.moveToCompleted(1, job.token!, true)));
    return [jobs.length, next.map((result) => Boolean(result?.[0]))];
  },
  async "a rate limit of the Worker's is kept within a turn"({ queue, worker, client, base }) {
    await add(queue(), 6);
    const by = worker({ limiter: { max: 2, duration: 60_000 } });
    const jobs = await fetchAll(by, 5);
    return [jobs.length, await client.get(`${base}limiter`), (await client.pttl(`${base}limiter`)) > 50_000];
  },
  async "a rate limit of the queue's comes before the Worker's"({ queue, worker }) {
    const stock = queue();
    await stock.setGlobalRateLimit(1, 60_000);
    await add(stock, 3);
    return (await fetchAll(worker({ limiter: { max: 2, duration: 1000 } }), 3)).length;
  },
  async "priorities come in their order, behind those without"({ queue, worker }) {
    const stock = queue();
    for (const priority of [3, 1, 2, 1]) await stock.add(`p${priority}`, {}, { priority });
    await add(stock, 2);
    return (await fetchAll(worker(), 7)).map(({ id, name }) => [id, name]);
  },
  async "delayed jobs come when they are due"({ queue, worker }) {
    const stock = queue();
    await stock.add("soon", {}, { delay: 20 });
    await stock.add("soon too", {}, { delay: 20, priority: 2 });
    await new Promise((resolve) => setTimeout(resolve, 40));
    return (await fetchAll(worker(), 3)).map(({ name, delay }) => [name, delay]);
  },
  async "children of one turn move their parent on"({ flows, worker }) {
    const producer = flows();
    await producer.add({ name: "parent", queueName: "work", opts: { jobId: "p" }, children: [1, 2].map((n) => ({ name: `child ${n}`, queueName: "work", data: { n }, opts: { jobId: `c${n}` } })) });
    const by = worker();
    const children = await fetchAll(by, 2);
    await Promise.all(children.map((job) => job.moveToCompleted(job.data.n, job.token!, false)));
    const [parent] = await fetchAll(by, 1);
    const values = Object.values((await parent!.getChildrenValues()) as object).toSorted();
    await parent!.moveToCompleted(values, parent!.token!, false);
    return values;
  },
  async "a parent whose children are pending does not complete"({ queue, worker }) {
    const stock = queue();
    const parent = await stock.add("parent", {});
    const by = worker();
    const [active] = (await fetchAll(by, 1)) as [Job];
    await stock.add("child", {}, { parent: { id: parent.id!, queue: stock.qualifiedName } });
    return thrown(active.moveToCompleted(1, active.token!, false));
  },
  async "a deduplication id is free again when its job has ended"({ queue, worker }) {
    const stock = queue();
    await stock.add("job", {}, { deduplication: { id: "d" } });
    const [job] = (await fetchAll(worker(), 1)) as [Job];
    await job.moveToCompleted(1, job.token!, false);
    return (await stock.add("job", {}, { deduplication: { id: "d" } })).id;
  },
  async "metrics are collected by the minute"({ queue, worker, client, base }) {
    const stock = queue();
    await add(stock, 8);
    const jobs = await fetchAll(worker({ metrics: { maxDataPoints: 4 } }), 8);
    const finish = (some: Job[]): Promise<unknown> => Promise.all(some.map((job, n) => (n === 0 ? job.moveToFailed(new Error("x"), job.token!, false) : job.moveToCompleted(1, job.token!, false))));
    await finish(jobs.slice(0, 3));
    await client.hset(`${base}metrics:completed`, "prevTS", Math.floor(Date.now() / 60_000) * 60_000 - 1);
    await finish(jobs.slice(3, 5));
    await client.hset(`${base}metrics:completed`, "prevTS", Math.floor(Date.now() / 60_000) * 60_000 - 120_001);
    await finish(jobs.slice(5, 8));
    const { meta, data } = await stock.getMetrics("completed");
    return [meta.count, meta.prevCount, data, (await stock.getMetrics("failed")).meta.count];
  },
};

for (const [title, scene] of Object.entries(scenes)) {
  test(title, async () => {
    const [stock, ours] = [stage(createRedisBackend as Factory), stage(createMillraceBackend)];
    const [expected, result] = [await scene(stock), await scene(ours)];
    expect(result).toEqual(expected);
    expect(await picture(ours)).toEqual(await picture(stock));
  });
}

test("counts what went in batches, and what was left to BullMQ", async () => {
  const ours = stage(createMillraceBackend);
  const queue = ours.queue();
  await Promise.all(Array.from({ length: 50 }, (_, n) => queue.add("job", { n })));
  await queue.add("late", {}, { delay: 1 });
  expect(ours.counts()).toEqual({ batches: 2, added: 50, finished: 0, fetched: 0, fallbacks: 1 });
  const worker = ours.worker({ concurrency: 100 });
  const jobs = await fetchAll(worker, 50);
  await Promise.all(jobs.map((job) => job.moveToCompleted(1, job.token!, false)));
  expect(ours.counts()).toMatchObject({ batches: 4, finished: 50, fetched: 50 });
});

test("where BullMQ was not to look at the server's version, it is BullMQ's own", async () => {
  const ours = stage(createMillraceBackend);
  const queue = ours.queue({ skipVersionCheck: true });
  expect(await Promise.all([1, 2].map(async (n) => (await queue.add("job", { n })).id))).toEqual(["1", "2"]);
  expect(ours.counts()).toEqual({ batches: 0, added: 0, finished: 0, fetched: 0, fallbacks: 2 });
});
