import { onTestFinished, expect, test } from "vitest";
import { BackendError } from "../../src/errors.ts";
import { MarkerWait, sharedMarkers } from "../../src/store/marker-wait.ts";
import { storedQueue, type StoredQueue } from "../../src/store/stored-queue.ts";
import { until } from "../support/app.ts";
import { failure, takes } from "../support/outcome.ts";
import { freshPrefix, redisClient, startRedis } from "../support/redis.ts";
import { startProxy } from "../support/tcp-proxy.ts";
import { openQueue } from "./opened-queue.ts";

const never = new AbortController().signal;

async function setUp(names: readonly string[] = ["a", "b", "c"], url?: string) {
  const first = await openQueue({ name: names[0]!, prefix: freshPrefix(), ...(url !== undefined && { url }) });
  const queues = names.map((name) => storedQueue(first.connections, first.prefix, name));
  const name = `wait:${first.prefix}`;
  const markers = new MarkerWait(first.connections, name);
  onTestFinished(() => markers.close());
  const wait = (n: number, waitMs = 5000, signal = never) => markers.wait(queues[n]!.keys.marker, waitMs, signal);
  const mark = (n: number) => first.client.zadd(queues[n]!.keys.marker, 0, "0");
  const marked = async () => Promise.all(queues.map(({ client, keys }) => client.exists(keys.marker)));
  const other = redisClient(url);
  /** The command that the server runs for it, and how often it was sent one. */
  const connections = async () => String(await other.client("LIST")).split("\n").filter((line) => line.includes(`name=${name} `));
  const blocks = async () => until(async () => (await connections()).some((line) => line.includes("flags=b")));
  return { queues, markers, wait, mark, marked, connections, blocks, first };
}

test("waits for several queues on one connection, each of which is woken by its own marker alone", async () => {
  const { wait, mark, marked, connections, blocks } = await setUp();
  const woken: number[] = [];
  const waits = [0, 1, 2].map((n) => wait(n).then((score) => (expect(score).toBe("0"), woken.push(n))));
  await blocks();
  expect(await connections()).toHaveLength(1);
  await mark(1);
  await waits[1];
  expect([woken, await marked()]).toEqual([[1], [0, 0, 0]]);
  await mark(2);
  await mark(0);
  await Promise.all(waits);
  expect(await connections()).toHaveLength(1);
});

test("one that joins while others wait is woken as soon", async () => {
  const { wait, mark, blocks } = await setUp();
  const first = wait(0);
  await blocks();
  const second = wait(1);
  await mark(1);
  expect(await takes(second)).toBeLessThan(1000);
  // Again and again, as it is with work that trickles in.
  for (let n = 0; n < 50; n += 1) {
    const again = wait(1);
    await mark(1);
    expect(await takes(again)).toBeLessThan(1000);
  }
  await mark(0);
  await first;
});

test("the marker of a queue that has left stays, or is put back", async () => {
  const { wait, mark, marked, blocks } = await setUp();
  const others = wait(0);
  for (let n = 0; n < 30; n += 1) {
    const gone = new AbortController();
    const left = wait(1, 5000, gone.signal);
    if (n % 2 === 0) await blocks();
    const marking = mark(1);
    gone.abort();
    const score = await left;
    await marking;
    // Either it was told of it, or whoever comes next is.
    if (score === undefined) expect(await wait(1, 2000)).toBe("0");
  }
  await mark(0);
  await others;
  expect(await marked()).toEqual([0, 0, 0]);
});

test("each wait ends by its own time; those that end soon after end with it", async () => {
  const { wait, blocks, mark } = await setUp();
  const long = wait(0, 5000);
  await blocks();
  const tookMs = await Promise.all([takes(wait(1, 200)), takes(wait(2, 500))]);
  expect(tookMs[0]).toBeGreaterThan(195);
  expect(tookMs[0]).toBeLessThan(1000);
  expect(tookMs[1]).toBeLessThan(1000);
  await mark(0);
  expect(await long).toBe("0");
});

test("a lost connection is told to all who wait, and the next wait is as the first", async () => {
  const redis = await startRedis();
  const { wait, mark, blocks } = await setUp(["a", "b"], redis.url);
  const waits = [failure(wait(0)), failure(wait(1))];
  await blocks();
  await redis.kill();
  for (const { error } of await Promise.all(waits)) expect(error).toBeInstanceOf(BackendError);
  await redis.start();
  const again = wait(1);
  await mark(1).catch(() => mark(1));
  expect(await again).toBe("0");
});

