import { FlowProducer, Queue } from "bullmq";
import { Redis } from "ioredis";
import { expect, onTestFinished, test, vi } from "vitest";
import { BackendError } from "../../src/errors.ts";
import { extendLeases } from "../../src/store/extend.ts";
import type { NewJob } from "../../src/store/put.ts";
import type { Leased } from "../../src/store/reserve.ts";
import type { Retention, Settled, Settlement } from "../../src/store/settle.ts";
import type { StoredQueue } from "../../src/store/stored-queue.ts";
import { failure } from "../support/outcome.ts";
import { redisClient, redisUrl, startRedis } from "../support/redis.ts";
import { startProxy, type Proxy } from "../support/tcp-proxy.ts";
import { consumerOf, eventsOf, newJob, openQueue, placesOf, putAll, waitingIds } from "./opened-queue.ts";

const ack = (leased: Leased, keep: Retention = {}): Settlement => ({ leased, kind: "ack", result: '{"ok":true}', keep });
const fail = (leased: Leased, attempts = 1, keep: Retention = {}): Settlement => ({ leased, kind: "fail", reason: "broken", stack: ["Error: broken"], attempts, keep });
const retry = (leased: Leased, delayMs = 0): Settlement => ({ leased, kind: "retry", reason: "broken", stack: ["Error: broken"], delayMs });
const release = (leased: Leased, delayMs = 0, unknown = false): Settlement => ({ leased, kind: "release", delayMs, unknown });

async function leased(queue: StoredQueue, jobs: readonly (string | NewJob)[]): Promise<readonly Leased[]> {
  await putAll(queue, jobs.map((job) => (typeof job === "string" ? newJob(job) : job)));
  return consumerOf(queue).reserver.take(jobs.length);
}

async function settle(queue: StoredQueue, ...settlements: Settlement[]): Promise<Settled[]> {
  const { lane } = consumerOf(queue);
  return Promise.all(settlements.map((each) => lane.settle(each)));
}

test("an acknowledged job is completed with its result, as BullMQ writes it", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  const [a] = await leased(queue, ["a"]);
  expect(await settle(queue, ack(a!))).toEqual(["done"]);
  expect(await placesOf(queue, "a")).toEqual(["completed"]);
  const hash = await client.hgetall(`${keys.base}a`);
  expect(hash).toMatchObject({ returnvalue: '{"ok":true}', atm: "1", ats: "1" });
  expect(await client.zscore(keys.completed, "a")).toBe(hash["finishedOn"]);
  expect(await client.exists(`${keys.base}a:lock`)).toBe(0);
  expect((await eventsOf(queue)).slice(-2)).toEqual(["completed a", "drained"]);
  const [[, completed]] = (await client.xrevrange(keys.events, "+", "-", "COUNT", 2)).slice(1) as [[string, string[]]];
  expect(completed).toEqual(["event", "completed", "jobId", "a", "returnvalue", '{"ok":true}', "prev", "active"]);
});

test("a job that failed for good is failed with its reason; retries are exhausted only where all were made", async () => {
  const queue = await openQueue();
  const [a, b] = await leased(queue, ["a", "b"]);
  await queue.client.hset(`${queue.keys.base}a`, "defa", "a child has failed");
  expect(await settle(queue, fail(a!, 1), fail(b!, 3))).toEqual(["done", "done"]);
  expect(await placesOf(queue, "a")).toEqual(["failed"]);
  expect(await queue.client.hgetall(`${queue.keys.base}a`)).toMatchObject({ failedReason: "broken", stacktrace: '["Error: broken"]', atm: "1" });
  expect(await queue.client.hexists(`${queue.keys.base}a`, "defa")).toBe(0);
  expect((await eventsOf(queue)).slice(-4)).toEqual(["failed a", "retries-exhausted a", "failed b", "drained"]);
});

test("a retried job waits behind the others, a LIFO one before them, a prioritized one among its like", async () => {
  const queue = await openQueue();
  const held = await leased(queue, [newJob("plain"), newJob("lifo", { options: '{"attempts":3,"lifo":true}' }), newJob("high", { priority: 1 })]);
  await putAll(queue, [newJob("x"), newJob("y", { priority: 1 }), newJob("z", { priority: 2 })]);
  const byId = new Map(held.map((each) => [each.job.id, each]));
  await settle(queue, ...["plain", "lifo", "high"].map((id) => retry(byId.get(id)!)));
  expect(await waitingIds(queue)).toEqual(["lifo", "x", "plain", "y", "high", "z"]);
  expect(await queue.client.hgetall(`${queue.keys.base}plain`)).toMatchObject({ atm: "1", failedReason: "broken", stacktrace: '["Error: broken"]' });
  expect((await eventsOf(queue)).slice(-3)).toEqual(["waiting plain", "waiting lifo", "waiting high"]);
});

