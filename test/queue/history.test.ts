import { expect, test } from "vitest";
import { defineHandler, defineJob, typed } from "../../src/index.ts";
import { readHistory } from "../../src/queue/history.ts";
import { recordHistory } from "../../src/store/history.ts";
import { historyBeganKey, historyKey } from "../../src/store/keys.ts";
import type { StoredQueue } from "../../src/store/stored-queue.ts";
import { testApp } from "../support/app.ts";
import { bucketOf } from "../../src/telemetry/histogram.ts";
import { freshPrefix } from "../support/redis.ts";
import { openQueue } from "../store/opened-queue.ts";

test("tells rates and percentiles of all steps together", async () => {
  const queue = await openQueue();
  const now = queue.connections.clock.now();
  const at = (agoMs: number): string => historyKey(queue.keys, 10_000, Math.floor((now - agoMs) / 10_000) * 10_000);
  await queue.client.hset(at(50_000), { put: 10, started: 10, completed: 10, backlog: 4, [`w${bucketOf(100)}`]: 90, [`r${bucketOf(0.8)}`]: 100 });
  await queue.client.hset(at(40_000), { started: 20, completed: 18, retried: 2, backlog: 14, [`w${bucketOf(1600)}`]: 10 });
  await queue.client.hset(at(20_000), { started: 40, completed: 40, backlog: 24 });
  const { counts, perSecond, wait, run, from, to, steps, arrivalsPerSecond } = await readHistory(queue, 60_000);
  expect(counts).toEqual({ put: 10, started: 70, completed: 68, failed: 0, retried: 2, cancelled: 0, released: 0 });
  expect(perSecond.completed).toBeCloseTo(68 / ((to - from) / 1000));
  expect(wait!.p50).toBeGreaterThan(88);
  expect(wait!.p50).toBeLessThan(112);
  expect(wait!.p99).toBeGreaterThan(1408);
  expect(run!.p99).toBeLessThan(1);
  expect(steps.map(({ backlog }) => backlog)).toEqual([4, 14, 24]);
  // 60 ended and 20 more wait than at the end of the first step.
  expect(arrivalsPerSecond! * ((to - steps[0]!.at - 10_000) / 1000)).toBeCloseTo(80);
});

test("of a queue younger than the time asked for it tells since it began, over all of its partitions, and of no less than a step", async () => {
  const queues = [await openQueue(), await openQueue(), await openQueue()];
  const [one, other] = queues as [StoredQueue, StoredQueue];
  const now = one.connections.clock.now();
  await recordHistory(one, [["put", 60], ["completed", 30]]);
  await other.client.set(historyBeganKey(other.keys), now - 120_000);
  for (const sinceMs of [3_600_000, 7 * 86_400_000]) {
    const { from, to, perSecond } = await readHistory(queues, sinceMs);
    expect(from).toBe(now - 120_000);
    expect(perSecond.put).toBeCloseTo(60_000 / (to - from), 9);
    expect(perSecond.completed).toBeCloseTo(30_000 / (to - from), 9);
  }
  // Longer ago than asked, and just now.
  const { from, to, perSecond } = await readHistory(queues, 60_000);
  expect(to - from).toBeGreaterThanOrEqual(60_000);
  expect(perSecond.put).toBeCloseTo(60_000 / (to - from));
  expect((await readHistory(one, 60_000)).perSecond.put).toBeLessThanOrEqual(6);
});

test("of a queue that nobody ever used it tells nothing", async () => {
  const history = await readHistory(await openQueue(), 60_000);
  expect(history).toMatchObject({ counts: { put: 0, completed: 0 }, wait: undefined, run: undefined, arrivalsPerSecond: undefined, steps: [] });
});

test("what producers and pools of several processes did is in it once they have closed", async () => {
  const prefix = freshPrefix();
  const job = defineJob("work", { payload: typed<{ ms: number }>(), backoff: { type: "fixed", base: 0 } });
  const [producer, one, other] = [testApp({ prefix }), testApp({ prefix }), testApp({ prefix })];
  const handler = defineHandler(job, { handle: async ({ ms }, task) => {
    if (ms === 0 && task.attempt === 1) throw new Error("once");
    await new Promise((resolve) => setTimeout(resolve, ms));
  } });
  for (const app of [one, other]) app.pool([handler], { concurrency: 2 });
  await producer.queue(job).putMany([50, 50, 50, 50, 0].map((ms) => ({ ms })));
  await producer.put(job, { ms: 50 });
  await producer.queue(job).join();
  for (const app of [producer, one, other]) await app[Symbol.asyncDispose]();
  const { counts, run, wait } = await readHistory(await openQueue({ prefix }), 60_000);
  expect(counts).toEqual({ put: 6, started: 7, completed: 6, failed: 0, retried: 1, cancelled: 0, released: 0 });
  expect(run!.p50).toBeGreaterThan(44);
  expect(run!.p50).toBeLessThan(1000);
  expect(wait!.p99).toBeLessThan(20_000);
});
