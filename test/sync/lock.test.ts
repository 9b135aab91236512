import { expect, test } from "vitest";
import { LeaseLostError, OptionError, TimeoutError } from "../../src/errors.ts";
import { primitiveKey } from "../../src/sync/keys.ts";
import { lock, type LockOptions } from "../../src/sync/lock.ts";
import { failure, takes } from "../support/outcome.ts";
import { freePort } from "../support/redis-process.ts";
import { redisClient, startRedis } from "../support/redis.ts";
import { giveBack, inLine, startPeers, until, type Peer } from "./peer.ts";

const SHORT_MS = 400;
const short: LockOptions = { lease: SHORT_MS };

test("gives the lock to one at a time, in the order of coming, across processes", async () => {
  const three = startPeers(3);
  const first = await lock(three[0]!.hub, "a");
  const order: number[] = [];
  let inside = 0;
  const work = async (peer: Peer, number: number): Promise<void> => {
    await using held = await lock(peer.hub, "a");
    expect((inside += 1)).toBe(1);
    order.push(number);
    await new Promise(setImmediate);
    expect(held.signal.aborted).toBe(false);
    inside -= 1;
  };
  const works: Promise<void>[] = [];
  for (const [number, peer] of [1, 2, 0, 1, 2].entries()) {
    works.push(work(three[peer]!, number));
    await inLine(three[0]!, "a", number + 2);
  }
  expect(order).toEqual([]);
  await giveBack(first);
  await Promise.all(works);
  expect(order).toEqual([0, 1, 2, 3, 4]);
});

test("locks of different keys do not wait for one another, whatever text the keys are", async () => {
  const [peer] = startPeers(1);
  const keys = ["a", "A", "a:b", "a%3Ab", "{a}", "}{", "a{b", "é", "日本", "💧".repeat(100), " ", "\n\0", "*", "__proto__", "x".repeat(200)];
  const holds = await Promise.all(keys.map((key) => lock(peer!.hub, key, { timeout: 0 })));
  for (const key of keys) await expect(lock(peer!.hub, key, { timeout: 0 })).rejects.toThrow(TimeoutError);
  await Promise.all(holds.map(giveBack));
});

test("the fence grows with every acquisition, by whomever, also when Redis has forgotten the lock", async () => {
  const two = startPeers(2);
  const client = redisClient();
  const fences: number[] = [];
  for (let i = 0; i < 6; i += 1) {
    await using held = await lock(two[i % 2]!.hub, "a");
    fences.push(held.fence);
    if (i === 3) await client.del(["line", "leases", "last"].map((part) => primitiveKey(two[0]!.hub.prefix, "lock", "a", part)));
  }
  expect(fences.every(Number.isSafeInteger)).toBe(true);
  expect(fences).toEqual([...new Set(fences)].toSorted((a, b) => a - b));
});

test("the fence grows when the server's clock has stepped back", async () => {
  const [peer] = startPeers(1);
  const ahead = (Date.now() + 3_000_000) * 1000;
  await redisClient().set(primitiveKey(peer!.hub.prefix, "lock", "a", "last"), ahead, "PX", 10_000);
  await using held = await lock(peer!.hub, "a");
  expect(held.fence).toBe(ahead + 1);
});

test("passes on when the lease of a dead holder has run out, and not before", async () => {
  const [holder, other] = startPeers(2);
  const held = await lock(holder!.hub, "a", short);
  const waiting = lock(other!.hub, "a", short);
  await inLine(other!, "a", 2);
  const { remainingMs } = held;
  const tookMs = await takes(holder!.die().then(() => waiting));
  await using next = await waiting;
  expect(tookMs).toBeGreaterThan(remainingMs - SHORT_MS / 4);
  expect(tookMs).toBeLessThan(SHORT_MS + 1000);
  expect(next.fence).toBeGreaterThan(held.fence);
  expect(held.signal.reason).toBeInstanceOf(LeaseLostError);
});

test("a waiter that died does not block those behind it for longer than its lease", async () => {
  const [holder, dead, other] = startPeers(3);
  const held = await lock(holder!.hub, "a", short);
  const lost = lock(dead!.hub, "a", short).catch(() => undefined);
  await inLine(holder!, "a", 2);
  const waiting = lock(other!.hub, "a", short);
  await inLine(holder!, "a", 3);
  await dead!.die();
  await giveBack(held);
  const tookMs = await takes(waiting);
  expect(tookMs).toBeLessThan(SHORT_MS + 1000);
  await dead!.hub.close();
  await lost;
});

test("with a timeout of 0 takes a free lock, and does not wait for another", async () => {
  const [holder, other] = startPeers(2);
  const held = await lock(holder!.hub, "a", { timeout: 0 });
  await expect(lock(other!.hub, "a", { timeout: 0 })).rejects.toThrow(TimeoutError);
  await giveBack(held);
  await giveBack(await lock(other!.hub, "a", { timeout: 0 }));
});

test("a waiter that gives up, by its timeout or its signal, leaves the line", async () => {
  const [holder, one, two] = startPeers(3);
  const held = await lock(holder!.hub, "a");
  const { error, tookMs } = await failure(lock(one!.hub, "a", { timeout: 50 }));
  expect(error).toBeInstanceOf(TimeoutError);
  expect(String(error)).toBe('TimeoutError: expected lock "a" within 50 ms');
  // Node counts from when this turn of its loop began, which is earlier by what the turn has taken.
  expect(tookMs).toBeGreaterThan(40);
  const cancel = new AbortController();
  const cancelled = lock(one!.hub, "a", { signal: cancel.signal });
  const behind = lock(two!.hub, "a");
  await inLine(holder!, "a", 3);
  cancel.abort(new Error("enough"));
  await expect(cancelled).rejects.toThrow("enough");
  await inLine(holder!, "a", 2);
  await giveBack(held);
  await giveBack(await behind);
});