test("a retried job with a delay is delayed, and the marker says until when", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  const [a] = await leased(queue, ["a"]);
  await settle(queue, retry(a!, 60_000));
  expect(await placesOf(queue, "a")).toEqual(["delayed"]);
  expect(await client.hmget(`${keys.base}a`, "atm", "delay")).toEqual(["1", "60000"]);
  const dueAt = Number(await client.zscore(keys.delayed, "a")) / 4096;
  expect(await client.zscore(keys.marker, "1")).toBe(String(dueAt));
  expect((await eventsOf(queue)).at(-1)).toBe("delayed a");
});

test("a released job is the next one again, with no attempt spent", async () => {
  const queue = await openQueue();
  const held = await leased(queue, [newJob("a"), newJob("b", { priority: 1 })]);
  await putAll(queue, [newJob("x"), newJob("y", { priority: 1 })]);
  await settle(queue, ...held.map((each) => release(each)));
  expect(await waitingIds(queue)).toEqual(["a", "x", "b", "y"]);
  const [again] = await consumerOf(queue).reserver.take(1);
  expect(again!.job).toMatchObject({ id: "a", attemptsMade: 0, starts: 2 });
  expect((await settle(queue, release(again!, 30_000)))).toEqual(["done"]);
  expect(await placesOf(queue, "a")).toEqual(["delayed"]);
});

test("since when nobody knew a job is kept over releases, until it has run", async () => {
  const queue = await openQueue();
  const { reserver } = consumerOf(queue);
  const [first] = await leased(queue, ["a"]);
  await settle(queue, release(first!, 0, true));
  const [second] = await reserver.take(1);
  const since = second!.job.unknownSince;
  expect(since).toBeGreaterThan(1.7e12);
  await settle(queue, release(second!, 0, true));
  const [third] = await reserver.take(1);
  expect(third!.job.unknownSince).toBe(since);
  await settle(queue, retry(third!));
  expect((await reserver.take(1))[0]!.job.unknownSince).toBeUndefined();
});

test("finished jobs are kept by number, by age, or not at all; those of the other state are left alone", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  const finish = async (id: string, end: (each: Leased) => Settlement): Promise<void> => {
    const [each] = await leased(queue, [id]);
    expect(await settle(queue, end(each!))).toEqual(["done"]);
  };
  await finish("dead", (each) => fail(each));
  for (const id of ["a", "b", "c"]) {
    await finish(id, (each) => ack(each, { count: 2 }));
    await client.zadd(keys.completed, id.charCodeAt(0), id);
  }
  await finish("d", (each) => ack(each, { count: 2 }));
  expect(await client.zrange(keys.completed, "0", "-1")).toEqual(["c", "d"]);
  expect(await client.exists(`${keys.base}a`, `${keys.base}b`)).toBe(0);

  await finish("e", (each) => ack(each, { ageMs: 3_600_000 }));
  expect(await client.zrange(keys.completed, "0", "-1")).toEqual(["d", "e"]);
  await finish("f", (each) => ack(each, { count: 0 }));
  expect(await client.exists(`${keys.base}f`)).toBe(0);
  expect(await client.zrange(keys.completed, "0", "-1")).toEqual(["d", "e"]);
  await finish("g", (each) => ack(each, {}));
  expect(await client.zcard(keys.completed)).toBe(3);
  expect(await placesOf(queue, "dead")).toEqual(["failed"]);
});

test("retention that is no number binds nothing, and stops no batch", async () => {
  const queue = await openQueue();
  const [a, b, c] = await leased(queue, ["a", "b", "c"]);
  const odd = { count: "many", ageMs: null } as unknown as Retention;
  expect(await settle(queue, ack(a!, odd), ack(b!, { count: 1.5 }), fail(c!, 1, { ageMs: NaN }))).toEqual(["done", "done", "done"]);
  expect(await queue.client.zcard(queue.keys.completed)).toBe(1);
  expect(await placesOf(queue, "c")).toEqual(["failed"]);
});

