import { FlowProducer } from "bullmq";
import * as fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { putJobs } from "../../src/store/put-script.ts";
import type { Leased } from "../../src/store/reserve.ts";
import type { Settlement } from "../../src/store/settle.ts";
import { storedQueue, type StoredQueue } from "../../src/store/stored-queue.ts";
import { takeTurn } from "../../src/store/turn-script.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";
import { consumerOf, eventsOf, newJob, openQueue, placesOf, putAll } from "./opened-queue.ts";
import { QueueModel } from "./queue-model.ts";

test("what a flow owns is neither settled nor unlocked by our script", async () => {
  const queue = await openQueue();
  const producer = new FlowProducer({ connection: { url: redisUrl() }, prefix: queue.prefix });
  onTestFinished(() => producer.close());
  await producer.add({ name: "parent", queueName: queue.name, children: [{ name: "child", queueName: queue.name, opts: { jobId: "child" } }] });
  const [child] = await consumerOf(queue).reserver.take(1);
  const turn = await takeTurn(queue, [{ leased: child!, kind: "ack", result: "1", keep: {} }], false, undefined);
  expect(turn.reserved).toBeUndefined();
  expect(await turn.settled).toEqual(["done"]);
  expect(await placesOf(queue, "child")).toEqual(["completed"]);
});

test.each(["completed", "failed", "delayed", "wait"] as const)("where the key %s is of another type, what cannot go there stays active, and goes once it can", async (place) => {
  for (const many of [1, 3]) {
    const queue = await openQueue();
    const ids = ["a", "b", "c"].slice(0, many);
    await putAll(queue, ids.map((id) => newJob(id)));
    const leased = await consumerOf(queue).reserver.take(many);
    await queue.client.set(queue.keys[place], "of another type");
    const keep = { count: 10 };
    const settlements = leased.map((each): Settlement => {
      if (place === "completed") return { leased: each, kind: "ack", result: "1", keep };
      if (place === "failed") return { leased: each, kind: "fail", reason: "no", stack: [], attempts: 1, keep };
      return { leased: each, kind: "retry", reason: "no", stack: [], delayMs: place === "delayed" ? 60_000 : 0 };
    });
    await expect(takeTurn(queue, settlements, false, undefined)).rejects.toThrow(/WRONGTYPE/);
    expect((await queue.client.lrange(queue.keys.active, 0, -1)).toReversed()).toEqual(ids);
    await queue.client.del(queue.keys[place]);
    expect(await (await takeTurn(queue, settlements, true, undefined)).settled).toEqual(ids.map(() => "done"));
    for (const id of ids) expect(await placesOf(queue, id)).toEqual([place]);
  }
});

/** How jobs are put and settled, and what is told of the queue; a walk is made of these. */
const LARGE = JSON.stringify("x".repeat(400_000));
const PUTS = [{}, {}, { data: LARGE }, { lifo: true, timeoutMs: 5 }, { priority: 1 }, { priority: 2, data: LARGE }, { delayMs: 60_000 }, { delayMs: 60_000, priority: 1 }];
const WAYS = [
  { kind: "ack", result: '"\u001f"', keep: {} },
  { kind: "ack", result: "1", keep: {}, isUnsure: true },
  { kind: "ack", result: "1", keep: { count: 0 } },
  { kind: "fail", reason: "r", stack: [], attempts: 2, keep: {} },
  { kind: "fail", reason: "r", stack: [], attempts: 1, keep: { count: 0 } },
  { kind: "retry", reason: "r", stack: [], delayMs: 0 },
  { kind: "retry", reason: "r", stack: [], delayMs: 60_000 },
  { kind: "release", delayMs: 0 },
  { kind: "release", delayMs: 60_000, unknown: true },
] as const;
const SETTINGS: readonly ((model: QueueModel) => void)[] = [
  (model) => (model.isPaused = true),
  (model) => (model.isPaused = false),
  (model) => (model.concurrency = 5),
  (model) => (model.concurrency = Infinity),
  (model) => (model.max = 4),
  (model) => (model.max = Infinity),
  (model) => (model.used = 0),
];
const steps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ step: fc.constant("put" as const), puts: fc.array(fc.record({ how: fc.constantFrom(...PUTS), isAgain: fc.nat(9) }), { minLength: 1, maxLength: 30 }) }) },
    {
      weight: 6,
      arbitrary: fc.record({
        step: fc.constant("turn" as const), most: fc.constantFrom(0, 1, 5, 40), ways: fc.array(fc.record({ which: fc.nat(99), way: fc.constantFrom(...WAYS) }), { maxLength: 40 }), isInOrder: fc.boolean(), isHeard: fc.nat(5),
      }),
    },
    { weight: 1, arbitrary: fc.record({ step: fc.constant("set" as const), set: fc.constantFrom(...SETTINGS) }) },
    { weight: 1, arbitrary: fc.record({ step: fc.constant("due" as const), count: fc.nat(9) }) },
  ),
  { minLength: 3, maxLength: 40 },
);

