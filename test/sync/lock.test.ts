import { expect, test } from "vitest";
import { BackendError, BackendFullError, LeaseLostError, OptionError, TimeoutError } from "../../src/errors.ts";
import type { Hold } from "../../src/sync/hold.ts";
import { primitiveKey } from "../../src/sync/keys.ts";
import { lock, type LockOptions } from "../../src/sync/lock.ts";
import { failure, takes } from "../support/outcome.ts";
import { freePort } from "../support/redis-process.ts";
import { freshPrefix, redisClient, startRedis } from "../support/redis.ts";
import { startPeer, until, type Peer } from "./peer.ts";

const SHORT_MS = 400;
const short: LockOptions = { lease: SHORT_MS };

function peers(count: number, prefix = freshPrefix(), url?: string): Peer[] {
  return Array.from({ length: count }, () => startPeer(prefix, url));
}

/** Until so many stand in line for the lock. */
async function inLine(peer: Peer, key: string, count: number): Promise<void> {
  await peer.connections.open();
  await until(async () => (await peer.connections.command.zcard(primitiveKey(peer.hub.prefix, "lock", key, "line"))) === count);
}

/** Whether the other's channel has its listener. */
async function listens(peer: Peer, other: Peer): Promise<boolean> {
  const [, count] = (await peer.connections.command.call("PUBSUB", "NUMSUB", other.hub.channel + other.hub.processId)) as [string, number];
  return count === 1;
}

async function giveBack(hold: Hold): Promise<void> {
  await hold[Symbol.asyncDispose]();
}

test("gives the lock to one at a time, in the order of coming, across processes", async () => {
  const three = peers(3);
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
  const [peer] = peers(1);
  const keys = ["a", "A", "a:b", "a%3Ab", "{a}", "}{", "a{b", "é", "日本", "💧".repeat(100), " ", "\n\0", "*", "__proto__", "x".repeat(200)];
  const holds = await Promise.all(keys.map((key) => lock(peer!.hub, key, { timeout: 0 })));
  for (const key of keys) await expect(lock(peer!.hub, key, { timeout: 0 })).rejects.toThrow(TimeoutError);
  await Promise.all(holds.map(giveBack));
});

test("the fence grows with every acquisition, by whomever, also when Redis has forgotten the lock", async () => {
  const two = peers(2);
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
  const [peer] = peers(1);
  const ahead = (Date.now() + 3_000_000) * 1000;
  await redisClient().set(primitiveKey(peer!.hub.prefix, "lock", "a", "last"), ahead, "PX", 10_000);
  await using held = await lock(peer!.hub, "a");
  expect(held.fence).toBe(ahead + 1);
});

test("is kept for longer than its lease while its holder lives", async () => {
  const [holder, other] = peers(2);
  await using held = await lock(holder!.hub, "a", short);
  const { error } = await failure(lock(other!.hub, "a", { ...short, timeout: 3 * SHORT_MS }));
  expect(error).toBeInstanceOf(TimeoutError);
  expect(held.signal.aborted).toBe(false);
  expect(held.remainingMs).toBeGreaterThan(0);
  expect(held.remainingMs).toBeLessThanOrEqual(SHORT_MS);
});

