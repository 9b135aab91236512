import * as fc from "fast-check";
import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { BackendError } from "../../src/errors.ts";
import type { NewJob } from "../../src/store/put.ts";
import type { StoredQueue } from "../../src/store/stored-queue.ts";
import { until } from "../support/app.ts";
import { failure, takes } from "../support/outcome.ts";
import { redisClient, startRedis } from "../support/redis.ts";
import { startProxy } from "../support/tcp-proxy.ts";
import { consumerOf, eventsOf, newJob, openQueue, placesOf, putAll, waitingIds } from "./opened-queue.ts";

const never = new AbortController().signal;

/** The connection that waits for the queue's marker, once it does. */
async function blockedId({ client, prefix, name }: StoredQueue): Promise<string> {
  for (;;) {
    const clients = String(await client.client("LIST")).split("\n");
    const id = clients.find((line) => line.includes(` name=wait:${prefix}:${name} `) && line.includes(" cmd=bzpopmin "))?.match(/^id=(\d+) /)?.[1];
    if (id !== undefined) return id;
  }
}

async function takeIds(queue: StoredQueue, most: number): Promise<string[]> {
  return (await consumerOf(queue).reserver.take(most)).map(({ job }) => job.id);
}

test("leases what is ready: token, fence, hash and events as BullMQ's workers write them", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  await putAll(queue, [newJob("a", { data: '{"n":1}', options: '{"attempts":3,"mv":2}', timeoutMs: 70 }), newJob("b")]);
  const { reserver } = consumerOf(queue);
  const [a, b] = await reserver.take(5);
  expect(a!.job).toMatchObject({ id: "a", name: "test", data: '{"n":1}', version: 2, timeoutMs: 70, attemptsMade: 0, starts: 1, options: { attempts: 3 } });
  expect(b!.fence).toBe(a!.fence + 1);
  expect(await client.get(`${keys.base}a:lock`)).toBe(a!.token);
  expect(await client.pttl(`${keys.base}b:lock`)).toBeGreaterThan(9000);
  expect(await client.hmget(`${keys.base}a`, "pb", "ats")).toEqual(["tester", "1"]);
  expect(Number(await client.hget(`${keys.base}a`, "processedOn"))).toBeGreaterThan(1.7e12);
  expect(await placesOf(queue, "a")).toEqual(["active"]);
  expect((await eventsOf(queue)).slice(-2)).toEqual(["active a", "active b"]);
  expect(await reserver.take(5)).toEqual([]);
});

test("a later delivery has a greater fence, whoever makes it", async () => {
  const queue = await openQueue();
  await putAll(queue, ["a", "b", "c", "d"].map((id) => newJob(id)));
  const [one, other] = [consumerOf(queue).reserver, consumerOf(queue).reserver];
  const fences = [...(await one.take(2)), ...(await other.take(1)), ...(await one.take(1))].map(({ fence }) => fence);
  expect(fences).toEqual(fences.toSorted((a, b) => a - b));
  expect(new Set(fences).size).toBe(4);
});

test("jobs come in the order put, LIFO ones first, prioritized ones last by priority, in batches of any size", async () => {
  const queue = await openQueue();
  const kind = fc.constantFrom<Partial<NewJob>>({}, { lifo: true }, { priority: 1 }, { priority: 7 });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(kind, { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 12, maxLength: 12 }), async (kinds, sizes) => {
      run += 1;
      const jobs = kinds.map((job, n) => newJob(`${run}-${n}`, job));
      await putAll(queue, jobs);
      const taken: string[] = [];
      for (const size of sizes) taken.push(...(await takeIds(queue, size)));
      const lifo = jobs.filter((job) => job.lifo).toReversed();
      const fifo = jobs.filter((job) => !job.lifo && job.priority === 0);
      const prioritized = jobs.filter((job) => job.priority > 0).toSorted((a, b) => a.priority - b.priority);
      expect(taken).toEqual([...lifo, ...fifo, ...prioritized].map(({ id }) => id));
    }),
    { numRuns: 30 },
  );
});

