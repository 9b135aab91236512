import { expect, test } from "vitest";
import { BackendError, TimeoutError } from "../../src/errors.ts";
import { lock } from "../../src/sync/lock.ts";
import { failure, takes } from "../support/outcome.ts";
import { startRedis } from "../support/redis.ts";
import { startProxy } from "../support/tcp-proxy.ts";
import { giveBack, inLine, listens, startPeers, until } from "./peer.ts";

test("a waiter whose wake-up was lost gets the lock all the same, and in its turn", async () => {
  const redis = await startRedis();
  const [holder, other] = startPeers(2, "test", redis.url);
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
  const [admin] = startPeers(1, "test", redis.url);
  await admin!.connections.open();
  await admin!.connections.command.call("ACL", "SETUSER", "deaf", "on", ">secret", "~*", "+@all", "-subscribe", "-publish");
  const [holder, other] = startPeers(2, "test", `redis://deaf:secret@127.0.0.1:${redis.port}`);
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
  const [holder, other] = startPeers(2, "test", redis.url);
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

test("a connection for wake-ups that has gone silent is given up, and another listens", async () => {
  const redis = await startRedis();
  await using proxy = await startProxy(redis.port);
  const [holder] = startPeers(1, "test", redis.url);
  const [other] = startPeers(1, "test", `redis://127.0.0.1:${proxy.port}`);
  await lock(holder!.hub, "a");
  const waiting = failure(lock(other!.hub, "a", { timeout: 20_000 }));
  await until(async () => (await inLine(holder!, "a", 2), listens(holder!, other!)));
  proxy.silence();
  await redis.stop();
  await redis.start();
  await inLine(holder!, "a", 2);
  await until(() => listens(holder!, other!));
  await other!.hub.close();
  expect((await waiting).error).toBeInstanceOf(BackendError);
});

test("an alarm rings for its topic alone, once for however many times before it was looked at", async () => {
  const [peer] = startPeers(1);
  const { wakeUps } = peer!.hub;
  const { signal } = new AbortController();
  using alarm = wakeUps.alarm("a");
  using other = wakeUps.alarm("b");
  alarm.ring();
  alarm.ring();
  await alarm.next(60_000, signal);
  expect(await takes(alarm.next(30, signal))).toBeGreaterThan(28);
  const sleeping = alarm.next(60_000, signal);
  alarm.ring();
  await sleeping;
  await expect(other.next(60_000, AbortSignal.timeout(20))).rejects.toThrow();
  await expect(alarm.next(0, AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
});