test("passes on when the lease of a dead holder has run out, and not before", async () => {
  const [holder, other] = peers(2);
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
  const [holder, dead, other] = peers(3);
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

test("a holder whose lease is gone is told by its signal, and gives back without harm to the next", async () => {
  const [holder, other] = peers(2);
  const held = await lock(holder!.hub, "a", short);
  const client = redisClient();
  await client.del(primitiveKey(holder!.hub.prefix, "lock", "a", "line"), primitiveKey(holder!.hub.prefix, "lock", "a", "leases"));
  await using next = await lock(other!.hub, "a", short);
  await until(() => held.signal.aborted);
  expect(held.signal.reason).toBeInstanceOf(LeaseLostError);
  expect(held.remainingMs).toBe(0);
  await giveBack(held);
  await expect(lock(holder!.hub, "a", { timeout: 0 })).rejects.toThrow(TimeoutError);
  expect(next.signal.aborted).toBe(false);
});

test("a holder that Redis does not answer is told before its lease runs out there", async () => {
  const redis = await startRedis();
  const [holder] = peers(1, "test", redis.url);
  const held = await lock(holder!.hub, "a", short);
  const lost = new Promise((resolve) => held.signal.addEventListener("abort", resolve));
  const { remainingMs } = held;
  redis.pause();
  const tookMs = await takes(lost);
  expect(tookMs).toBeGreaterThan(remainingMs - SHORT_MS / 4);
  expect(tookMs).toBeLessThan(SHORT_MS + 500);
  expect(held.signal.reason).toBeInstanceOf(LeaseLostError);
  redis.resume();
  await giveBack(held);
});

test("with a timeout of 0 takes a free lock, and does not wait for another", async () => {
  const [holder, other] = peers(2);
  const held = await lock(holder!.hub, "a", { timeout: 0 });
  await expect(lock(other!.hub, "a", { timeout: 0 })).rejects.toThrow(TimeoutError);
  await giveBack(held);
  await giveBack(await lock(other!.hub, "a", { timeout: 0 }));
});

test("a waiter that gives up, by its timeout or its signal, leaves the line", async () => {
  const [holder, one, two] = peers(3);
  const held = await lock(holder!.hub, "a");
  const { error, tookMs } = await failure(lock(one!.hub, "a", { timeout: 50 }));
  expect(error).toBeInstanceOf(TimeoutError);
  expect(String(error)).toBe('TimeoutError: expected lock "a" within 50 ms');
  expect(tookMs).toBeGreaterThanOrEqual(49);
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
  const [peer] = peers(1, "test", `redis://127.0.0.1:${await freePort()}`);
  await expect(lock(peer!.hub, "a", { signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow("enough");
});

test("a waiter that is cancelled as it is granted the lock passes it on", async () => {
  const [holder, cancelledPeer, next] = peers(3);
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
  const [holder, other] = peers(2, "test", redis.url);
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

test("a waiter whose wake-up was lost gets the lock all the same, and in its turn", async () => {
  const redis = await startRedis();
  const [holder, other] = peers(2, "test", redis.url);
  const held = await lock(holder!.hub, "a");
  const order: number[] = [];
  const work = async (number: number): Promise<void> => {
    await using _ = await lock(other!.hub, "a");
    order.push(number);
  };
  const works: Promise<void>[] = [];
  for (const number of [0, 1, 2]) {
    works.push(work(number));
    await inLine(holder!, "a", number + 2);
  }
  const { command } = holder!.connections;
  await until(() => listens(holder!, other!));
  await command.call("CLIENT", "KILL", "TYPE", "pubsub");
  await giveBack(held);
  const tookMs = await takes(Promise.all(works));
  expect(order).toEqual([0, 1, 2]);
  expect(tookMs).toBeLessThan(2000); // by itself it looks after 2.5 s
});

test("who may not listen for wake-ups looks at short intervals, and says so", async () => {
  const redis = await startRedis();
  const [admin] = peers(1, "test", redis.url);
  await admin!.connections.open();
  await admin!.connections.command.call("ACL", "SETUSER", "deaf", "on", ">secret", "~*", "+@all", "-subscribe", "-publish");
  const [holder, other] = peers(2, "test", `redis://deaf:secret@127.0.0.1:${redis.port}`);
  const held = await lock(holder!.hub, "a");
  const waiting = lock(other!.hub, "a");
  await inLine(admin!, "a", 2);
  await until(() => other!.lines.length > 0);
  expect(other!.lines).toEqual(["cannot listen for wake-ups: who waits looks every 250 ms instead"]);
  await giveBack(held);
  expect(await takes(waiting)).toBeLessThan(1000);
});

test("who waits asks Redis seldom", async () => {
  const redis = await startRedis();
  const [holder, other] = peers(2, "test", redis.url);
  await lock(holder!.hub, "a", { lease: "8s" });
  const waiting = lock(other!.hub, "a", { lease: "8s", timeout: 1500 });
  await inLine(holder!, "a", 2);
  await until(() => listens(holder!, other!));
  await other!.sent();
  await holder!.connections.command.config("RESETSTAT");
  await expect(waiting).rejects.toThrow(TimeoutError);
  await other!.sent();
  const stats = await holder!.connections.command.info("commandstats");
  const calls = /cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1];
  expect(Number(calls ?? 0)).toBeLessThanOrEqual(2); // its leave, and a look that was under way
});

test("hold and line outlast a restart of Redis that is shorter than the lease", async () => {
  const redis = await startRedis({ appendfsync: "always" });
  const [holder, one, two] = peers(3, "test", redis.url);
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
  const [holder, other] = peers(2, "test", redis.url);
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

test("says within some five seconds that Redis does not answer, when it never took the waiter", async () => {
  const [peer] = peers(1, "test", `redis://127.0.0.1:${await freePort()}`);
  const { error, tookMs } = await failure(lock(peer!.hub, "a"));
  expect(error).toBeInstanceOf(BackendError);
  expect(tookMs).toBeLessThan(5500);
});

test("giving back never throws: it logs that Redis does not answer", async () => {
  const redis = await startRedis();
  const [holder] = peers(1, "test", redis.url);
  const held = await lock(holder!.hub, "a", short);
  await redis.kill();
  const tookMs = await takes(giveBack(held));
  expect(tookMs).toBeLessThan(5500);
  expect(holder!.lines).toEqual(['could not give back the lock "a": it is free when its lease has run out']);
  await giveBack(held);
  expect(holder!.lines).toHaveLength(1);
});

test("given back twice is given back once", async () => {
  const [holder, other] = peers(2);
  const held = await lock(holder!.hub, "a");
  await Promise.all([giveBack(held), giveBack(held)]);
  await using next = await lock(other!.hub, "a");
  await giveBack(held);
  await expect(lock(holder!.hub, "a", { timeout: 0 })).rejects.toThrow(TimeoutError);
  expect(held.remainingMs).toBe(0);
  expect(held.signal.aborted).toBe(false);
  expect(next.signal.aborted).toBe(false);
});

test("the end of the app gives back what is held, and ends what waits", async () => {
  const [closing, other] = peers(2);
  const held = await lock(closing!.hub, "held");
  await using _ = await lock(other!.hub, "waited for");
  const waiting = failure(lock(closing!.hub, "waited for"));
  await inLine(other!, "waited for", 2);
  await closing!.hub.close();
  expect((await waiting).error).toBeInstanceOf(BackendError);
  expect(held.signal.reason).toBeInstanceOf(LeaseLostError);
  await giveBack(await lock(other!.hub, "held", { timeout: 0 }));
  await inLine(other!, "waited for", 1);
  await expect(lock(closing!.hub, "a")).rejects.toThrow("the app was closed");
  expect(closing!.lines).toEqual([]);
});

test("every key goes away by itself: what a holder or a waiter left that died, and the number of a free lock", async () => {
  const [holder, other] = peers(2);
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

test("a server without memory keeps what is held, and refuses who comes", async () => {
  const redis = await startRedis();
  const [holder, other] = peers(2, "test", redis.url);
  const held = await lock(holder!.hub, "a", short);
  await other!.connections.open();
  await other!.connections.command.config("SET", "maxmemory", "1");
  const { error } = await failure(lock(other!.hub, "b"));
  expect(error).toBeInstanceOf(BackendFullError);
  const { fence } = held;
  await new Promise((resolve) => setTimeout(resolve, 2 * SHORT_MS));
  expect(held.signal.aborted).toBe(false);
  await giveBack(held);
  await other!.connections.command.config("SET", "maxmemory", "0");
  await using next = await lock(other!.hub, "a", { timeout: 0 });
  expect(next.fence).toBeGreaterThan(fence);
});

test("refuses what is no option before any I/O", async () => {
  const [peer] = peers(1, "test", `redis://127.0.0.1:${await freePort()}`);
  const refused: [unknown, unknown, RegExp][] = [
    ["", undefined, /non-empty|1 to 200/],
    ["x".repeat(201), undefined, /1 to 200 characters/],
    [42, undefined, /key of a lock, got 42/],
    ["\ud800", undefined, /well-formed/],
    ["a", { lease: 249 }, /from 250 to 600000 ms for lease of lock "a", got 249/],
    ["a", { lease: "11m" }, /600000/],
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
