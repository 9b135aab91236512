import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { BackendFullError, EnqueueTimeoutError, QueueFullError } from "../../src/errors.ts";
import { producerKey } from "../../src/store/keys.ts";
import { PutLane } from "../../src/store/put.ts";
import { readRedaction } from "../../src/store/redactions.ts";
import type { StoredQueue } from "../../src/store/stored-queue.ts";
import { failure } from "../support/outcome.ts";
import { startRedis, type OwnRedis } from "../support/redis.ts";
import { startProxy } from "../support/tcp-proxy.ts";
import { newJob, openQueue, waitingIds } from "./opened-queue.ts";

const waits = { waits: true };
const impatient = { waits: false };

function ids(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, n) => `j${from + n}`);
}

async function scriptsSent({ client, keys }: StoredQueue): Promise<number> {
  return Number(await client.hget(producerKey(keys, "p"), "n"));
}

async function state(promise: Promise<unknown>): Promise<"settled" | "pending"> {
  const later = new Promise<"pending">((resolve) => setImmediate(() => resolve("pending")));
  return Promise.race([promise.then(() => "settled" as const, () => "settled" as const), later]);
}

test.each([
  { jobs: 49, scripts: 1, where: "one script" },
  { jobs: 100, scripts: 2, where: "two, where it is much" },
])("what is put in one turn of the event loop goes out in $where, in order", async ({ jobs, scripts }) => {
  const queue = await openQueue();
  const lane = new PutLane(queue, "p", 0);
  expect(await Promise.all(ids(jobs).map((id) => lane.put(newJob(id), waits)))).toEqual(Array(jobs).fill(true));
  expect(await scriptsSent(queue)).toBe(scripts);
  expect(await waitingIds(queue)).toEqual(ids(jobs));
});

/** A lane on a server of its own, behind a network that can break. */
async function laneBehindProxy() {
  const server = await startRedis();
  const proxy = await startProxy(server.port);
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  const queue = await openQueue({ url: `redis://127.0.0.1:${proxy.port}` });
  return { server, proxy, queue, lane: new PutLane(queue, "p", 0) };
}

test("what is put by one callback after another, while a request is on its way, goes together", async () => {
  const queue = await openQueue();
  const lane = new PutLane(queue, "p", 0);
  await lane.put(newJob("first"), waits);
  const put: Promise<boolean>[] = [lane.put(newJob("a"), waits)];
  await new Promise<void>((resolve) => {
    // Both are of the turn after the one in which "a" went out; its answer comes no sooner than the turn's end.
    for (const id of ["b", "c"]) setImmediate(() => put.push(lane.put(newJob(id), waits)));
    setImmediate(resolve);
  });
  await Promise.all(put);
  expect(await waitingIds(queue)).toEqual(["first", "a", "b", "c"]);
  expect(await scriptsSent(queue)).toBe(3);
});

test("order holds over many scripts, whatever the size of payloads", async () => {
  const queue = await openQueue();
  const lane = new PutLane(queue, "p", 0);
  const large = JSON.stringify("x".repeat(400_000));
  await Promise.all(ids(620).map((id, n) => lane.put(newJob(id, n % 200 === 0 ? { data: large } : {}), waits)));
  expect(await scriptsSent(queue)).toBe(3);
  expect(await waitingIds(queue)).toEqual(ids(620));
});

test("says of each job whether it was added", async () => {
  const queue = await openQueue();
  const lane = new PutLane(queue, "p", 0);
  expect(await Promise.all(["a", "b", "a"].map((id) => lane.put(newJob(id), waits)))).toEqual([true, true, false]);
  expect(await lane.put(newJob("b"), waits)).toBe(false);
});

test("of a producer that has heard everything the server keeps nothing but its numbers", async () => {
  const queue = await openQueue();
  const lane = new PutLane(queue, "p", 2);
  for (const id of ["a", "a", "b"]) await lane.put(newJob(id), waits);
  await failure(lane.put(newJob("c"), impatient));
  await queue.client.rpop(queue.keys.wait);
  await lane.put(newJob("d"), waits);
  expect(Object.keys(await queue.client.hgetall(producerKey(queue.keys, "p"))).toSorted()).toEqual(["n", "r"]);
});