test.each([undefined, null, NaN, "5", -1, 0.2])("a delay of %s delays nothing, and stops no batch", async (delay) => {
  const queue = await openQueue();
  const [a, b] = await leased(queue, ["a", "b"]);
  expect(await settle(queue, { ...retry(a!), delayMs: delay } as Settlement, ack(b!))).toEqual(["done", "done"]);
  expect([await placesOf(queue, "a"), await placesOf(queue, "b")]).toEqual([["wait"], ["completed"]]);
});

test("`drained` is told when nothing waits or runs any more, and only then", async () => {
  const queue = await openQueue();
  const [a, b, c] = await leased(queue, ["a", "b", "c"]);
  await settle(queue, ack(a!));
  await settle(queue, retry(b!));
  await settle(queue, ack(c!));
  expect(await eventsOf(queue)).not.toContain("drained");
  const [again] = await consumerOf(queue).reserver.take(1);
  await settle(queue, ack(again!));
  expect((await eventsOf(queue)).filter((event) => event === "drained")).toHaveLength(1);
});

test("who no longer holds the lease settles nothing, whatever became of the job", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  const [a, b] = await leased(queue, ["a", "b"]);
  await settle(queue, retry(a!));
  const [again] = await consumerOf(queue).reserver.take(1);
  for (const stale of [ack(a!), fail(a!), retry(a!), release(a!)]) expect(await settle(queue, stale)).toEqual(["lost"]);
  expect(await placesOf(queue, "a")).toEqual(["active"]);
  expect(await client.get(`${keys.base}a:lock`)).toBe(again!.token);
  await settle(queue, ack(again!));
  expect(await settle(queue, ack(a!))).toEqual(["lost"]);
  // Not even where it is not active any more while its lease still stands.
  await client.lrem(keys.active, 0, "b");
  expect(await settle(queue, ack(b!))).toEqual(["lost"]);
});

test("a lease that ran out while nobody took the job still settles it; once it was started again it does not", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  const [a, b] = await leased(queue, ["a", "b"]);
  await client.del(`${keys.base}a:lock`, `${keys.base}b:lock`);
  expect(await settle(queue, ack(a!))).toEqual(["done"]);
  expect(await placesOf(queue, "a")).toEqual(["completed"]);
  // Taken back by a stock worker's stall check, started by another, which died as well.
  await client.lmove(keys.active, keys.wait, "RIGHT", "RIGHT");
  const [again] = await consumerOf(queue).reserver.take(1);
  expect(again!.job.id).toBe("b");
  await client.del(`${keys.base}b:lock`);
  expect(await settle(queue, ack(b!))).toEqual(["lost"]);
  expect(await extendLeases(queue, [b!, again!], 1000)).toEqual([b]);
  expect(await settle(queue, ack(again!))).toEqual(["done"]);
});

test("one delivery that is settled twice in one batch is settled once", async () => {
  const queue = await openQueue();
  const [a] = await leased(queue, ["a"]);
  expect(await settle(queue, ack(a!), fail(a!))).toEqual(["done", "lost"]);
  expect(await placesOf(queue, "a")).toEqual(["completed"]);
});

test("many that end in no order leave the rest of the active as they stand, each where it stood", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  const held = await leased(queue, Array.from({ length: 60 }, (_, n) => `j${n}`));
  await client.lrem(keys.active, 1, "j7");
  const ending = held.filter((_, n) => n % 2 === 1).toReversed();
  const twice = ending[3]!;
  const answers = await settle(queue, ...ending.map((each) => ack(each)), ack(twice));
  const gone = ending.findIndex((each) => each.job.id === "j7");
  expect(answers).toEqual([...ending.map((_, n) => (n === gone ? "lost" : "done")), "lost"]);
  expect(await client.lrange(keys.active, 0, -1)).toEqual(held.filter((_, n) => n % 2 === 0).map((each) => each.job.id).toReversed());
  expect(await client.keys(`${keys.base}millrace:staying`)).toEqual([]);
  await settle(queue, ...held.filter((_, n) => n % 2 === 0).toReversed().map((each) => ack(each)));
  expect(await client.exists(keys.active)).toBe(0);
});

test("more settlements than one script takes are all settled, each as it was asked", async () => {
  const queue = await openQueue();
  const held = await leased(queue, Array.from({ length: 250 }, (_, n) => `j${n}`));
  const kinds = [ack, fail, retry, release];
  expect(new Set(await settle(queue, ...held.map((each, n) => kinds[n % 4]!(each))))).toEqual(new Set(["done"]));
  const { client, keys } = queue;
  expect(await Promise.all([client.zcard(keys.completed), client.zcard(keys.failed), client.llen(keys.wait), client.llen(keys.active)])).toEqual([63, 63, 124, 0]);
});

