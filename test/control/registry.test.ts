import { expect, test } from "vitest";
import { poolIndexKey, poolKeyBase } from "../../src/control/keys.ts";
import { consumedQueues, GONE_AFTER_MS, register, registeredPools, registeredTasks, unregister } from "../../src/control/registry.ts";
import { startRedis } from "../support/redis.ts";
import { connected, entryOf, taskOf } from "./control.ts";

test("gives who is registered, in the order of their start, of one instant by name, and what runs there", async () => {
  const registry = await connected();
  expect(await registeredPools(registry)).toEqual([]);
  await register(registry, entryOf("b", { startedAt: 2, name: "x" }), [taskOf("1")]);
  await register(registry, entryOf("c", { startedAt: 1 }), []);
  await register(registry, entryOf("a", { startedAt: 2, name: "y" }), [taskOf("2"), taskOf("3", { startedAt: 999 })]);
  const pools = await registeredPools(registry);
  expect(pools.map(({ id }) => id)).toEqual(["c", "b", "a"]);
  const [{ seenAt, ...entry }] = pools as [(typeof pools)[0]];
  expect(entry).toEqual(entryOf("c", { startedAt: 1 }));
  expect(Math.abs(seenAt - registry.clock.now())).toBeLessThan(5000);
  expect((await registeredTasks(registry)).map(({ pool, tasks }) => [pool.id, ...tasks.map(({ id }) => id)])).toEqual([["c"], ["b", "1"], ["a", "3", "2"]]);
});

test("remembers the queues of pools that ran, the last thousand", async () => {
  const registry = await connected();
  expect(await consumedQueues(registry)).toEqual([]);
  await register(registry, entryOf("a", { queues: ["mail", "post"] }), []);
  await register(registry, entryOf("a", { queues: ["others"] }), []); // a pool's queues are those that it began with
  await unregister(registry, "a");
  expect((await consumedQueues(registry)).toSorted()).toEqual(["mail", "post"]);
  for (let n = 0; n < 10; n += 1) await register(registry, entryOf(`p${n}`, { queues: Array.from({ length: 100 }, (_, i) => `q${n}-${i}`) }), []);
  const last = await consumedQueues(registry);
  expect(last).toHaveLength(1000);
  expect(last).not.toContain("mail");
});

test("a renewal takes the place of what was told before", async () => {
  const registry = await connected();
  await register(registry, entryOf("a"), [taskOf("1")]);
  await register(registry, entryOf("a", { state: "quiet" }), []);
  expect(await registeredTasks(registry)).toMatchObject([{ pool: { id: "a", state: "quiet" }, tasks: [] }]);
});

test("who takes itself out is gone at once; who does not, ends by itself", async () => {
  const registry = await connected();
  await register(registry, entryOf("a"), []);
  await register(registry, entryOf("b"), []);
  await unregister(registry, "a");
  expect((await registeredPools(registry)).map(({ id }) => id)).toEqual(["b"]);
  const { command, prefix } = registry;
  for (const key of [poolIndexKey(prefix), `${poolKeyBase(prefix)}b`]) {
    const leftMs = await command.pttl(key);
    expect(leftMs).toBeGreaterThan(GONE_AFTER_MS - 5000);
    expect(leftMs).toBeLessThanOrEqual(GONE_AFTER_MS);
  }
  await command.pexpire(`${poolKeyBase(prefix)}b`, 1);
  await expect.poll(() => registeredPools(registry)).toEqual([]);
});

test("who has gone without a word leaves the index when another one renews", async () => {
  const registry = await connected();
  const { command, prefix } = registry;
  await register(registry, entryOf("a"), []);
  for (let n = 0; n < 15; n += 1) await command.zadd(poolIndexKey(prefix), n, `dead${n}`);
  for (let renewed = 0; renewed < 2; renewed += 1) await register(registry, entryOf("a"), []);
  expect(await command.zrange(poolIndexKey(prefix), "0", "-1")).toEqual(["a"]);
});

test("gives hundreds of them", async () => {
  const registry = await connected();
  const ids = Array.from({ length: 230 }, (_, n) => `pool${String(n).padStart(3, "0")}`);
  await Promise.all(ids.map((id) => register(registry, entryOf(id), [taskOf(id)])));
  expect((await registeredPools(registry)).map(({ id }) => id)).toEqual(ids);
  expect((await registeredTasks(registry)).map(({ tasks }) => tasks[0]?.id)).toEqual(ids);
});

test("a full Redis takes nothing new, and lets no entry end that is renewed", async () => {
  const { url } = await startRedis({ maxmemory: "3mb" });
  const registry = await connected(url);
  const { command, prefix } = registry;
  await register(registry, entryOf("a"), []);
  await command.config("SET", "maxmemory", "1");
  await command.pexpire(`${poolKeyBase(prefix)}a`, 5000);
  await register(registry, entryOf("a", { state: "quiet" }), []);
  expect(await command.pttl(`${poolKeyBase(prefix)}a`)).toBeGreaterThan(5000);
  expect(await registeredPools(registry)).toMatchObject([{ id: "a", state: "ready" }]);
  await expect(register(registry, entryOf("b"), [])).rejects.toMatchObject({ code: "BACKEND_FULL" });
});
