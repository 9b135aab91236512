import { expect, test } from "vitest";
import { BackendError, LeaseLostError } from "../../src/errors.ts";
import { primitiveKey } from "../../src/sync/keys.ts";
import { lock } from "../../src/sync/lock.ts";
import { failure } from "../support/outcome.ts";
import { freePort } from "../support/redis-process.ts";
import { startRedis } from "../support/redis.ts";
import { startProxy } from "../support/tcp-proxy.ts";
import { giveBack, inLine, startPeers } from "./peer.ts";

test("a script that is lost with its connection is sent once more", async () => {
  const redis = await startRedis();
  await using proxy = await startProxy(redis.port);
  const [peer] = startPeers(1, "test", `redis://127.0.0.1:${proxy.port}`);
  await giveBack(await lock(peer!.hub, "a"));
  proxy.loseReplies();
  await using held = await lock(peer!.hub, "a", { timeout: 0 });
  expect(held.signal.aborted).toBe(false);
  const places = await peer!.connections.command.zcard(primitiveKey("test", "lock", "a", "line"));
  expect(places).toBe(1);
});

test("the end of the app gives back what is held, and ends what waits", async () => {
  const [closing, other] = startPeers(2);
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

test("says within some five seconds that Redis does not answer, when it never took the waiter", async () => {
  const [peer] = startPeers(1, "test", `redis://127.0.0.1:${await freePort()}`);
  const { error, tookMs } = await failure(lock(peer!.hub, "a"));
  expect(error).toBeInstanceOf(BackendError);
  expect(tookMs).toBeLessThan(5500);
  expect(peer!.lines).toEqual([]); // it has nothing to leave
});