test("puts and turns make of a queue what its model makes of it, tell of it in the same order, and forget nobody who sleeps", async () => {
  const { connections } = await openQueue();
  const seen = { cut: 0, again: 0, drained: 0 };
  const walking = fc.asyncProperty(steps, async (walk) => {
    const queue = storedQueue(connections, freshPrefix(), "work");
    const { client, keys } = queue;
    const model = new QueueModel();
    let held: Leased[] = [];
    let unanswered: string[] = [];
    let count = 0;
    for (const step of walk) {
      count += 1;
      if (step.step === "put") {
        const batch = step.puts.map(({ how, isAgain }, n) => newJob(isAgain === 0 && model.jobs.size > 0 ? [...model.jobs.keys()][n % model.jobs.size]! : `${count}-${n}`, how));
        await putJobs(queue, "producer", { own: count, lowestOpen: count }, 0, batch);
        model.put(batch);
      } else if (step.step === "set") {
        step.set(model);
        await writeSettings(queue, model);
      } else if (step.step === "due") {
        const first = await client.zrange(keys.delayed, "0", String(step.count));
        for (const [n, id] of first.entries()) await client.zadd(keys.delayed, n, id);
        model.due = await client.zrange(keys.delayed, "0", "1000", "BYSCORE");
      } else {
        const { most, isInOrder, isHeard } = step;
        const ways = new Map(held.length === 0 ? [] : step.ways.map(({ which, way }, n) => [held[(isInOrder ? n : which) % held.length]!, way]));
        const settlements = [...ways].map(([leased, way]): Settlement => ({ leased, ...way }));
        const token = `token ${count}`;
        await client.del(keys.marker); // somebody is awake
        const turn = await takeTurn(queue, settlements, false, most === 0 ? undefined : { most, token, leaseMs: 60_000, worker: "w", unanswered });
        expect(new Set(await turn.settled)).toEqual(new Set(settlements.length === 0 ? [] : ["done"]));
        model.settle(settlements);
        held = held.filter((leased) => !ways.has(leased));
        const taken = most === 0 ? { ids: [], isFull: false, isLimited: false } : model.take(most, token, unanswered);
        const leased = turn.reserved?.leased ?? [];
        expect(leased.map(({ job }) => [job.id, job.data, job.starts, job.attemptsMade])).toEqual(
          taken.ids.map((id) => [id, model.jobs.get(id)!.put.data, model.jobs.get(id)!.starts, model.jobs.get(id)!.attemptsMade]),
        );
        expect((turn.reserved?.limitedForMs ?? 0) > 0).toBe(taken.isLimited);
        if (leased.length < most) unanswered = [];
        if (isHeard > 0) held.push(...leased);
        else unanswered.push(token);
        const hasEnded = settlements.some(({ kind }) => kind === "ack" || kind === "fail");
        if (hasEnded && taken.ids.length === 0 && !model.areReady && model.active.length === 0) model.events.push("drained");
        // Whoever sleeps is woken where there is more than was taken, or told when there will be; who got less than it asked for has it all.
        const isGivenBack = settlements.some((each) => (each.kind === "retry" || each.kind === "release") && each.delayMs === 0);
        const mayWake = taken.isFull || isGivenBack || (settlements.length > 0 && model.concurrency < Infinity);
        const markers = await client.zrange(keys.marker, "0", "-1");
        if (model.areReady && model.hasRoom && mayWake) expect(markers).toContain("0");
        if (taken.isFull && model.delayed.size > 0 && !model.isPaused) expect(markers.length).toBeGreaterThan(0);
        if (most > 0 && !taken.isFull && !taken.isLimited && !model.isPaused) expect(turn.reserved!.nextDelayedAt > 0).toBe(model.delayed.size > 0);
        if (most > 0 && !taken.isFull && model.hasRoom) expect(model.areReady).toBe(false);
        seen.cut += Number(taken.isFull && taken.ids.length < most);
        seen.again += Number(taken.ids.some((id) => model.jobs.get(id)!.starts > 1));
      }
      expect(await standing(queue)).toEqual({
        wait: model.wait, prioritized: model.byPriority().flatMap((id) => [id, String(model.prioritized.get(id))]), active: model.active,
        delayed: new Set(model.delayed), completed: model.completed, failed: model.failed, hashes: model.jobs.size,
      });
    }
    expect(await eventsOf(queue)).toEqual(model.events);
    seen.drained += Number(model.events.includes("drained"));
  });
  await fc.assert(walking, { numRuns: 120, seed: 18 });
  expect(Object.values(seen).every((times) => times > 5), JSON.stringify(seen)).toBe(true);
}, 120_000);

async function writeSettings({ client, keys }: StoredQueue, { isPaused, concurrency, max, used }: QueueModel): Promise<void> {
  await client.hdel(keys.meta, "paused", "concurrency", "max", "duration");
  if (isPaused) await client.hset(keys.meta, "paused", 1);
  if (concurrency < Infinity) await client.hset(keys.meta, { concurrency });
  if (max < Infinity) await client.hset(keys.meta, { max, duration: 600_000 });
  if (used === 0) await client.del(keys.limiter);
  await client.zadd(keys.marker, 0, "0");
}

/** In the order in which they are taken, or were. */
async function standing({ client, keys }: StoredQueue): Promise<unknown> {
  const list = async (key: string): Promise<string[]> => (await client.lrange(key, "0", "-1")).toReversed();
  const set = (key: string): Promise<string[]> => client.zrange(key, "0", "-1");
  const [wait, active, prioritized, delayed, completed, failed, all, locks] = await Promise.all([
    list(keys.wait), list(keys.active), client.zrange(keys.prioritized, "0", "-1", "WITHSCORES"), set(keys.delayed), set(keys.completed), set(keys.failed),
    client.keys(`${keys.base}[0-9]*-[0-9]*`), client.keys(`${keys.base}*:lock`),
  ]);
  expect(locks.length).toBe(active.length);
  return { wait, prioritized, active, delayed: new Set(delayed), completed: new Set(completed), failed: new Set(failed), hashes: all.length - locks.length };
}
