/**
 * Every script of the store that writes more than one key, broken off at each of its calls: no job is lost or doubled, it
 * stands in one place, and the same verb again completes what was begun.
 */
import { readdirSync, readFileSync } from "node:fs";
import { beforeAll, afterAll, describe, expect, test } from "vitest";
import { Connections } from "../../src/redis/connection.ts";
import { claimExpired } from "../../src/store/claim.ts";
import { SettleLane } from "../../src/store/settle.ts";
import { storedQueue, type StoredQueue } from "../../src/store/stored-queue.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";
import { dump, failingAt, READS } from "./failing-script.ts";
import { scenes, type Scene } from "./half-way-scenes.ts";

let connections: Connections;
beforeAll(async () => {
  connections = new Connections(redisUrl());
  await connections.open();
});
afterAll(() => connections.close());

/** Of scripts that write: why they are not here. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  "claim-partitions": "one write",
  "remove-orphans": "one write a job, which is in no place",
  "begin-move": "one write",
  "end-move": "one write",
  "note-waiting": "one write",
  "record-history": "counts, of no job",
  trail: "one key, of no job",
};

describe.each(scenes)("$script: $name", (scene) => {
  test("an error at any call leaves each job in one place, and the verb again completes it", async () => {
    const commands = await callsOf(scene);
    expect(commands.filter((command) => !READS.has(command)).length).toBeGreaterThan(1);
    const firstWrite = commands.findIndex((command) => !READS.has(command));
    for (let n = 1; n <= commands.length; n += 1) {
      const at = `at call ${n}, ${commands[n - 1]}`;
      const queue = await prepared(scene);
      const isUnwritten = n - 1 <= firstWrite;
      const before = isUnwritten ? await dump(queue) : {};
      const failing = failingAt(queue, n);
      await expect(scene.act(failing.queue), at).rejects.toThrow(/injected/);
      await failing.calls();
      if (isUnwritten) expect(await dump(queue), at).toEqual(before);
      for (const stands of await standing(scene, queue)) expect(stands, at).toSatisfy(([, ...places]: string[]) => places.length === 1);
      await (scene.again ?? scene.act)(queue);
      await recovered(queue);
      for (const [id, ...places] of await standing(scene, queue)) expect(scene.ends[id], `${id} ${at}`).toContain(places.join(" and "));
    }
  }, 240_000);
});

test("no script that writes is left out", () => {
  const folder = new URL("../../src/store/", import.meta.url);
  const texts = readdirSync(folder).map((file) => readFileSync(new URL(file, folder), "utf8"));
  const named = texts.flatMap((text) => text.split(/(?=\bname: "[a-z-]+",\s*lua: `)/).slice(1));
  const scripts = named.map((text) => {
    const [, name, lua] = /^name: "([a-z-]+)",\s*lua: `([^`]*)`/.exec(text)!;
    // Pieces that are put in may write.
    return { name: name!, writes: /\$\{(TRIM_EVENTS|PROMOTE_DUE|SETTLE|RESERVE|FINISH|TAKE|FORGET)\}/.test(lua!) || [...lua!.matchAll(/'([A-Z]+)'/g)].some(([, command]) => WRITES.test(command!)) };
  });
  expect(scripts.length).toBeGreaterThan(25);
  const known = new Set([...scenes.map(({ script }) => script), ...Object.keys(LEFT_OUT)]);
  expect(scripts.filter(({ name, writes }) => writes && !known.has(name)).map(({ name }) => name)).toEqual([]);
});

const WRITES = /^(SET|DEL|INCR|INCRBY|EXPIRE|PEXPIRE|[LR]PUSH|[LR]POP|LREM|LSET|LTRIM|HSET|HSETNX|HDEL|HINCRBY|RENAME|SADD|SREM|ZADD|ZREM|XADD|XDEL|XTRIM)$/;

async function prepared(scene: Scene): Promise<StoredQueue> {
  const queue = storedQueue(connections, freshPrefix(), "work");
  await scene.prepare(queue);
  return queue;
}

async function callsOf(scene: Scene): Promise<readonly string[]> {
  const { queue, calls } = failingAt(await prepared(scene), 0);
  await scene.act(queue);
  return calls();
}

/** Each job with each place that it stands in, as often as it stands there: one is right. "gone" is one: neither in a place nor kept. */
async function standing(scene: Scene, queue: StoredQueue): Promise<(readonly [id: string, ...places: string[]])[]> {
  const { client, keys } = queue;
  const ids = Object.keys(scene.ends);
  const lists = (["wait", "paused", "active"] as const).map(async (name) => [name, await client.lrange(keys[name], "0", "-1")] as const);
  const sets = (["prioritized", "delayed", "waitingChildren", "completed", "failed"] as const).map(async (name) => [name, await client.zrange(keys[name], "0", "-1")] as const);
  const [states, others, kept] = await Promise.all([Promise.all([...lists, ...sets]), Promise.all(ids.map((id) => scene.elsewhere?.(queue, id) ?? [])), Promise.all(ids.map((id) => client.exists(keys.base + id)))]);
  return ids.map((id, i) => {
    const places = [...states.flatMap(([name, there]) => there.filter((each) => each === id).map(() => name)), ...others[i]!];
    if (places.length > 0) return [id, ...places];
    return kept[i] === 0 || scene.litter?.includes(id) ? [id, "gone"] : [id];
  });
}

/** What leases were left run out, and whoever recovers them gives their jobs back, or ends those that are to be cancelled. */
async function recovered(queue: StoredQueue): Promise<void> {
  const active = await queue.client.lrange(queue.keys.active, "0", "-1");
  if (active.length > 0) await queue.client.del(...active.map((id) => `${queue.keys.base}${id}:lock`));
  const round = { token: "recovery", leaseMs: 10_000, everyMs: 0, holdMs: 10_000, most: 100 };
  const lane = new SettleLane(queue, 1000);
  for (const leased of [...(await claimExpired(queue, round)), ...(await claimExpired(queue, round))]) {
    const settled = await lane.settle({ leased, kind: "release", delayMs: 0 });
    if (typeof settled === "object") await lane.settle({ leased, kind: "fail", reason: `cancelled: ${settled.cancelReason}`, stack: [], attempts: 1, keep: {} });
  }
}