test("what is given back together stands as it was taken, however it ended", async () => {
  const queue = await openQueue();
  const ids = Array.from({ length: 250 }, (_, n) => `j${n}`);
  const held = await leased(queue, ids);
  const late = held.slice(-2);
  await settle(queue, ...held.slice(0, 200).map((each) => release(each)), ...late.map((each) => retry(each)), ...held.slice(200, 248).toReversed().map((each) => release(each)));
  expect(await waitingIds(queue)).toEqual(ids);
});

test("what is settled and what is asked for in one turn go out together: what is given back may come again", async () => {
  const queue = await openQueue();
  await putAll(queue, ["a", "b"].map((id) => newJob(id)));
  const { lane, reserver } = consumerOf(queue);
  const [a] = await reserver.take(1);
  const [settled, next] = await Promise.all([lane.settle(release(a!)), reserver.take(2)]);
  expect(settled).toBe("done");
  expect(next.map(({ job }) => job.id)).toEqual(["a", "b"]);
});

test("a full Redis still lets jobs end, and consumers take", async () => {
  const server = await startRedis();
  const queue = await openQueue({ url: server.url });
  const { client } = queue;
  const [a, b, c, d] = await leased(queue, ["a", "b", "c", "d"]);
  await putAll(queue, ["e"].map((id) => newJob(id)));
  await client.config("SET", "maxmemory", "1");
  expect(await extendLeases(queue, [a!], 5000)).toEqual([]);
  expect(await settle(queue, ack(a!), fail(b!), retry(c!), release(d!))).toEqual(["done", "done", "done", "done"]);
  expect((await consumerOf(queue).reserver.take(5)).map(({ job }) => job.id)).toEqual(["d", "e", "c"]);
});

test("in a full Redis a flow's job whose lease ran out is settled too, and keeps nothing from going on", async () => {
  const server = await startRedis();
  const queue = await openQueue({ url: server.url });
  await flow(queue, { one: {} }, server.url);
  const [one] = await consumerOf(queue).reserver.take(1);
  await putAll(queue, [newJob("next")]);
  await queue.client.del(`${queue.keys.base}${one!.job.id}:lock`);
  await queue.client.config("SET", "maxmemory", "1");
  const { lane, reserver } = consumerOf(queue);
  const [settled, next] = await Promise.all([lane.settle(ack(one!)), reserver.take(1)]);
  expect([settled, next.map(({ job }) => job.id)]).toEqual(["done", ["next"]]);
});

async function proxied(): Promise<{ queue: StoredQueue; proxy: Proxy; operator: Redis }> {
  const server = await startRedis();
  const proxy = await startProxy(server.port);
  const operator = new Redis(server.url);
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  onTestFinished(() => operator.disconnect());
  return { queue: await openQueue({ url: `redis://127.0.0.1:${proxy.port}` }), proxy, operator };
}

test("a settlement whose answer is lost is sent again and done, also when the job is gone or waits again by then", async () => {
  const { queue, proxy } = await proxied();
  const [a, b, c, d, e] = await leased(queue, ["a", "b", "c", "d", "e"]);
  proxy.loseReplies();
  expect(await settle(queue, ack(a!), ack(b!, { count: 0 }), fail(c!), retry(d!), release(e!, 50_000))).toEqual(["done", "done", "done", "done", "done"]);
  const places = await Promise.all(["a", "b", "c", "d", "e"].map((id) => placesOf(queue, id)));
  expect(places).toEqual([["completed"], [], ["failed"], ["wait"], ["delayed"]]);
  expect(await queue.client.hget(`${queue.keys.base}d`, "atm")).toBe("1");
});

test("what others have settled meanwhile is not taken for our own, also when it is sent again", async () => {
  const { queue, proxy, operator } = await proxied();
  const [a] = await leased(queue, ["a"]);
  await operator.set(`${queue.keys.base}a:lock`, "somebody else's");
  proxy.loseReplies();
  expect(await settle(queue, ack(a!))).toEqual(["lost"]);
});

test("what is settled by a script that breaks off where it reserves is settled all the same, and known to be", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  const [a, b] = await leased(queue, ["a", "b"]);
  await client.set(keys.prioritized, "of another type");
  const { lane, reserver } = consumerOf(queue);
  const [acked, failed, taken] = await Promise.all([lane.settle(ack(a!)), lane.settle(fail(b!)), failure(reserver.take(1))]);
  expect([acked, failed, String(taken.error)]).toEqual(["done", "done", expect.stringMatching(/WRONGTYPE/)]);
});