test("where CLIENT UNBLOCK is forbidden it waits all the same", async () => {
  const redis = await startRedis();
  const admin = redisClient(redis.url);
  // Redis 6 can allow a part of a command, and not forbid one.
  await admin.call("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-client", "+client|id", "+client|setname", "+client|list");
  const { port } = new URL(redis.url);
  const { markers, wait, mark, blocks } = await setUp(["a", "b"], `redis://app:secret@127.0.0.1:${port}`);
  const first = wait(0);
  await blocks();
  expect(markers.endsBlocks).toBe(true);
  const second = wait(1);
  await mark(1);
  await takes(second);
  expect(markers.endsBlocks).toBe(false);
  await mark(0);
  expect(await first.catch(() => wait(0))).toBe("0");
});

test("closing ends it, and whoever waits later opens it again", async () => {
  const { wait, mark, markers, connections, blocks } = await setUp();
  const first = wait(0);
  await blocks();
  markers.close();
  expect(await first).toBeUndefined();
  await until(async () => (await connections()).length === 0);
  const second = wait(0);
  await mark(0);
  expect(await second).toBe("0");
});

test("queues with the same connections share one", async () => {
  const { queues } = await setUp();
  const elsewhere: StoredQueue = await openQueue({ prefix: freshPrefix() });
  const markersOf = sharedMarkers();
  const [a, b, c] = queues.map((queue) => markersOf(queue));
  expect([a === b, b === c, a === markersOf(elsewhere)]).toEqual([true, true, false]);
});

test("what is sent behind a block of one who waits alone runs as the block ends, however it ends", async () => {
  const { queues, markers, wait, mark, blocks, first } = await setUp();
  const counter = `${first.prefix}:counter`;
  const other = redisClient();
  let answer: Promise<number> | undefined;
  const waitAlone = (waitMs: number, signal = never) => markers.wait(queues[0]!.keys.marker, waitMs, signal, (client) => void (answer = client.incr(counter)));

  const woken = waitAlone(5000);
  await blocks();
  expect(await other.get(counter)).toBeNull();
  await mark(0);
  // Before the process has read that its marker came.
  expect(await other.get(counter)).toBe("1");
  expect([await woken, await answer]).toEqual(["0", 1]);

  expect([await waitAlone(50), await answer]).toEqual([undefined, 2]);

  const gone = new AbortController();
  const left = waitAlone(5000, gone.signal);
  await blocks();
  gone.abort();
  expect([await left, await answer]).toEqual([undefined, 3]);

  const joined = waitAlone(5000);
  await blocks();
  const second = wait(1);
  expect([await joined, await answer]).toEqual([undefined, 4]);
  await blocks();
  const notAlone = waitAlone(5000);
  await mark(0);
  expect([await notAlone, await other.get(counter)]).toEqual(["0", "4"]);
  await mark(1);
  expect(await second).toBe("0");
});

test("what is sent behind a block breaks with its connection, also with one that never came about", async () => {
  const redis = await startRedis();
  const { queues, markers, blocks } = await setUp(["a"], redis.url);
  let answer: Promise<{ error: unknown }> | undefined;
  const waitAlone = (signal = never) => markers.wait(queues[0]!.keys.marker, 5000, signal, (client) => void (answer = failure(client.incr("counter"))));
  const broken = failure(waitAlone());
  await blocks();
  await redis.kill();
  expect((await broken).error).toBeInstanceOf(BackendError);
  expect((await answer!).error).toBeInstanceOf(Error);

  const gone = new AbortController();
  answer = undefined;
  const left = waitAlone(gone.signal);
  await until(() => answer !== undefined);
  gone.abort();
  expect(await left).toBeUndefined();
  expect(await takes(answer!)).toBeLessThan(2000);
  expect((await answer!).error).toBeInstanceOf(Error);
});

test("a block on a connection that has died unnoticed is left soon by who does not wait any more", async () => {
  const redis = await startRedis();
  const proxy = await startProxy(redis.port);
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  const { queues, markers, wait } = await setUp(["a"], `redis://127.0.0.1:${proxy.port}`);
  const { marker } = queues[0]!.keys;
  const admin = redisClient(redis.url);
  let answer: Promise<{ error: unknown }> | undefined;
  const gone = new AbortController();
  const left = markers.wait(marker, 5000, gone.signal, (client) => void (answer = failure(client.incr("counter"))));
  await until(async () => String(await admin.client("LIST")).includes("flags=b"));
  proxy.silence();
  gone.abort();
  expect(await left).toBeUndefined();
  expect(await takes(answer!)).toBeLessThan(2000);
  expect((await answer!).error).toBeInstanceOf(Error);
  // The server still knows the dead one, and may give it a marker; the next wait has a connection of its own.
  const next = wait(0);
  await until(async () => (await admin.zadd(marker, 0, "0"), (await Promise.race([next, undefined])) === "0"));
}, 20_000);