test("what is due is taken, by priority where it has one, and what is not due waits", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  await putAll(queue, [newJob("low", { delayMs: 60_000, priority: 5 }), newJob("plain", { delayMs: 60_000 }), newJob("high", { delayMs: 60_000, priority: 1 }), newJob("late", { delayMs: 90_000 })]);
  for (const id of ["low", "plain", "high"]) await client.zadd(keys.delayed, (Date.now() - 1000) * 4096, id);
  expect(await takeIds(queue, 10)).toEqual(["plain", "high", "low"]);
  expect(await client.hget(`${keys.base}plain`, "delay")).toBe("0");
  expect(await placesOf(queue, "late")).toEqual(["delayed"]);
  expect((await eventsOf(queue)).filter((event) => event.startsWith("waiting")).toSorted()).toEqual(["waiting high", "waiting low", "waiting plain"]);
});

test.each([-5, 0, 4095])("what is due since before 1970, as a score of %d says, is taken, and keeps nothing that is due waiting", async (score) => {
  const queue = await openQueue();
  await putAll(queue, ["first", "second"].map((id) => newJob(id, { delayMs: 60_000 })));
  await queue.client.zadd(queue.keys.delayed, score, "first", (Date.now() - 1000) * 4096, "second");
  expect(await takeIds(queue, 5)).toEqual(["first", "second"]);
});

test("a paused queue gives nothing, and goes on when it is resumed", async () => {
  const queue = await openQueue();
  await putAll(queue, [newJob("a")]);
  const stock = await queue.stock();
  await stock.pause(true);
  const { reserver } = consumerOf(queue);
  expect(await reserver.take(1)).toEqual([]);
  const waiting = takes(reserver.wait(never));
  await stock.pause(false);
  expect(await waiting).toBeLessThan(2000);
  expect(await reserver.take(1)).toHaveLength(1);
});

test("global concurrency holds across consumers, and whoever waits is woken when a job ends", async () => {
  const queue = await openQueue();
  await (await queue.stock()).setQueueMeta({ concurrency: 2 });
  await putAll(queue, ["a", "b", "c"].map((id) => newJob(id)));
  const [one, other] = [consumerOf(queue), consumerOf(queue)];
  const [first] = await one.reserver.take(5);
  expect(await queue.client.llen(queue.keys.active)).toBe(2);
  expect(await other.reserver.take(5)).toEqual([]);
  await queue.client.del(queue.keys.marker);
  const waiting = takes(other.reserver.wait(never));
  await one.lane.settle({ leased: first!, kind: "ack", result: "null", keep: {} });
  expect(await waiting).toBeLessThan(2000);
  expect((await other.reserver.take(5)).map(({ job }) => job.id)).toEqual(["c"]);
});

test("a rate limit holds across consumers, and whoever took the last of it waits as long as it lasts, not longer", async () => {
  const queue = await openQueue();
  await (await queue.stock()).setQueueMeta({ max: 2, duration: 400 });
  await putAll(queue, ["a", "b", "c", "d", "e"].map((id) => newJob(id)));
  const [one, other] = [consumerOf(queue).reserver, consumerOf(queue).reserver];
  expect(await one.take(5)).toHaveLength(2);
  expect(await other.take(5)).toEqual([]);
  await queue.client.del(queue.keys.marker);
  expect(await takes(one.wait(never))).toBeLessThan(1500);
  expect(await one.take(5)).toHaveLength(2);
  const tookMs = await takes(one.wait(never));
  expect(tookMs).toBeGreaterThan(200);
  expect(tookMs).toBeLessThan(1500);
  expect(await one.take(5)).toHaveLength(1);
});

test.each<[Record<string, string | number>, string[]]>([
  [{ concurrency: 1.5 }, ["a", "b"]],
  [{ max: 1.5, duration: 60_000 }, ["a", "b"]],
  [{ concurrency: "many" }, ["a", "b", "c"]],
])("the limit %j lets as many go as are below it, and breaks nothing", async (limit, ids) => {
  const queue = await openQueue();
  await queue.client.hset(queue.keys.meta, limit);
  await putAll(queue, ["a", "b", "c"].map((id) => newJob(id)));
  expect(await takeIds(queue, 5)).toEqual(ids);
});