test("puts into a bounded queue wait for room, in order, and never exceed it", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  const lane = new PutLane(queue, "p", 10);
  let put = 0;
  const all = Promise.all(ids(45).map((id) => lane.put(newJob(id), waits).then(() => (put += 1))));
  const taken: string[] = [];
  while (taken.length < 45) {
    expect(await client.llen(keys.wait)).toBeLessThanOrEqual(10);
    taken.push(...((await client.rpop(keys.wait, 3)) ?? []));
  }
  await all;
  expect(put).toBe(45);
  expect(taken).toEqual(ids(45));
});

test("an impatient put is refused at once when the queue is full, also behind others that wait", async () => {
  const queue = await openQueue();
  const lane = new PutLane(queue, "p", 1);
  await lane.put(newJob("a"), impatient);
  expect((await failure(lane.put(newJob("b"), impatient))).error).toBeInstanceOf(QueueFullError);
  const waiting = lane.put(newJob("c"), waits);
  const together = await failure(lane.put(newJob("d"), impatient));
  const later = await failure(lane.put(newJob("e"), impatient));
  for (const { error, tookMs } of [together, later]) {
    expect(error).toBeInstanceOf(QueueFullError);
    expect(tookMs).toBeLessThan(1000);
  }
  expect(await state(waiting)).toBe("pending");
  await queue.client.rpop(queue.keys.wait);
  await waiting;
  expect(await waitingIds(queue)).toEqual(["c"]);
});

test("a signal ends the wait for room, also behind others, and the lane goes on", async () => {
  const queue = await openQueue();
  const lane = new PutLane(queue, "p", 1);
  await lane.put(newJob("a"), waits);
  const [first, second] = [new AbortController(), new AbortController()];
  const puts = [lane.put(newJob("b"), { waits: true, signal: first.signal }), lane.put(newJob("c"), { waits: true, signal: second.signal })];
  const [b, c] = puts.map((put) => failure(put));
  second.abort(new Error("c has gone"));
  expect((await c!).error).toEqual(new Error("c has gone"));
  expect(await state(puts[0]!)).toBe("pending");
  first.abort(new Error("b has gone"));
  expect((await b!).error).toEqual(new Error("b has gone"));
  await queue.client.rpop(queue.keys.wait);
  await lane.put(newJob("d"), waits);
  expect(await waitingIds(queue)).toEqual(["d"]);
});

test("a put whose signal has fired already sends nothing, and what was sent is not called back", async () => {
  const queue = await openQueue();
  for (const maxSize of [0, 5]) {
    const lane = new PutLane(queue, `p${maxSize}`, maxSize);
    const gone = AbortSignal.abort(new Error("gone"));
    expect((await failure(lane.put(newJob("never"), { waits: true, signal: gone }))).error).toEqual(new Error("gone"));
    const controller = new AbortController();
    const put = lane.put(newJob(`aborted${maxSize}`), { waits: true, signal: controller.signal });
    controller.abort(new Error("before it was sent"));
    expect((await failure(put)).error).toEqual(new Error("before it was sent"));
    const sent = lane.put(newJob(`sent${maxSize}`), { waits: true, signal: AbortSignal.timeout(60_000) });
    expect(await sent).toBe(true);
  }
  expect(await waitingIds(queue)).toEqual(["sent0", "sent5"]);
});

test("a batch whose answer is lost is sent again and put once", async () => {
  const { lane, proxy, queue } = await laneBehindProxy();
  await lane.put(newJob("a"), waits);
  proxy.loseReplies();
  // It was there before, so the second answer must still be the first one's.
  expect(await Promise.all([lane.put(newJob("a"), waits), lane.put(newJob("b"), waits)])).toEqual([false, true]);
  expect(await waitingIds(queue)).toEqual(["a", "b"]);
});