test("a signal that has fired takes nothing, and asks Redis nothing", async () => {
  const [peer] = startPeers(1, "test", `redis://127.0.0.1:${await freePort()}`);
  await expect(lock(peer!.hub, "a", { signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow("enough");
});

test("a waiter that is cancelled as it is granted the lock passes it on", async () => {
  const [holder, cancelledPeer, next] = startPeers(3);
  for (let round = 0; round < 20; round += 1) {
    const held = await lock(holder!.hub, "a");
    const cancel = new AbortController();
    const cancelled = lock(cancelledPeer!.hub, "a", { signal: cancel.signal }).then(giveBack, () => {});
    await inLine(holder!, "a", 2);
    const behind = lock(next!.hub, "a", { timeout: 5000 });
    await inLine(holder!, "a", 3);
    await giveBack(held); // granted in Redis by now; the waiter may know or not
    for (let turn = 0; turn < round % 5; turn += 1) await new Promise(setImmediate);
    cancel.abort();
    await giveBack(await behind);
    await cancelled;
  }
}, 60_000);

test("a cancelled waiter does not wait for a Redis that is silent", async () => {
  const redis = await startRedis();
  const [holder, other] = startPeers(2, "test", redis.url);
  await lock(holder!.hub, "a");
  const cancel = new AbortController();
  const waiting = lock(other!.hub, "a", { signal: cancel.signal, lease: SHORT_MS });
  await inLine(other!, "a", 2);
  redis.pause();
  await new Promise((resolve) => setTimeout(resolve, SHORT_MS)); // a look is under way by then
  const cancelled = failure(waiting);
  cancel.abort(new Error("enough"));
  const { error, tookMs } = await cancelled;
  expect(error).toEqual(new Error("enough"));
  expect(tookMs).toBeLessThan(200);
  redis.resume();
});

test("hold and line outlast a restart of Redis that is shorter than the lease", async () => {
  const redis = await startRedis({ appendfsync: "always" });
  const [holder, one, two] = startPeers(3, "test", redis.url);
  const held = await lock(holder!.hub, "a");
  const order: number[] = [];
  const work = async (peer: Peer, number: number): Promise<void> => {
    await using _ = await lock(peer.hub, "a");
    order.push(number);
  };
  const works = [work(one!, 1)];
  await inLine(holder!, "a", 2);
  works.push(work(two!, 2));
  await inLine(holder!, "a", 3);
  await redis.kill();
  await redis.start();
  await giveBack(held);
  await Promise.all(works);
  expect(order).toEqual([1, 2]);
  expect(held.signal.aborted).toBe(false);
});

test("a waiter outlasts an outage that is longer than its lease", async () => {
  const redis = await startRedis();
  const [holder, other] = startPeers(2, "test", redis.url);
  const held = await lock(holder!.hub, "a", short);
  const waiting = lock(other!.hub, "a", short);
  await inLine(other!, "a", 2);
  await redis.kill();
  await until(() => held.signal.aborted);
  await redis.start();
  await using next = await waiting;
  expect(next.fence).toBeGreaterThan(held.fence);
  await giveBack(held);
});

test("every key goes away by itself: what a holder or a waiter left that died, and the number of a free lock", async () => {
  const [holder, other] = startPeers(2);
  const client = redisClient();
  await lock(holder!.hub, "a", short);
  const waiting = lock(other!.hub, "a", short).catch(() => {});
  await inLine(other!, "a", 2);
  const keys = ["line", "leases", "last"].map((part) => primitiveKey(holder!.hub.prefix, "lock", "a", part));
  for (const key of keys) {
    expect(await client.pttl(key)).toBeGreaterThan(600_000);
    expect(await client.pttl(key)).toBeLessThanOrEqual(3_600_000);
  }
  await holder!.hub.close();
  await other!.hub.close();
  await waiting;
  expect(await client.exists(keys.slice(0, 2))).toBe(0);
  expect(await client.pttl(keys[2]!)).toBeGreaterThan(600_000);
});

test("refuses what is no option before any I/O", async () => {
  const [peer] = startPeers(1, "test", `redis://127.0.0.1:${await freePort()}`);
  const refused: [unknown, unknown, RegExp][] = [
    ["", undefined, /non-empty|1 to 200/],
    ["x".repeat(201), undefined, /1 to 200 characters/],
    [42, undefined, /key of a lock, got 42/],
    ["\ud800", undefined, /well-formed/],
    ["a", { lease: 249 }, /from 250ms to 10m for lease of lock "a", got 249/],
    ["a", { lease: "11m" }, /from 250ms to 10m/],
    ["a", { timeout: -1 }, /timeout of lock "a", got -1/],
    ["a", { timeOut: 1 }, /did you mean timeout/],
    ["a", { signal: {} }, /AbortSignal/],
    ["a", "10s", /an object with the options of lock "a"/],
  ];
  for (const [key, options, message] of refused) {
    const { error, tookMs } = await failure(lock(peer!.hub, key as string, options as LockOptions));
    expect(error).toBeInstanceOf(OptionError);
    expect(String(error)).toMatch(message);
    expect(tookMs).toBeLessThan(100);
  }
});