test("a limit without a duration limits nothing, and breaks nothing", async () => {
  const queue = await openQueue();
  await queue.client.hset(queue.keys.meta, "max", 1);
  await putAll(queue, ["a", "b"].map((id) => newJob(id)));
  expect(await takeIds(queue, 5)).toEqual(["a", "b"]);
});

test("whoever took all that it asked for wakes another where more waits, or passes on when the next is due", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  await putAll(queue, [newJob("a"), newJob("b"), newJob("c"), newJob("late", { delayMs: 60_000 })]);
  const { reserver } = consumerOf(queue);
  await client.del(keys.marker);
  await reserver.take(1);
  expect(await client.zrange(keys.marker, "0", "-1")).toEqual(["0"]);
  await client.del(keys.marker);
  await reserver.take(2);
  const dueAt = Math.floor(Number(await client.zscore(keys.delayed, "late")) / 4096);
  expect(await client.zrange(keys.marker, "0", "-1", "WITHSCORES")).toEqual(["1", String(dueAt)]);
  await client.del(keys.marker);
  await reserver.take(1);
  expect(await client.exists(keys.marker)).toBe(0);
});

test("a wait ends when a job is put, when a delayed one is due, and when its signal fires", async () => {
  const queue = await openQueue();
  const { reserver } = consumerOf(queue);
  await reserver.take(1);
  let waiting = takes(reserver.wait(never));
  await putAll(queue, [newJob("a")]);
  expect(await waiting).toBeLessThan(2000);
  expect(await reserver.take(1)).toHaveLength(1);

  waiting = takes(reserver.wait(never));
  await putAll(queue, [newJob("soon", { delayMs: 300 })]);
  const tookMs = await waiting;
  expect(tookMs).toBeGreaterThan(200);
  expect(tookMs).toBeLessThan(2000);
  expect((await reserver.take(1)).map(({ job }) => job.id)).toEqual(["soon"]);

  const controller = new AbortController();
  waiting = takes(reserver.wait(controller.signal));
  controller.abort();
  expect(await waiting).toBeLessThan(1000);
});

test("who takes when something is ready leases it in the step that puts it, but not what is due soon", async () => {
  const queue = await openQueue();
  const { reserver } = consumerOf(queue);
  await reserver.take(1);
  const taking = reserver.takeWhenReady(2, never, reserver.nextToken());
  await blockedId(queue);
  await putAll(queue, [newJob("a")]);
  // Before this process has heard of it.
  expect(await placesOf(queue, "a")).toEqual(["active"]);
  const [a] = await taking;
  expect([a!.job.id, a!.job.starts, await queue.client.get(`${queue.keys.base}a:lock`)]).toEqual(["a", 1, a!.token]);

  await putAll(queue, ["b", "c", "d"].map((id) => newJob(id)));
  expect((await reserver.takeWhenReady(2, never, reserver.nextToken())).map(({ job }) => job.id)).toEqual(["b", "c"]);
  expect((await reserver.takeWhenReady(2, never, reserver.nextToken())).map(({ job }) => job.id)).toEqual(["d"]);

  await putAll(queue, [newJob("soon", { delayMs: 300 })]);
  expect(await reserver.takeWhenReady(2, never, reserver.nextToken())).toEqual([]);
  const due = reserver.takeWhenReady(2, never, reserver.nextToken());
  const tookMs = await takes(due);
  expect(tookMs).toBeGreaterThan(200);
  expect(tookMs).toBeLessThan(2000);
  expect(await due).toEqual([]);
  expect((await reserver.take(2)).map(({ job }) => job.id)).toEqual(["soon"]);
});