test("a put that Redis does not answer fails within its deadline, and its retry puts it once", async () => {
  const server = await startRedis();
  const queue = await openQueue({ url: server.url });
  const lane = new PutLane(queue, "p", 0);
  await lane.put(newJob("a"), waits);
  server.pause();
  const [b, c] = await Promise.all([failure(lane.put(newJob("b"), waits)), failure(lane.put(newJob("c"), waits))]);
  expect(b.error).toBeInstanceOf(EnqueueTimeoutError);
  expect(b.error).toMatchObject({ jobMayExist: true });
  expect(b.tookMs).toBeLessThan(5500);
  server.resume();
  const retries = [b.error, c.error, b.error].map((error) => (error as EnqueueTimeoutError).retry());
  await Promise.all(retries);
  // Everything has run and been removed: no later retry brings it back.
  const check = new Redis(server.url);
  onTestFinished(() => check.disconnect());
  expect(await waitingIds(queue)).toEqual(["a", "b", "c"]);
  await check.del(queue.keys.wait, ...["a", "b", "c"].map((id) => queue.keys.base + id));
  await (b.error as EnqueueTimeoutError).retry();
  expect(await waitingIds(queue)).toEqual([]);
});

test("a put that never left this process says so, and its retry puts it when Redis is back", async () => {
  const server = await startRedis();
  const queue = await openQueue({ url: server.url });
  const lane = new PutLane(queue, "p", 0);
  await server.kill();
  await gone(queue);
  const { error, tookMs } = await failure(lane.put(newJob("a"), waits));
  expect(error).toBeInstanceOf(EnqueueTimeoutError);
  expect(error).toMatchObject({ jobMayExist: false });
  expect(tookMs).toBeLessThan(5500);
  await server.start();
  await (error as EnqueueTimeoutError).retry();
  await lane.put(newJob("b"), waits);
  expect(await waitingIds(queue)).toEqual(["a", "b"]);
});

test("while Redis is known to be down every put is refused at once, and the next one after it is back is put", async () => {
  const server = await startRedis();
  const queue = await openQueue({ url: server.url });
  const lane = new PutLane(queue, "p", 0);
  await server.kill();
  await gone(queue);
  const warnings: Error[] = [];
  const warn = (warning: Error): void => void warnings.push(warning);
  process.on("warning", warn);
  onTestFinished(() => void process.off("warning", warn));
  // Those that came before it was known wait for their deadline, however many they are.
  const early: Promise<{ error: unknown }>[] = [];
  for (let n = 0; n < 12; n += 1) {
    early.push(failure(lane.put(newJob(`early${n}`), waits)));
    await new Promise(setImmediate);
  }
  while (!queue.connections.isDown) await new Promise((resolve) => setTimeout(resolve, 5));
  const { error, tookMs } = await failure(lane.put(newJob("a"), waits));
  expect(error).toBeInstanceOf(EnqueueTimeoutError);
  expect(error).toMatchObject({ jobMayExist: false, message: expect.stringContaining("Redis is down") });
  expect(tookMs).toBeLessThan(100);
  for (const each of early) expect((await each).error).toMatchObject({ jobMayExist: false });
  expect(warnings).toEqual([]);
  await server.start();
  await (error as EnqueueTimeoutError).retry();
  expect(await lane.put(newJob("b"), waits)).toBe(true);
  expect(await waitingIds(queue)).toEqual(["a", "b"]);
}, 30_000);

test("a put while the app is being closed is refused at once", async () => {
  const queue = await openQueue();
  const lane = new PutLane(queue, "p", 0);
  const closing = queue.connections.close();
  const { error, tookMs } = await failure(lane.put(newJob("a"), waits));
  expect(error).toMatchObject({ jobMayExist: false, message: expect.stringContaining("closed") });
  expect(tookMs).toBeLessThan(100);
  await closing;
});

