import { expect, test } from "vitest";
import { BackendFullError, LeaseLostError, TimeoutError } from "../../src/errors.ts";
import { primitiveKey } from "../../src/sync/keys.ts";
import { lock, type LockOptions } from "../../src/sync/lock.ts";
import { failure, takes } from "../support/outcome.ts";
import { redisClient, startRedis } from "../support/redis.ts";
import { giveBack, startPeers, until } from "./peer.ts";

const SHORT_MS = 400;
const short: LockOptions = { lease: SHORT_MS };

test("is kept for longer than its lease while its holder lives", async () => {
  const [holder, other] = startPeers(2);
  await using held = await lock(holder!.hub, "a", short);
  const { error } = await failure(lock(other!.hub, "a", { ...short, timeout: 3 * SHORT_MS }));
  expect(error).toBeInstanceOf(TimeoutError);
  expect(held.signal.aborted).toBe(false);
  expect(held.remainingMs).toBeGreaterThan(0);
  expect(held.remainingMs).toBeLessThanOrEqual(SHORT_MS);
});

test("a lease is 10 s where nothing else is said, so that what a dead process held is free by then", async () => {
  const [peer] = startPeers(1);
  await using held = await lock(peer!.hub, "a");
  expect(held.remainingMs).toBeGreaterThan(0);
  expect(held.remainingMs).toBeLessThanOrEqual(10_000);
  const [, expiresAt] = await redisClient().zrange(primitiveKey(peer!.hub.prefix, "lock", "a", "leases"), "0", "0", "WITHSCORES");
  const [seconds] = await redisClient().time();
  expect(Number(expiresAt)).toBeLessThanOrEqual((Number(seconds) + 1) * 1000 + 10_000);
});

test("a holder whose lease is gone is told by its signal, and gives back without harm to the next", async () => {
  const [holder, other] = startPeers(2);
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
  const [holder] = startPeers(1, "test", redis.url);
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

test("giving back never throws: it logs that Redis does not answer", async () => {
  const redis = await startRedis();
  const [holder] = startPeers(1, "test", redis.url);
  const held = await lock(holder!.hub, "a", short);
  await redis.kill();
  const tookMs = await takes(giveBack(held));
  expect(tookMs).toBeLessThan(5500);
  expect(holder!.lines).toEqual(['could not leave the lock "a": it is free when its lease has run out']);
  await giveBack(held);
  expect(holder!.lines).toHaveLength(1);
});

test("given back twice is given back once", async () => {
  const [holder, other] = startPeers(2);
  const held = await lock(holder!.hub, "a");
  await Promise.all([giveBack(held), giveBack(held)]);
  await using next = await lock(other!.hub, "a");
  await giveBack(held);
  await expect(lock(holder!.hub, "a", { timeout: 0 })).rejects.toThrow(TimeoutError);
  expect(held.remainingMs).toBe(0);
  expect(held.signal.aborted).toBe(false);
  expect(next.signal.aborted).toBe(false);
});

test("a server without memory keeps what is held, and refuses who comes", async () => {
  const redis = await startRedis();
  const [holder, other] = startPeers(2, "test", redis.url);
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