test("who takes when something is ready has asked for nothing more once its signal has fired", async () => {
  const queue = await openQueue();
  const { reserver } = consumerOf(queue);
  await reserver.take(1);
  for (const isBlocked of [true, false, true]) {
    const gone = new AbortController();
    const taking = reserver.takeWhenReady(2, gone.signal, reserver.nextToken());
    if (isBlocked) await blockedId(queue);
    gone.abort();
    expect(await takes(taking)).toBeLessThan(1000);
    expect(await taking).toEqual([]);
  }
  await putAll(queue, [newJob("a")]);
  expect(await placesOf(queue, "a")).toEqual(["wait"]);
});

test("an answer that lay unread for long gives what still holds, renewed", async () => {
  const queue = await openQueue();
  const { reserver } = consumerOf(queue, 2000);
  await reserver.take(1);
  const [other, slow] = [redisClient(), redisClient()];
  const lockOf = (id: string): string => `${queue.keys.base}${id}:lock`;
  for (const [id, taker, expected] of [["mine", "nobody", ["mine"]], ["theirs", lockOf("theirs"), []]] as const) {
    const taking = reserver.takeWhenReady(1, never, reserver.nextToken());
    await blockedId(queue);
    await Promise.all([other.ping(), slow.ping()]);
    const putting = putAll(queue, [newJob(id)]);
    // Somebody takes it over while this process does not look.
    const taken = Promise.all([slow.blpop("no such list", 0.3), slow.set(taker, "somebody else")]);
    await new Promise((resolve) => setImmediate(resolve));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 900);
    expect((await taking).map(({ job }) => job.id)).toEqual(expected);
    await Promise.all([putting, taken]);
  }
  expect(await other.pttl(lockOf("mine"))).toBeGreaterThan(0);
});

test("an answer that came while the machine slept is not taken for fresh, and comes with the next call where it cannot be renewed", async () => {
  const queue = await openQueue();
  const producer = await openQueue({ prefix: queue.prefix });
  const { reserver } = consumerOf(queue);
  await reserver.take(1);
  const taking = failure(reserver.takeWhenReady(1, never, reserver.nextToken()));
  await blockedId(producer);
  const { now } = Date;
  onTestFinished(() => void (Date.now = now));
  Date.now = () => now() + 60_000;
  queue.client.disconnect();
  await putAll(producer, [newJob("a")]);
  expect((await taking).error).toMatchObject({ mayHaveRun: false });
  Date.now = now;
  await queue.client.connect();
  expect((await reserver.take(1)).map(({ job }) => [job.id, job.starts])).toEqual([["a", 1]]);
});

test("who takes when something is ready is told when it cannot wait, unless it has got something", async () => {
  const queue = await openQueue();
  const { reserver } = consumerOf(queue);
  await reserver.take(1);
  await queue.client.set(queue.keys.marker, "of another type");
  expect((await failure(reserver.takeWhenReady(1, never, reserver.nextToken()))).error).toMatchObject({ message: expect.stringMatching(/WRONGTYPE/) });
  await queue.client.del(queue.keys.marker);
  await putAll(queue, [newJob("a")]);
  await queue.client.del(queue.keys.marker);
  await queue.client.set(queue.keys.marker, "of another type");
  expect((await reserver.takeWhenReady(1, never, reserver.nextToken())).map(({ job }) => job.id)).toEqual(["a"]);
});

test("who takes when something is ready asks for nothing while the queue is limited", async () => {
  const queue = await openQueue();
  await (await queue.stock()).setQueueMeta({ max: 1, duration: 300 });
  await putAll(queue, ["a", "b"].map((id) => newJob(id)));
  const { reserver } = consumerOf(queue);
  expect(await reserver.take(2)).toHaveLength(1);
  const taking = reserver.takeWhenReady(2, never, reserver.nextToken());
  expect(await takes(taking)).toBeGreaterThan(150);
  expect(await taking).toEqual([]);
  expect(await reserver.take(2)).toHaveLength(1);
});

test("what is delayed for ever keeps nobody from waiting", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  await putAll(queue, [newJob("never", { delayMs: 60_000 })]);
  await client.zadd(keys.delayed, "inf", "never");
  await client.zadd(keys.marker, "inf", "1");
  const { reserver } = consumerOf(queue);
  expect(await reserver.wait(never)).toBe(true);
  expect(await reserver.take(1)).toEqual([]);
  const waiting = reserver.wait(never);
  await putAll(queue, [newJob("now")]);
  expect(await waiting).toBe(true);
});

