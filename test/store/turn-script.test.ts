import { FlowProducer } from "bullmq";
import { expect, onTestFinished, test } from "vitest";
import type { StoredQueue } from "../../src/store/stored-queue.ts";
import { takeTurn } from "../../src/store/turn-script.ts";
import type { Settlement } from "../../src/store/settle.ts";
import { redisUrl } from "../support/redis.ts";
import { dump, failingAt, READS } from "./failing-script.ts";
import { consumerOf, newJob, openQueue, placesOf, putAll } from "./opened-queue.ts";

/** A queue in which one turn does everything: settles in every way, promotes, takes plain and prioritized jobs. */
async function scene(): Promise<{ queue: StoredQueue; settlements: Settlement[]; ids: string[] }> {
  const queue = await openQueue();
  const ends = ["acked", "dropped", "failed-one", "retried", "delayed-again", "released", "released-late", "trimmed"];
  await putAll(queue, ends.map((id) => newJob(id)));
  const held = await consumerOf(queue).reserver.take(ends.length);
  const [acked, dropped, failed, retried, delayed, released, late, trimmed] = held;
  const settlements: Settlement[] = [
    { leased: acked!, kind: "ack", result: "1", keep: { count: 1, ageMs: 60_000 } },
    { leased: dropped!, kind: "ack", result: "1", keep: { count: 0 } },
    { leased: failed!, kind: "fail", reason: "r", stack: [], attempts: 1, keep: {} },
    { leased: retried!, kind: "retry", reason: "r", stack: [], delayMs: 0 },
    { leased: delayed!, kind: "retry", reason: "r", stack: [], delayMs: 50_000 },
    { leased: released!, kind: "release", delayMs: 0 },
    { leased: late!, kind: "release", delayMs: 50_000, unknown: true },
    { leased: trimmed!, kind: "ack", result: "1", keep: { count: 1 } },
  ];
  const waiting = [newJob("plain"), newJob("high", { priority: 3 }), newJob("due", { delayMs: 50_000 }), newJob("due-high", { delayMs: 50_000, priority: 2 })];
  await putAll(queue, waiting);
  for (const id of ["due", "due-high"]) await queue.client.zadd(queue.keys.delayed, "XX", 4096, id);
  await queue.client.hset(queue.keys.meta, { concurrency: 50, max: 100, duration: 60_000 });
  return { queue, settlements, ids: [...ends, ...waiting.map(({ id }) => id)] };
}

const request = { most: 10, token: "t", leaseMs: 10_000, worker: "w", unanswered: [] };

test("an error of any read that comes before the first write leaves everything as it was", async () => {
  const probe = await scene();
  const { queue: counting, calls } = failingAt(probe.queue, 0);
  await takeTurn(counting, probe.settlements, false, request);
  const commands = await calls();
  const firstWrite = commands.findIndex((command) => !READS.has(command));
  // Every lease has been read by then.
  expect(commands.indexOf("MGET")).toBeLessThan(firstWrite);
  for (let n = 1; n <= firstWrite; n += 1) {
    const { queue, settlements } = await scene();
    const before = await dump(queue);
    const failing = failingAt(queue, n);
    await expect(takeTurn(failing.queue, settlements, false, request)).rejects.toThrow(/injected/);
    await failing.calls();
    expect(await dump(queue)).toEqual(before);
  }
});

/**
 * Redis does not undo what a script wrote before it failed. So a job is written to its new place before it leaves the old
 * one: at worst it is in two, and is taken off `active` when its lease has run out.
 */
test("an error of any call at all leaves no job without a place", async () => {
  const probe = await scene();
  const counted = failingAt(probe.queue, 0);
  await takeTurn(counted.queue, probe.settlements, false, request);
  const commands = await counted.calls();
  expect(commands.length).toBeGreaterThan(50);
  for (let n = 1; n <= commands.length; n += 1) {
    const { queue, settlements, ids } = await scene();
    const failing = failingAt(queue, n);
    await expect(takeTurn(failing.queue, settlements, false, request)).rejects.toThrow(/injected/);
    await failing.calls();
    const places = await Promise.all(ids.map((id) => placesOf(queue, id)));
    const nowhere = ids.filter((id, i) => places[i]!.length === 0 && id !== "dropped" && id !== "acked" && id !== "trimmed");
    expect(nowhere, `at call ${n}, ${commands[n - 1]}`).toEqual([]);
  }
}, 120_000);

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