test("a settlement that Redis does not answer within the patience is given up", async () => {
  const server = await startRedis();
  const queue = await openQueue({ url: server.url });
  const [a] = await leased(queue, ["a"]);
  await server.kill();
  const { error, tookMs } = await failure(consumerOf(queue, 500).lane.settle(ack(a!)));
  expect(error).toBeInstanceOf(BackendError);
  expect(tookMs).toBeLessThan(6500);
});

/** A stock flow of one parent and its children, all in one queue. */
async function flow(queue: StoredQueue, children: Readonly<Record<string, object>>, url = redisUrl()): Promise<void> {
  const producer = new FlowProducer({ connection: { url }, prefix: queue.prefix });
  onTestFinished(() => producer.close());
  await producer.add({
    name: "parent", queueName: queue.name, opts: { jobId: "parent" },
    children: Object.entries(children).map(([jobId, opts]) => ({ name: "child", queueName: queue.name, opts: { jobId, ...opts } })),
  });
}

test("a child that completes releases its parent, also when its lease ran out and nobody took it", async () => {
  const queue = await openQueue();
  await flow(queue, { one: {}, two: {} });
  const [one, two] = await consumerOf(queue).reserver.take(5);
  expect(await settle(queue, ack(one!))).toEqual(["done"]);
  expect(await placesOf(queue, "parent")).toEqual(["waitingChildren"]);
  await queue.client.del(`${queue.keys.base}${two!.job.id}:lock`);
  expect(await settle(queue, ack(two!))).toEqual(["done"]);
  expect(await placesOf(queue, "parent")).toEqual(["wait"]);
  expect(Object.values(await queue.client.hgetall(`${queue.keys.base}parent:processed`))).toEqual(['{"ok":true}', '{"ok":true}']);
});

test("a flow's child is settled once, though answers are lost on the way", async () => {
  const { queue, proxy } = await proxied();
  const producer = new FlowProducer({ connection: { host: "127.0.0.1", port: proxy.port }, prefix: queue.prefix });
  producer.on("error", () => undefined);
  onTestFinished(() => producer.close());
  await producer.add({ name: "parent", queueName: queue.name, opts: { jobId: "parent" }, children: [{ name: "child", queueName: queue.name, opts: { jobId: "child", attempts: 1 } }] });
  const [child] = await consumerOf(queue).reserver.take(5);
  await queue.stock();
  // The first answer that is lost is our script's, the second BullMQ's.
  proxy.loseReplies();
  expect(await settle(queue, fail(child!))).toEqual(["done"]);
  expect(await placesOf(queue, "child")).toEqual(["failed"]);
  expect((await eventsOf(queue)).filter((event) => event === "failed child")).toHaveLength(1);
});

test("retention by age of a flow's job goes by the server's clock, though this process's is two hours ahead", async () => {
  const queue = await openQueue();
  await flow(queue, { child: {} });
  const [child] = await consumerOf(queue).reserver.take(1);
  const [earlier] = await leased(queue, ["earlier"]);
  await settle(queue, ack(earlier!));
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 7_200_000 });
  onTestFinished(() => void vi.useRealTimers());
  expect(await settle(queue, ack(child!, { ageMs: 3_600_000 }))).toEqual(["done"]);
  expect(await placesOf(queue, "earlier")).toEqual(["completed"]);
  expect(Number(await queue.client.zscore(queue.keys.completed, "child"))).toBeLessThan(Date.now() - 7_000_000);
});

test.each([
  ["of a flow", ({ job, ...lease }: Leased) => ack({ ...lease, job: { ...job, version: undefined } })],
  ["that its processor made one", (lease: Leased) => ({ ...ack(lease), isUnsure: true })],
] as const)("a parent %s whose child has failed meanwhile cannot be completed: it fails with its child", async (_whose, ackOf) => {
  const queue = await openQueue();
  const { client, keys } = queue;
  const [parent] = await leased(queue, ["parent"]);
  await client.zadd(`${keys.base}parent:unsuccessful`, 1, `${keys.base}child`);
  expect(await settle(queue, ackOf(parent!))).toEqual(["lost"]);
  expect(await placesOf(queue, "parent")).toEqual(["failed"]);
  expect(await client.hget(`${keys.base}parent`, "failedReason")).toContain("failed child");
});

