import { expect, test } from "vitest";
import { CancelledError, OptionError, TimeoutError } from "../../src/errors.ts";
import { Barrier } from "../../src/sync/barrier.ts";
import { primitiveKey } from "../../src/sync/keys.ts";
import type { LeaseOptions } from "../../src/sync/semaphore.ts";
import { failure } from "../support/outcome.ts";
import { freshPrefix, redisClient, startRedis } from "../support/redis.ts";
import { startProxy } from "../support/tcp-proxy.ts";
import { startPeer, until, type Peer } from "./peer.ts";

function peers(count: number, url?: string): Peer[] {
  const prefix = url === undefined ? freshPrefix() : "test";
  return Array.from({ length: count }, () => startPeer(prefix, url));
}

async function standAt(peer: Peer, count: number): Promise<void> {
  await peer.connections.open();
  await until(async () => (await peer.connections.command.zcard(primitiveKey(peer.hub.prefix, "barrier", "a", "line"))) === count);
}

test("lets all go on when the last of so many processes has come, each with a number of its own, again and again", async () => {
  const three = peers(3);
  const barriers = three.map(({ hub }) => new Barrier(hub, "a", 3));
  for (let round = 0; round < 3; round += 1) {
    const first = barriers[round]!.wait();
    await standAt(three[0]!, 1);
    const second = barriers[(round + 1) % 3]!.wait();
    await standAt(three[0]!, 2);
    const third = barriers[(round + 2) % 3]!.wait();
    expect(await Promise.all([first, second, third])).toEqual([0, 1, 2]);
  }
  await until(async () => (await redisClient().keys(`${three[0]!.hub.prefix}:*`)).length === 0);
});

test("serves several rounds that come at once", async () => {
  const two = peers(2);
  const barriers = two.map(({ hub }) => new Barrier(hub, "a", 4));
  const numbers = await Promise.all(Array.from({ length: 40 }, (_, i) => barriers[i % 2]!.wait()));
  expect(numbers.toSorted()).toEqual([0, 1, 2, 3].flatMap((number) => Array<number>(10).fill(number)));
});

test("one that gives up no longer counts", async () => {
  const [one, other] = peers(2);
  const barriers = [one!, other!].map(({ hub }) => new Barrier(hub, "a", 2));
  await expect(barriers[0]!.wait({ timeout: 40 })).rejects.toThrow(TimeoutError);
  await standAt(one!, 0);
  await expect(barriers[0]!.wait({ timeout: 0 })).rejects.toThrow(TimeoutError);
  const cancel = new AbortController();
  const cancelled = expect(barriers[0]!.wait({ signal: cancel.signal })).rejects.toThrow("enough");
  await standAt(one!, 1);
  cancel.abort(new Error("enough"));
  await cancelled;
  await standAt(one!, 0);
  const disposed = failure(barriers[0]!.wait());
  await standAt(one!, 1);
  await barriers[0]![Symbol.asyncDispose]();
  expect((await disposed).error).toBeInstanceOf(CancelledError);
  const alone = barriers[1]!.wait();
  await standAt(one!, 1);
  expect(await Promise.all([alone, barriers[0]!.wait()])).toEqual([0, 1]);
});

test("one that died no longer counts when its lease has run out", async () => {
  const [dead, one, two] = peers(3);
  const barriers = [dead!, one!, two!].map(({ hub }) => new Barrier(hub, "a", 2, { lease: 300 }));
  const lost = barriers[0]!.wait().catch(() => {});
  await standAt(one!, 1);
  await dead!.die();
  const key = primitiveKey(one!.hub.prefix, "barrier", "a", "leases");
  await until(async () => Number((await one!.connections.command.zrange(key, "0", "0", "WITHSCORES"))[1]) < Date.now() - 2);
  const first = barriers[1]!.wait();
  await standAt(one!, 1);
  expect(await Promise.all([first, barriers[2]!.wait()])).toEqual([0, 1]);
  await dead!.hub.close();
  await lost;
});

test("one that was counted goes on, although it was cut off until long after its lease", async () => {
  const redis = await startRedis();
  await using proxy = await startProxy(redis.port);
  const cutOff = startPeer("test", `redis://127.0.0.1:${proxy.port}`);
  const other = startPeer("test", redis.url);
  const barriers = [cutOff, other].map(({ hub }) => new Barrier(hub, "a", 2, { lease: 250 }));
  const first = barriers[0]!.wait();
  await standAt(other, 1);
  proxy.silence();
  expect(await barriers[1]!.wait()).toBe(1);
  const passedAt = Date.now();
  await until(() => Date.now() - passedAt > 400);
  await expect(barriers[1]!.wait({ timeout: 0 })).rejects.toThrow(TimeoutError); // forgets what has expired
  proxy.cut();
  expect(await first).toBe(0);
});

test("outlasts a restart of Redis", async () => {
  const redis = await startRedis({ appendfsync: "always" });
  const [one, other] = peers(2, redis.url);
  const barriers = [one!, other!].map(({ hub }) => new Barrier(hub, "a", 2));
  const first = barriers[0]!.wait();
  await standAt(other!, 1);
  await redis.kill();
  await redis.start();
  expect(await Promise.all([first, barriers[1]!.wait()])).toEqual([0, 1]);
});

test("refuses what is no option before any I/O", async () => {
  const [peer] = peers(1);
  const make = (parties: unknown, options?: unknown) => () => new Barrier(peer!.hub, "a", parties as number, options as LeaseOptions);
  for (const parties of [0, -1, 1.5, 10_001, "2"]) expect(make(parties)).toThrow(OptionError);
  expect(make(2, { lease: 1 })).toThrow(/lease of barrier "a"/);
  await expect(make(2)().wait({ timeout: Number.NaN })).rejects.toThrow(OptionError);
  expect(await make(1)().wait({ timeout: 0 })).toBe(0);
});
