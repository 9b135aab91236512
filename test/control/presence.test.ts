import { expect, onTestFinished, test } from "vitest";
import { poolKeyBase } from "../../src/control/keys.ts";
import { Presence } from "../../src/control/presence.ts";
import { registeredPools, registeredTasks } from "../../src/control/registry.ts";
import type { Connections } from "../../src/redis/connection.ts";
import { recordedLog, until } from "../support/app.ts";
import { takes } from "../support/outcome.ts";
import { redisClient, startRedis } from "../support/redis.ts";
import { connected, entryOf, taskOf } from "./control.ts";

function present(connections: Connections, id = "a") {
  const log = recordedLog();
  const told = { running: 0 };
  const presence = new Presence(connections, { id, entry: () => entryOf(id, told), tasks: () => [taskOf(String(told.running))] }, log);
  onTestFinished(() => presence.end());
  return { presence, told, log };
}

const isThere = async (connections: Connections): Promise<boolean> => (await registeredPools(connections)).length > 0;

test("is there from its beginning to its end, and tells again how it is whenever it is asked to, and by itself", async () => {
  const connections = await connected();
  const { presence, told } = present(connections);
  presence.renew();
  expect(await registeredPools(connections)).toEqual([]);
  presence.begin();
  await until(() => isThere(connections));
  for (told.running = 1; told.running < 10; told.running += 1) presence.renew();
  await until(async () => (await registeredPools(connections))[0]?.running === 10);
  told.running = 20;
  await until(async () => (await registeredTasks(connections))[0]?.tasks[0]?.id === "20");
  await presence.end();
  expect(await registeredPools(connections)).toEqual([]);
});

test("what is renewed at its end does not bring it back", async () => {
  const connections = await connected();
  for (let round = 0; round < 20; round += 1) {
    const { presence } = present(connections, `pool${round}`);
    presence.begin();
    presence.renew();
    const ended = presence.end();
    presence.renew();
    presence.begin();
    await ended;
  }
  await connections.command.ping();
  expect(await registeredPools(connections)).toEqual([]);
});

test("registers again when a Redis comes back that has forgotten it", async () => {
  const redis = await startRedis({ appendonly: "no" });
  const connections = await connected(redis.url);
  const { presence, log } = present(connections);
  presence.begin();
  await until(() => isThere(connections));
  await redis.kill();
  await redis.start();
  await connections.connected();
  expect(await registeredPools(connections)).toEqual([]);
  await until(() => isThere(connections));
  expect(log.lines).toEqual([]);
});

test("ends at once without Redis, and soon with one that is silent", async () => {
  const redis = await startRedis();
  const connections = await connected(redis.url);
  const [one, other] = [present(connections, "a"), present(connections, "b")];
  one.presence.begin();
  other.presence.begin();
  await until(() => isThere(connections));
  redis.pause();
  expect(await takes(one.presence.end())).toBeLessThan(1000);
  redis.resume();
  await redis.stop();
  await until(() => !connections.isConnected);
  expect(await takes(other.presence.end())).toBeLessThan(100);
});

test("says once that it may not register, and tries on", async () => {
  const { url, port } = await startRedis();
  const admin = redisClient(url);
  await admin.call("ACL", "SETUSER", "narrow", "on", ">secret", "~bull:work:*", "&*", "+@all");
  const connections = await connected(`redis://narrow:secret@127.0.0.1:${port}`, "bull");
  const { presence, log } = present(connections);
  presence.begin();
  await until(() => log.lines.length > 0);
  presence.renew();
  await admin.call("ACL", "SETUSER", "narrow", "~*");
  await until(async () => (await admin.exists(`${poolKeyBase("bull")}a`)) === 1);
  expect(log.lines).toMatchObject([{ level: "warn", message: "cannot register this pool: operators do not see it" }]);
});