test("closing wakes another consumer in this one's stead", async () => {
  const queue = await openQueue();
  const { reserver } = consumerOf(queue);
  await putAll(queue, [newJob("a")]);
  await reserver.wait(never);
  expect(await queue.client.exists(queue.keys.marker)).toBe(0);
  await reserver.close();
  expect(await queue.client.zrange(queue.keys.marker, "0", "-1")).toEqual(["0"]);
});

test("a wait whose connection breaks says so with a BackendError, and the next one works", async () => {
  const queue = await openQueue({ name: "killed" });
  const { client } = queue;
  const { reserver } = consumerOf(queue);
  const waiting = failure(reserver.wait(never));
  await client.client("KILL", "ID", await blockedId(queue));
  expect((await waiting).error).toBeInstanceOf(BackendError);
  const again = takes(reserver.wait(never));
  await putAll(queue, [newJob("a")]);
  expect(await again).toBeLessThan(2000);
});

test("a wait ends by its signal while Redis is down", async () => {
  const server = await startRedis();
  const queue = await openQueue({ url: server.url });
  const { reserver } = consumerOf(queue);
  const first = failure(reserver.wait(never));
  await blockedId(queue);
  await server.kill();
  expect((await first).error).toBeInstanceOf(BackendError);
  const controller = new AbortController();
  const waiting = takes(reserver.wait(controller.signal));
  controller.abort();
  expect(await waiting).toBeLessThan(1000);
});

/** Of the jobs a to d the first three were leased by a call whose answer was lost. */
async function threeLeasedUnheard(): Promise<{ queue: StoredQueue; operator: Redis; reserver: ReturnType<typeof consumerOf>["reserver"] }> {
  const server = await startRedis();
  const proxy = await startProxy(server.port);
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  const queue = await openQueue({ url: `redis://127.0.0.1:${proxy.port}` });
  const operator = new Redis(server.url);
  onTestFinished(() => operator.disconnect());
  const { reserver } = consumerOf(queue);
  await reserver.take(1);
  await putAll(queue, ["a", "b", "c", "d"].map((id) => newJob(id)));
  proxy.loseReplies();
  expect((await failure(reserver.take(3))).error).toBeInstanceOf(BackendError);
  return { queue, operator, reserver };
}

test("jobs that were leased by a call whose answer was lost come with the next one, as the same attempt", async () => {
  const { queue, operator, reserver } = await threeLeasedUnheard();
  expect(await operator.llen(queue.keys.active)).toBe(3);

  const first = await reserver.take(2);
  const rest = await reserver.take(2);
  expect([first, rest].map((leased) => leased.map(({ job }) => [job.id, job.starts]))).toEqual([[["a", 1], ["b", 1]], [["c", 1]]]);
  expect(await takes(reserver.wait(never))).toBeLessThan(1000);
  expect((await reserver.take(2)).map(({ job }) => job.id)).toEqual(["d"]);
  for (const { job, token } of [...first, ...rest]) expect(await operator.get(`${queue.keys.base}${job.id}:lock`)).toBe(token);
});

test("jobs that came while nobody heard it come with the next call, as the same attempt", async () => {
  const server = await startRedis();
  const proxy = await startProxy(server.port);
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  const [queue, producer] = [await openQueue({ url: `redis://127.0.0.1:${proxy.port}`, prefix: "p" }), await openQueue({ url: server.url, prefix: "p" })];
  const { reserver } = consumerOf(queue);
  await reserver.take(1);
  proxy.holdReplies(/bzpopmin/i);
  const taking = failure(reserver.takeWhenReady(2, never, reserver.nextToken()));
  await blockedId(producer);
  await putAll(producer, ["a", "b", "c"].map((id) => newJob(id)));
  await until(async () => (await placesOf(producer, "a")).includes("active"));
  proxy.cut();
  expect((await taking).error).toMatchObject({ mayHaveRun: true });
  // The other connection is cut as well.
  let leased: Awaited<ReturnType<typeof reserver.take>> = [];
  for (let n = 0; n < 3 && leased.length === 0; n += 1) leased = await reserver.take(2).catch(() => []);
  expect(leased.map(({ job }) => [job.id, job.starts])[0]).toEqual(["a", 1]);
});

