/** Queues in partitions, from outside: on one server, and on a cluster of three primaries. */
import { Queue as StockQueue, Worker as StockWorker } from "bullmq";
import { Cluster as ClusterClient, Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { defineHandler, defineJob, defineQueue, JobCancelledError, OptionError, PartitionsError, TimeoutError, typed, type App } from "../../src/index.ts";
import { connectOperator, deleteQueue, listQueues } from "../../src/admin/index.ts";
import { partitionOf } from "../../src/queue/partition-of.ts";
import { findServer } from "../../src/redis/server.ts";
import { openCluster, type Cluster } from "../support/cluster.ts";
import { testApp, until } from "../support/app.ts";
import { failure } from "../support/outcome.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";
import { doomedWorker } from "./doomed.ts";
import { startProxy } from "../support/tcp-proxy.ts";

const PARTITIONS = 6;
const queueDef = defineQueue("work", { partitions: PARTITIONS });
const job = defineJob("work", { queue: queueDef, payload: typed<{ n: number; key?: string }>(), result: typed<number>(), backoff: { type: "fixed", base: 0 } });
const numbers = (count: number) => Array.from({ length: count }, (_, n) => ({ n }));

interface Place {
  readonly redis: string;
  /** What every stock class takes as its connection. */
  connection(): Redis | ClusterClient;
}

let cluster: Cluster | undefined;
beforeAll(async () => {
  const program = await findServer();
  if (program !== undefined) cluster = await openCluster(program.path, { primaries: 3, replicas: 0 });
});
afterAll(() => cluster?.[Symbol.asyncDispose]());

const places: Record<string, () => Place> = {
  "one server": () => ({ redis: redisUrl(), connection: () => new Redis(redisUrl(), { maxRetriesPerRequest: null }) }),
  "a cluster": () => ({
    redis: cluster!.url,
    connection: () => new ClusterClient(cluster!.nodes.map(({ port }) => ({ host: "127.0.0.1", port })), { redisOptions: { maxRetriesPerRequest: null } }),
  }),
};

describe.each(Object.entries(places))("on %s", (_, place) => {
  function setUp() {
    const { redis, connection } = place();
    const prefix = freshPrefix();
    const app = (): App => testApp({ redis, prefix });
    const client = connection();
    onTestFinished(() => client.disconnect());
    /** Keys by the number of their partition; `-1` is the plain queue. */
    const waiting = (n: number) => client.llen(`${n < 0 ? plainPrefix(client, prefix) : `{${prefix}-${n}}`}:work:wait`);
    return { prefix, app, client, waiting };
  }

  test("what is put is spread over all partitions, run from all, and joined as one", async () => {
    const { app, waiting } = setUp();
    const [producer, worker] = [app(), app()];
    const queue = producer.queue(job);
    const handles = await Promise.all(numbers(60).map((payload) => queue.put(payload)));
    const lengths = await Promise.all(Array.from({ length: PARTITIONS }, (_n, n) => waiting(n)));
    expect(lengths).toEqual(Array.from({ length: PARTITIONS }, () => 10));
    expect(await queue.counts()).toMatchObject({ waiting: 60, unfinished: 60 });
    worker.pool([defineHandler(job, { handle: async ({ n }) => n * 2 })], { concurrency: 10 });
    await queue.join({ timeout: "20s" });
    expect(await queue.counts()).toMatchObject({ waiting: 0, completed: 60, unfinished: 0 });
    expect(await Promise.all(handles.map((handle) => handle.result({ timeout: "5s" })))).toEqual(numbers(60).map(({ n }) => n * 2));
    expect(await producer.queue(job).job(handles[17]!.id).state()).toBe("completed");
  });

  test("jobs of one key go to one partition, and begin in the order put", async () => {
    const { app, waiting } = setUp();
    const one = app();
    const queue = one.queue(job);
    const keys = ["a", "b", "c", "d"];
    for (const n of numbers(20).map((payload) => payload.n)) for (const key of keys) await queue.put({ n, key }, { partitionKey: key });
    const expected = Array.from({ length: PARTITIONS }, () => 0);
    for (const key of keys) expected[partitionOf(key, PARTITIONS)]! += 20;
    expect(await Promise.all(expected.map((_n, n) => waiting(n)))).toEqual(expected);
    const began = new Map<string, number[]>(keys.map((key) => [key, []]));
    one.pool([defineHandler(job, { handle: async ({ n, key = "" }) => (began.get(key)!.push(n), n) })], { concurrency: 8 });
    await queue.join({ timeout: "20s" });
    for (const key of keys) expect(began.get(key)).toEqual(numbers(20).map(({ n }) => n));
  });

  test("putMany spreads by turn or by key, and adds no id twice", async () => {
    const { app, waiting } = setUp();
    const queue = app().queue(job);
    expect(await queue.putMany(numbers(600))).toBe(600);
    expect(await Promise.all(Array.from({ length: PARTITIONS }, (_n, n) => waiting(n)))).toEqual(Array.from({ length: PARTITIONS }, () => 100));
    expect(await queue.putMany(numbers(10), { id: ({ n }) => `own-${n}` })).toBe(10);
    expect(await queue.putMany(numbers(12), { id: ({ n }) => `own-${n}` })).toBe(2);
    const before = await waiting(partitionOf("k", PARTITIONS));
    expect(await queue.putMany(numbers(50), { partitionKey: () => "k" })).toBe(50);
    expect(await waiting(partitionOf("k", PARTITIONS))).toBe(before + 50);
    expect(await queue.counts()).toMatchObject({ waiting: 662 });
  });

  test("an id of the caller's finds its job again, and is put once, from any process", async () => {
    const { app } = setUp();
    const [one, other] = [app(), app()];
    const put = await one.put(job, { n: 1 }, { id: "order-5" });
    const again = await other.put(job, { n: 2 }, { id: "order-5" });
    expect([put.added, again.added]).toEqual([true, false]);
    expect(await other.queue(job).job("order-5").state()).toBe("waiting");
    expect(await other.queue(job).job("order-6").state()).toBe("removed");
  });

  test("a job is cancelled wherever it is, waiting, delayed or running", async () => {
    const { app } = setUp();
    const [producer, worker] = [app(), app()];
    const queue = producer.queue(job);
    const stopped: number[] = [];
    const running = new Set<number>();
    worker.pool([
      defineHandler(job, {
        async handle({ n }, task) {
          running.add(n);
          await new Promise((resolve) => task.signal.addEventListener("abort", resolve));
          stopped.push(n);
          throw task.signal.reason as Error;
        },
      }),
    ], { concurrency: PARTITIONS });
    const first = await Promise.all(numbers(PARTITIONS).map((payload) => queue.put(payload)));
    await until(() => running.size === PARTITIONS);
    const waitingJobs = await Promise.all(numbers(PARTITIONS).map((payload) => queue.put(payload)));
    const delayed = await Promise.all(numbers(PARTITIONS).map((payload) => queue.put(payload, { delay: "1h" })));
    for (const handle of [...waitingJobs, ...delayed, ...first]) expect(await handle.cancel("enough")).toBe(true);
    for (const handle of [...first, ...waitingJobs, ...delayed]) expect((await failure(handle.result({ timeout: "10s" }))).error).toBeInstanceOf(JobCancelledError);
    expect(stopped).toHaveLength(PARTITIONS);
    await queue.join({ timeout: "5s" });
  });

  test("pause and resume are of the whole queue", async () => {
    const { app } = setUp();
    const [one, other] = [app(), app()];
    const queue = one.queue(job);
    const ran: number[] = [];
    await queue.pause();
    await queue.putMany(numbers(30));
    other.pool([defineHandler(job, { handle: async ({ n }) => (ran.push(n), n) })]);
    expect((await failure(queue.join({ timeout: 700 }))).error).toBeInstanceOf(TimeoutError);
    expect(ran).toEqual([]);
    await other.queue(job).resume();
    await queue.join({ timeout: "10s" });
    expect(ran).toHaveLength(30);
  });

  test("delayed jobs run when they are due, in whichever partition", async () => {
    const { app } = setUp();
    const one = app();
    const queue = one.queue(job);
    const late: number[] = [];
    const startedAt = performance.now();
    one.pool([defineHandler(job, { handle: async ({ n }) => (late.push(performance.now() - startedAt), n) })]);
    await Promise.all(numbers(PARTITIONS * 2).map((payload) => queue.put(payload, { delay: 600 })));
    await queue.join({ timeout: "20s" });
    expect(Math.min(...late)).toBeGreaterThan(590);
    expect(Math.max(...late)).toBeLessThan(3000);
  });

  test("no partition starves while another is full", async () => {
    const { app } = setUp();
    const one = app();
    const queue = one.queue(job);
    await queue.putMany(numbers(2000), { partitionKey: () => "full" });
    const others = ["a", "b", "c", "d", "e", "f", "g", "h"].filter((key) => partitionOf(key, PARTITIONS) !== partitionOf("full", PARTITIONS));
    for (const key of others) await queue.put({ n: -1, key }, { partitionKey: key });
    let before = 0;
    const place = new Map<string, number>();
    one.pool([defineHandler(job, { async handle({ n, key }) {
      if (key !== undefined) place.set(key, before);
      before += 1;
      return n;
    } })], { concurrency: 4 });
    await until(() => place.size === others.length);
    expect(Math.max(...place.values())).toBeLessThan(200);
    await queue.join({ timeout: "20s" });
  });

  test("deliveries by hand come from all partitions, no more at once than asked for", async () => {
    const { app } = setUp();
    const queue = app().queue(job);
    const seen: number[] = [];
    const over = new AbortController();
    const consumed = (async () => {
      for await (const delivery of queue.deliveries({ signal: over.signal })) {
        await using _ = delivery;
        seen.push(delivery.payload.n);
        expect((await queue.counts()).active).toBe(1);
        await delivery.ack(delivery.payload.n);
        if (seen.length === 40) over.abort();
      }
    })();
    await queue.putMany(numbers(20));
    await until(() => seen.length === 20);
    for (const payload of numbers(20)) {
      await queue.put(payload);
      await until(() => seen.length > 20 + payload.n, 4000);
    }
    await consumed;
    await queue.join({ timeout: "5s" });
  });

  test.each(["a pool", "hand"])("what a killed process held by %s runs again, from whichever partition", async (by) => {
    const { app, prefix } = setUp();
    const one = app();
    const dead = doomedWorker(prefix, { REDIS_URL: place().redis, PARTITIONS: String(PARTITIONS), OPTIONS: '{"lease":"2s"}', ...(by === "hand" && { BY_HAND: "1" }) });
    const handles = await Promise.all(numbers(PARTITIONS * 2).map((payload) => one.put(job, payload)));
    await until(() => dead.runs.length === handles.length);
    one.pool([defineHandler(job, { handle: async (_payload, { attempt }) => attempt })], { lease: "2s", recovery: "fast" });
    await dead.kill();
    expect(await Promise.all(handles.map((handle) => handle.result({ timeout: "20s" })))).toEqual(handles.map(() => 2));
  }, 60_000);

  test("what runs for longer than a lease keeps it, in whichever partition", async () => {
    const { app } = setUp();
    const one = app();
    const runs: number[] = [];
    const handler = defineHandler(job, {
      async handle({ n }, task) {
        runs.push(n);
        await new Promise((resolve) => void setTimeout(resolve, 5000));
        await task.assertLease();
        return n;
      },
    });
    const pools = [one, app()].map((each) => each.pool([handler], { lease: "2s", recovery: "fast", concurrency: PARTITIONS * 2 }));
    const handles = await Promise.all(numbers(PARTITIONS * 2).map((payload) => one.put(job, payload)));
    expect(await Promise.all(handles.map((handle) => handle.result({ timeout: "20s" })))).toEqual(numbers(PARTITIONS * 2).map(({ n }) => n));
    expect(runs.toSorted((a, b) => a - b)).toEqual(numbers(PARTITIONS * 2).map(({ n }) => n));
    expect(pools.map(({ refused }) => refused)).toEqual([0, 0]);
  }, 60_000);

  test("what is put under the plain name is taken too, and found by its id: before there were partitions, and by stock producers", async () => {
    const { app, prefix, client } = setUp();
    const before = defineJob("work", { payload: typed<{ n: number }>(), result: typed<number>() });
    const [old, late, running] = await Promise.all([0, 3_600_000, 0].map((delay, n) => app().put(before, { n }, { delay })));
    const one = app();
    const queue = one.queue(job);
    expect(await queue.counts()).toMatchObject({ waiting: 2, delayed: 1, unfinished: 3 });
    const stock = new StockQueue("work", { connection: client, prefix: plainPrefix(client, prefix) });
    onTestFinished(() => stock.close());
    const [theirs, named] = [await stock.add("work", { n: 20 }), await stock.add("work", { n: 21 }, { jobId: "theirs" })];
    expect(await queue.job(late!.id).state()).toBe("delayed");
    expect(await queue.job(late!.id).cancel()).toBe(true);
    const results = [old!.id, theirs.id!, named.id!].map((id) => queue.job(id).result({ timeout: "10s" }));
    const told: number[] = [];
    one.pool([
      defineHandler(job, {
        async handle({ n }, task) {
          if (n !== 2) return n * 2;
          await task.progress(50);
          await new Promise((resolve) => task.signal.addEventListener("abort", resolve));
          throw task.signal.reason as Error;
        },
      }),
    ]);
    for await (const progress of queue.job(running!.id).progress({ timeout: "10s" })) {
      told.push(progress);
      expect(await queue.cancel(running!.id)).toBe(true);
    }
    expect(told).toEqual([50]);
    await queue.join({ timeout: "10s" });
    expect(await Promise.all(results)).toEqual([0, 40, 42]);
    expect(await old!.result({ timeout: "5s" })).toBe(0);
    expect(await queue.job("nowhere").outcome({ timeout: "5s" })).toEqual({ state: "unknown" });
    expect(await queue.job("nowhere").cancel()).toBe(false);
  });

  test("a partition is a queue of BullMQ's: a stock worker takes from it, a stock producer puts into it", async () => {
    const { app, prefix, client } = setUp();
    const one = app();
    const queue = one.queue(job);
    const mine = await queue.put({ n: 20 }, { partitionKey: "theirs" });
    const own = `{${prefix}-${partitionOf("theirs", PARTITIONS)}}`;
    const worker = new StockWorker("work", async ({ data }: { data: { n: number } }) => data.n + 1, { connection: client, prefix: own });
    onTestFinished(() => worker.close(true));
    expect(await mine.result({ timeout: "10s" })).toBe(21);
    await worker.close();
    const stock = new StockQueue("work", { connection: client, prefix: own });
    onTestFinished(() => stock.close());
    const theirs = await stock.add("work", { n: 5 });
    one.pool([defineHandler(job, { handle: async ({ n }) => n * 2 })]);
    await until(async () => (await stock.getJobState(theirs.id!)) === "completed");
    await queue.join({ timeout: "10s" });
  });

  test("another number of partitions than is stored is refused, and nothing is put or taken", async () => {
    const { app, prefix } = setUp();
    await app().put(job, { n: 1 });
    for (const partitions of [1, 4, 12]) {
      const other = defineJob("work", { queue: defineQueue("work", { partitions }), payload: typed<{ n: number }>() });
      const wrong = app();
      const { error } = await failure(wrong.put(other, { n: 2 }));
      expect(error).toBeInstanceOf(PartitionsError);
      expect(error).toMatchObject({ code: "PARTITIONS_DIFFER", stored: PARTITIONS, wanted: partitions });
      for (const use of [() => wrong.queue(other).counts(), () => wrong.queue(other).pause(), () => wrong.queue(other).putMany([{ n: 3 }]), () => wrong.queue(other).join({ timeout: "2s" }), () => wrong.pool([defineHandler(other, { handle: async () => {} })]).done]) {
        expect((await failure(use())).error).toBeInstanceOf(PartitionsError);
      }
    }
    expect(await app().queue(job).counts()).toMatchObject({ waiting: 1, unfinished: 1 });
    // As the message says.
    const operator = connectOperator({ redis: place().redis, prefix });
    onTestFinished(() => operator[Symbol.asyncDispose]());
    await deleteQueue(operator, "work");
    const four = app();
    await four.put(defineJob("work", { queue: defineQueue("work", { partitions: 4 }) }));
    expect(await listQueues(operator)).toEqual([expect.objectContaining({ queue: "work", waiting: 1 })]);
  });

  test("a bound is divided among the partitions", async () => {
    const { app } = setUp();
    const one = app();
    const bounded = defineJob("bounded", { queue: defineQueue("bounded", { partitions: 3, maxSize: 7 }) });
    const queue = one.queue(bounded);
    await Promise.all(Array.from({ length: 9 }, () => queue.putNoWait()));
    expect((await failure(queue.putNoWait())).error).toMatchObject({ code: "QUEUE_FULL" });
    const waits = queue.put();
    one.pool([defineHandler(bounded, { handle: async () => {} })]);
    await waits;
    await queue.join({ timeout: "10s" });
  });

  test("durable puts speak of their own partition's server", async () => {
    const { app } = setUp();
    const puts = await Promise.all(numbers(PARTITIONS).map((payload) => failure(app().put(job, payload, { durable: true }))));
    // None of these servers has a replica, and nothing was put.
    for (const { error } of puts) expect(error).toMatchObject({ code: "NOT_REPLICATED", jobMayExist: false });
    expect(await app().queue(job).counts()).toMatchObject({ unfinished: 0 });
  });
});

/**
 * The joins see each node of the cluster at another time, and those who work do not: whoever only summed up what it sees
 * would find nothing now and then, while a job is on its way from node to node.
 */
describe("join", () => {
  const HOPS = 600;

  async function setUp() {
    const { redis, connection } = places["a cluster"]!();
    const proxies = await Promise.all(cluster!.nodes.map(({ port }, i) => startProxy(port, 15 * i)));
    onTestFinished(() => Promise.all(proxies.map((proxy) => proxy[Symbol.asyncDispose]())).then(() => undefined));
    const natMap = Object.fromEntries(cluster!.nodes.map(({ port }, i) => [`127.0.0.1:${port}`, { host: "127.0.0.1", port: proxies[i]!.port }]));
    const prefix = freshPrefix();
    const far = testApp({ redis: { cluster: cluster!.nodes.map(({ port }) => ({ host: "127.0.0.1", port })), natMap }, prefix });
    await far.queue(job).join();
    /** Joins again and again until it is over; tells how many joins came back before. */
    const earlyJoins = async (isOver: () => boolean): Promise<number> => {
      let early = 0;
      const join = async (): Promise<void> => {
        while (!isOver()) {
          await far.queue(job).join({ timeout: "60s" });
          if (!isOver()) early += 1;
        }
      };
      await Promise.all(Array.from({ length: 20 }, join));
      return early;
    };
    return { near: testApp({ redis, prefix }), far, earlyJoins, prefix, connection };
  }

  test("is not early while a handler puts into partitions that were looked at already", async () => {
    const { near, far, earlyJoins } = await setUp();
    const queue = near.queue(job);
    let last = false;
    near.pool([
      defineHandler(job, {
        async handle({ n }) {
          if (n < HOPS) await queue.put({ n: n + 1 });
          else last = true;
          return n;
        },
      }),
    ], { concurrency: 4 });
    await queue.put({ n: 0 });
    expect(await earlyJoins(() => last)).toBe(0);
    await far.queue(job).join({ timeout: "10s" });
    expect(await queue.counts()).toMatchObject({ completed: HOPS + 1, unfinished: 0 });
  }, 60_000);

  test("is not early while stock workers do, whose puts are not counted by us", async () => {
    const { far, earlyJoins, prefix, connection } = await setUp();
    const client = connection();
    const stock = Array.from({ length: PARTITIONS }, (_, n) => new StockQueue("work", { connection: client, prefix: `{${prefix}-${n}}` }));
    let last = false;
    const workers = stock.map(
      ({ opts }, i) =>
        new StockWorker("work", async ({ data }: { data: { n: number } }) => {
          if (data.n < HOPS) await stock[(i + 1) % PARTITIONS]!.add("work", { n: data.n + 1 }, { removeOnComplete: true });
          else last = true;
        }, { connection: client, prefix: opts.prefix! }),
    );
    onTestFinished(async () => {
      await Promise.all([...workers, ...stock].map((each) => each.close()));
      client.disconnect();
    });
    await stock[0]!.add("work", { n: 0 });
    expect(await earlyJoins(() => last)).toBe(0);
    await far.queue(job).join({ timeout: "10s" });
  }, 60_000);
});

test("settings are checked before any I/O", async () => {
  for (const partitions of [0, 257, 1.5, "8"]) expect(() => defineQueue("work", { partitions: partitions as number })).toThrow(OptionError);
  const app = testApp();
  expect((await failure(app.put(job, { n: 1 }, { id: "a", partitionKey: "b" }))).error).toBeInstanceOf(OptionError);
  expect((await failure(app.put(job, { n: 1 }, { partitionKey: "" }))).error).toBeInstanceOf(OptionError);
  expect((await failure(app.queue(job).putMany([{ n: 1 }], { id: () => "a", partitionKey: () => "b" }))).error).toBeInstanceOf(OptionError);
  expect(() => app.queue(defineJob("other", { queue: "work" }))).toThrow(/one partitions for queue work, got 6 and undefined/);
  expect(() => app.queue(defineJob("other", { queue: defineQueue("work", { partitions: 8 }) }))).toThrow(/6 and 8/);
});

test("on one server all partitions share their connections: one that blocks, one for commands", async () => {
  const app = testApp();
  const client = new Redis(redisUrl());
  onTestFinished(() => client.disconnect());
  const idle = defineJob("idle", { queue: defineQueue(`idle-${Date.now()}`, { partitions: 8 }) });
  const pool = app.pool([defineHandler(idle, { handle: async () => {} })]);
  await pool.ready;
  const blocked = async () => String(await client.client("LIST")).split("\n").filter((line) => / name=wait:\S+ /.test(line) && line.includes(`:${idle.queue} `));
  await until(async () => (await blocked()).length === 1 && / cmd=bzpopmin/.test((await blocked())[0]!));
  await app.queue(idle).putMany(Array.from({ length: 50 }, () => undefined));
  await app.queue(idle).join({ timeout: "10s" });
  expect(await blocked()).toHaveLength(1);
});

function plainPrefix(client: Redis | ClusterClient, prefix: string): string {
  return client instanceof ClusterClient ? `{${prefix}}` : prefix;
}