test("a retry into a bounded queue that has become full says so, and puts once there is room", async () => {
  const server = await startRedis();
  const queue = await openQueue({ url: server.url });
  const lane = new PutLane(queue, "p", 1);
  await server.kill();
  await gone(queue);
  const { error } = await failure(lane.put(newJob("a"), waits));
  await server.start();
  await queue.connections.connected();
  await lane.put(newJob("b"), waits);
  const { retry } = error as EnqueueTimeoutError;
  for (const again of [retry(), retry()]) await expect(again).rejects.toBeInstanceOf(QueueFullError);
  await queue.client.rpop(queue.keys.wait);
  await retry();
  expect(await waitingIds(queue)).toEqual(["a"]);
});

test("a full Redis refuses at once; after an unanswered sending it is not certain that nothing was put", async () => {
  const { lane, proxy, queue, server } = await laneBehindProxy();
  await lane.put(newJob("a"), waits);
  await limit(server, "1");
  const refused = await failure(lane.put(newJob("b"), waits));
  expect(refused.error).toBeInstanceOf(BackendFullError);
  expect(refused.tookMs).toBeLessThan(1000);
  proxy.loseReplies();
  const unanswered = await failure(lane.put(newJob("c"), waits));
  expect(unanswered.error).toBeInstanceOf(EnqueueTimeoutError);
  expect(unanswered.error).toMatchObject({ jobMayExist: true });
  await limit(server, "0");
  for (const id of ["d", "e"]) expect(await lane.put(newJob(id), waits)).toBe(true);
  await (unanswered.error as EnqueueTimeoutError).retry();
  expect(await waitingIds(queue)).toEqual(["a", "d", "e", "c"]);
});

test("an error of the script fails its own puts and no later ones", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  for (const maxSize of [0, 5]) {
    const lane = new PutLane(queue, `p${maxSize}`, maxSize);
    await client.set(keys.delayed, "no sorted set");
    expect(String((await failure(lane.put(newJob("a", { delayMs: 1000 }), waits))).error)).toContain("WRONGTYPE");
    await client.del(keys.delayed);
    for (const id of ["b", "c"]) expect(await lane.put(newJob(id + maxSize), waits)).toBe(true);
  }
  expect(await waitingIds(queue)).toEqual(["b0", "c0", "b5", "c5"]);
});

test("what a contract redacts is noted before its first job is sent; until it is no job is there", async () => {
  const { lane, proxy, queue } = await laneBehindProxy();
  await lane.put(newJob("a"), waits);
  const redacting = { name: "n", redact: ["body"] };
  proxy.loseReplies();
  expect(await Promise.all(["b", "c"].map((id) => lane.put(newJob(id), { ...waits, redacting })))).toEqual([true, true]);
  expect(await readRedaction(queue, "n")).toEqual(["body"]);
  proxy.silence();
  const [plain, noted, unnoted] = await Promise.all([{}, { redacting }, { redacting: { name: "m", redact: ["to"] } }].map((more, i) => failure(new PutLane(queue, `q${i}`, 0).put(newJob(`d${i}`), { ...waits, ...more }))));
  expect([plain, noted, unnoted].map((each) => each?.error)).toMatchObject([{ jobMayExist: true }, { jobMayExist: true }, { code: "ENQUEUE_TIMEOUT", jobMayExist: false }]);
  expect(unnoted!.tookMs).toBeLessThan(5000);
  await (unnoted!.error as EnqueueTimeoutError).retry();
  expect(await waitingIds(queue)).toContain("d2");
  expect(await readRedaction(queue, "m")).toEqual(["to"]);
});

async function gone({ client }: StoredQueue): Promise<void> {
  while (client.status === "ready") await new Promise((resolve) => client.once("close", resolve));
}

async function limit(server: OwnRedis, maxmemory: string): Promise<void> {
  const operator = new Redis(server.url);
  await operator.config("SET", "maxmemory", maxmemory);
  operator.disconnect();
}
