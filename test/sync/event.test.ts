import { expect, test } from "vitest";
import { BackendError, CancelledError, OptionError, TimeoutError } from "../../src/errors.ts";
import { Event, type EventOptions } from "../../src/sync/event.ts";
import { primitiveKey } from "../../src/sync/keys.ts";
import { failure, takes } from "../support/outcome.ts";
import { freshPrefix, redisClient, startRedis } from "../support/redis.ts";
import { startPeer, until, type Peer } from "./peer.ts";

function pair(url?: string, key = "a"): { peers: [Peer, Peer]; events: [Event, Event] } {
  const prefix = url === undefined ? freshPrefix() : "test";
  const peers: [Peer, Peer] = [startPeer(prefix, url), startPeer(prefix, url)];
  return { peers, events: [new Event(peers[0].hub, key), new Event(peers[1].hub, key)] };
}

/** Until the peer is listed among those to be woken. */
async function waits(peer: Peer): Promise<void> {
  await peer.connections.open();
  const key = primitiveKey(peer.hub.prefix, "event", "a", "waiting");
  await until(async () => (await peer.connections.command.zscore(key, peer.hub.processId)) !== null);
}

test("is not set at first, set by one process, and cleared by another", async () => {
  const { events } = pair();
  expect(await events[0].isSet()).toBe(false);
  await events[0].set();
  expect(await events[1].isSet()).toBe(true);
  await events[1].clear();
  expect(await events[0].isSet()).toBe(false);
  await events[1].clear();
});

test("wakes all who wait, in every process, at once", async () => {
  const { peers, events } = pair();
  const waiting = [events[0].wait(), events[0].wait(), events[1].wait()];
  await waits(peers[0]);
  await waits(peers[1]);
  await events[1].set();
  expect(await takes(Promise.all(waiting))).toBeLessThan(1000);
});

test("does not let one wait that comes when it is set", async () => {
  const { events } = pair();
  await events[0].set();
  await events[1].wait({ timeout: 0 });
  await events[1].clear();
  await expect(events[1].wait({ timeout: 0 })).rejects.toThrow(TimeoutError);
});

test("who waited is let go also when it was cleared at once, before he could look", async () => {
  const { peers, events } = pair();
  for (let round = 0; round < 20; round += 1) {
    const waiting = events[0].wait();
    await waits(peers[0]);
    await Promise.all([events[1].set(), events[1].clear()]);
    await waiting;
    expect(await events[0].isSet()).toBe(false);
  }
});

test("one that comes after it was cleared waits for the next time", async () => {
  const { peers, events } = pair();
  await events[0].set();
  await events[0].clear();
  let woken = false;
  const waiting = events[1].wait().then(() => (woken = true));
  await waits(peers[1]);
  await peers[1].sent();
  expect(woken).toBe(false);
  await events[0].set();
  await waiting;
});

test("gives up at its timeout, at its signal, and when the event or the app is disposed", async () => {
  const { peers, events } = pair();
  await expect(events[0].wait({ timeout: 30 })).rejects.toThrow('expected event "a" within 30 ms');
  await expect(events[0].wait({ signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow("enough");
  const signalled = new AbortController();
  const waiting = expect(events[0].wait({ signal: signalled.signal })).rejects.toThrow("enough");
  await waits(peers[0]);
  signalled.abort(new Error("enough"));
  await waiting;
  const disposed = failure(events[0].wait());
  await peers[0].sent();
  await events[0][Symbol.asyncDispose]();
  expect((await disposed).error).toBeInstanceOf(CancelledError);
  const closed = failure(events[0].wait());
  await peers[0].sent();
  await peers[0].hub.close();
  expect((await closed).error).toBeInstanceOf(BackendError);
});

test("a set that its waiters could not hear of, and that was cleared, is found when Redis is back", async () => {
  const redis = await startRedis({ appendfsync: "always" });
  const { peers, events } = pair(redis.url);
  const waiting = events[0].wait();
  await waits(peers[0]);
  await events[1].isSet();
  await peers[1].connections.command.call("CLIENT", "KILL", "TYPE", "pubsub");
  await Promise.all([events[1].set(), events[1].clear()]);
  await redis.kill();
  await redis.start();
  expect(await takes(waiting)).toBeLessThan(3000);
});

test("keys go away by themselves: the flag after its time, the list of who waits with them", async () => {
  const { hub, connections } = startPeer(freshPrefix());
  const event = new Event(hub, "a", { keep: "2d" });
  const client = redisClient();
  const [flag, waiting] = ["flag", "waiting"].map((part) => primitiveKey(hub.prefix, "event", "a", part)) as [string, string];
  await expect(event.wait({ timeout: 0 })).rejects.toThrow(TimeoutError);
  expect(await client.pttl(waiting)).toBeGreaterThan(5000);
  expect(await client.pttl(waiting)).toBeLessThanOrEqual(10_000);
  await event.set();
  expect(await client.exists(waiting)).toBe(0);
  await connections.command.pexpire(flag, 60_000);
  await event.isSet(); // a use
  expect(await client.pttl(flag)).toBeGreaterThan(86_400_000);
  expect(await client.pttl(flag)).toBeLessThanOrEqual(2 * 86_400_000);
  await event.clear();
  expect(await client.pttl(flag)).toBeLessThanOrEqual(3_600_000);
});

test("refuses what is no option before any I/O", async () => {
  const { hub } = startPeer(freshPrefix());
  const make = (key: unknown, options?: unknown) => () => new Event(hub, key as string, options as EventOptions);
  expect(make("")).toThrow(OptionError);
  expect(make("a", { keep: 1 })).toThrow(OptionError);
  expect(make("a", { lease: 1000 })).toThrow(/unknown option "lease" of event "a"/);
  await expect(make("a")().wait({ timeout: -1 })).rejects.toThrow(OptionError);
});