test("a failed child that retention removes no longer keeps its parent waiting", async () => {
  const queue = await openQueue();
  await flow(queue, { child: { attempts: 1 } });
  const [child] = await consumerOf(queue).reserver.take(5);
  await settle(queue, fail(child!));
  expect(await placesOf(queue, "parent")).toEqual(["waitingChildren"]);
  const [other] = await leased(queue, ["other"]);
  await settle(queue, fail(other!, 1, { count: 1 }));
  expect(await placesOf(queue, "child")).toEqual([]);
  expect(await placesOf(queue, "parent")).toEqual(["wait"]);
  expect((await eventsOf(queue)).at(-1)).toBe("waiting parent");
});

test("a deduplication id is released when its job ends, and the last of those it held back is put", async () => {
  const queue = await openQueue();
  const stock = new Queue(queue.name, { connection: { url: redisUrl() }, prefix: queue.prefix });
  onTestFinished(() => stock.close());
  const add = async (n: number, deduplication: object): Promise<string> => (await stock.add("one", { n }, { deduplication: { id: "same", ...deduplication } })).id!;
  const { reserver } = consumerOf(queue);
  const first = await add(1, {});
  expect(await add(2, {})).toBe(first);
  const [held] = await reserver.take(1);
  await settle(queue, fail(held!));
  const second = await add(3, { keepLastIfActive: true });
  expect(second).not.toBe(first);
  const [again] = await reserver.take(1);
  await add(4, { keepLastIfActive: true });
  await add(5, { keepLastIfActive: true });
  await settle(queue, ack(again!));
  expect((await reserver.take(5)).map(({ job }) => job.data)).toEqual(['{"n":5}']);
});

test("a job that waits for its lease to be taken back is not one that another client has locked", async () => {
  const queue = await openQueue();
  const client = redisClient();
  const [a] = await leased(queue, ["a"]);
  await client.set(`${queue.keys.base}a:lock`, "theirs", "PX", 1000);
  expect(await extendLeases(queue, [a!], 1000)).toEqual([a]);
  await client.del(`${queue.keys.base}a:lock`);
  expect(await extendLeases(queue, [a!], 1000)).toEqual([]);
});

test("many results that are large end in several scripts, all of them", async () => {
  const queue = await openQueue();
  const ids = Array.from({ length: 8 }, (_, i) => `big-${i}`);
  const held = await leased(queue, ids);
  const result = JSON.stringify("x".repeat(400_000));
  const sent = vi.spyOn(queue.client, "sendCommand");
  const settled = await settle(queue, ...held.map((each) => ({ ...ack(each), result })));
  expect(settled).toEqual(ids.map(() => "done"));
  expect(sent.mock.calls.filter(([{ name }]) => name === "evalsha").length).toBe(4); // two and no third fit into a megabyte
  for (const id of ids) expect(await queue.client.hstrlen(`${queue.keys.base}${id}`, "returnvalue")).toBe(result.length);
});

/** Jobs that are held on a server which is stopped, and two requests on their way to it. */
async function twoOnTheirWay() {
  const server = await startRedis();
  const queue = await openQueue({ url: server.url });
  const held = await leased(queue, ["a", "b", "c", "d", "e"]);
  const { lane } = consumerOf(queue);
  const sent = vi.spyOn(queue.client, "sendCommand");
  const scripts = (): number => sent.mock.calls.filter(([{ name }]) => name === "evalsha").length;
  server.pause();
  const settled = [lane.settle(ack(held[0]!))];
  await vi.waitUntil(() => scripts() === 1);
  settled.push(lane.settle(ack(held[1]!)));
  await vi.waitUntil(() => scripts() === 2);
  return { server, lane, held, scripts, settled };
}

test("what ends while two requests are on their way goes in one when one of them is back", async () => {
  const { server, lane, held, scripts, settled } = await twoOnTheirWay();
  // The time for which it may be gathered does not pass.
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  for (const each of held.slice(2)) {
    settled.push(lane.settle(ack(each)));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(scripts()).toBe(2);
  server.resume();
  expect(await Promise.all(settled)).toEqual(held.map(() => "done"));
  expect(scripts()).toBe(3);
});

test("where none of them comes back it goes all the same", async () => {
  const { server, lane, held, scripts, settled } = await twoOnTheirWay();
  settled.push(lane.settle(ack(held[2]!)));
  await vi.waitUntil(() => scripts() === 3);
  server.resume();
  expect(await Promise.all(settled)).toEqual(["done", "done", "done"]);
});