test("jobs that were leased by a call whose script broke off come with the next one, as the same attempt", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  await putAll(queue, ["a", "b"].map((id) => newJob(id)));
  await client.lpush(keys.fence, "of another type");
  const { reserver } = consumerOf(queue);
  expect(String((await failure(reserver.take(5))).error)).toMatch(/WRONGTYPE/);
  await client.del(keys.fence);
  expect((await reserver.take(5)).map(({ job }) => [job.id, job.starts])).toEqual([["a", 1], ["b", 1]]);
});

test("what a call whose answer was lost has leased is given back on closing, no attempt spent, and nothing else is touched", async () => {
  const { queue, operator, reserver } = await threeLeasedUnheard();
  await reserver.close();
  expect(await operator.llen(queue.keys.active)).toBe(0);
  expect(await waitingIds(queue)).toEqual(["a", "b", "c", "d"]);
  expect(await operator.hget(`${queue.keys.base}a`, "atm")).toBeNull();
  expect(await operator.hget(`${queue.keys.base}d`, "ats")).toBeNull();
  expect(await operator.exists(...["a", "b", "c", "d"].map((id) => `${queue.keys.base}${id}:lock`))).toBe(0);
});

test("a job whose hash is gone from Redis is delivered without data, one whose fields are garbage with what can be read", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  await putAll(queue, ["gone", "garbage", "good"].map((id) => newJob(id)));
  await client.del(`${keys.base}gone`);
  await client.hset(`${keys.base}garbage`, "opts", "{not json", "stacktrace", "null", "atm", "many");
  const leased = await consumerOf(queue).reserver.take(5);
  expect(leased.map(({ job }) => [job.id, job.name, job.data, job.options, job.attemptsMade, job.stacktrace])).toEqual([
    ["gone", "", undefined, {}, 0, []],
    ["garbage", "test", "{}", {}, 0, []],
    ["good", "test", "{}", { attempts: 3, mv: 1 }, 0, []],
  ]);
});

test("whatever a job carries beside what it was put with comes with it, however many fields it has", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  await putAll(queue, [newJob("plain"), newJob("stock", { options: "{}" }), newJob("linked", { options: "{}" }), newJob("short")]);
  await client.hset(`${keys.base}linked`, "deid", "once");
  await client.hdel(`${keys.base}short`, "timestamp");
  const leased = await consumerOf(queue).reserver.take(5);
  expect(leased.map(({ job }) => [job.id, job.name, job.data, job.version, job.isLinked, job.putAt > 0, job.starts])).toEqual([
    ["plain", "test", "{}", 1, false, true, 1],
    ["stock", "test", "{}", undefined, false, true, 1],
    ["linked", "test", "{}", undefined, true, true, 1],
    ["short", "test", "{}", 1, false, false, 1],
  ]);
});

test("a batch ends where it has enough bytes, and the rest comes at once with the next one", async () => {
  const queue = await openQueue();
  const big = JSON.stringify("x".repeat(600_000));
  await putAll(queue, [...["a", "b", "c"].map((id) => newJob(id, { data: big })), newJob("d", { priority: 1, data: big }), newJob("e", { priority: 2 })]);
  const { reserver } = consumerOf(queue);
  expect((await reserver.take(10)).map(({ job }) => job.id)).toEqual(["a", "b"]);
  expect(await takes(reserver.wait(never))).toBeLessThan(1000);
  expect((await reserver.take(10)).map(({ job }) => job.id)).toEqual(["c", "d"]);
  expect(await takes(reserver.wait(never))).toBeLessThan(1000);
  expect((await reserver.take(10)).map(({ job }) => job.id)).toEqual(["e"]);
  expect(await queue.client.llen(queue.keys.active)).toBe(5);
});
