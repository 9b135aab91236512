import { expect, test } from "vitest";
import { HISTORY_MS, readHistorySteps, recordHistory } from "../../src/store/history.ts";
import { historyBeganKey, historyKey } from "../../src/store/keys.ts";
import { consumerOf, newJob, openQueue, putAll } from "./opened-queue.ts";

const HOUR_MS = 3_600_000;

test("what several write down within a step is added up, and its backlog is what waited last", async () => {
  const queue = await openQueue();
  await putAll(queue, [newJob("a"), newJob("b", { priority: 1 }), newJob("later", { delayMs: 60_000 })]);
  await consumerOf(queue).reserver.take(1);
  await Promise.all([recordHistory(queue, [["put", 3], ["w4", 1]]), recordHistory(queue, [["put", 2]])]);
  for (const sinceMs of [HOUR_MS, HISTORY_MS]) {
    const { steps, stepMs, from, to } = await readHistorySteps(queue, sinceMs);
    const sum = (field: string): number => steps.reduce((total, { fields }) => total + (fields.get(field) ?? 0), 0);
    expect([sum("put"), sum("w4")]).toEqual([5, 1]);
    expect(steps.at(-1)).toMatchObject({ backlog: 2 });
    expect(steps.at(-1)!.at % stepMs).toBe(0);
    expect(from % stepMs).toBe(0);
    expect(to - from).toBeLessThan(sinceMs + stepMs + 1000);
  }
});

test("a step is kept for an hour if it is fine, for seven days if it is coarse, and no longer", async () => {
  const queue = await openQueue();
  await recordHistory(queue, [["put", 1]]);
  const keys = await queue.client.keys(`${queue.keys.base}millrace:history:*:*`);
  const lives = await Promise.all(keys.toSorted().map(async (key) => [key.split(":").at(-2), await queue.client.pttl(key)] as const));
  expect(lives.map(([step]) => step)).toEqual(["10000", "300000"]);
  for (const [i, keptMs] of [HOUR_MS, HISTORY_MS].entries()) {
    expect(lives[i]![1]).toBeGreaterThan(keptMs);
    expect(lives[i]![1]).toBeLessThan(keptMs * 1.01 + 600_000);
  }
});

test("when it began stands as long as there is any of it", async () => {
  const queue = await openQueue();
  expect((await readHistorySteps(queue, HOUR_MS)).beganAt).toBeUndefined();
  await recordHistory(queue, [["put", 1]]);
  const { beganAt, steps } = await readHistorySteps(queue, HOUR_MS);
  expect(beganAt).toBe(steps[0]!.at);
  await queue.client.set(historyBeganKey(queue.keys), 5, "PX", 1000);
  await recordHistory(queue, [["put", 1]]);
  expect((await readHistorySteps(queue, HOUR_MS)).beganAt).toBe(5);
  expect(await queue.client.pttl(historyBeganKey(queue.keys))).toBeGreaterThan(HISTORY_MS);
});

test("an hour is read in fine steps, oldest first, what is longer in coarse ones; what is older than asked is left out", async () => {
  const queue = await openQueue();
  const now = queue.connections.clock.now();
  const write = (stepMs: number, agoMs: number, put: number) => {
    const at = now - agoMs;
    return queue.client.hset(historyKey(queue.keys, stepMs, at - (at % stepMs)), "put", put);
  };
  for (const [agoMs, put] of [[59 * 60_000, 1], [30 * 60_000, 2], [20_000, 3]] as const) await write(10_000, agoMs, put);
  for (const [agoMs, put] of [[6 * 86_400_000, 10], [3 * HOUR_MS, 20]] as const) await write(300_000, agoMs, put);
  const put = async (sinceMs: number) => (await readHistorySteps(queue, sinceMs)).steps.map(({ fields }) => fields.get("put"));
  expect(await put(HOUR_MS)).toEqual([1, 2, 3]);
  expect(await put(60_000)).toEqual([3]);
  expect(await put(7 * 86_400_000)).toEqual([10, 20]);
  expect(await put(4 * HOUR_MS)).toEqual([20]);
  expect(await put(1)).toEqual([]);
});

test("nothing is written of an empty queue in which nothing happened", async () => {
  const queue = await openQueue();
  await recordHistory(queue, []);
  expect(await queue.client.keys(`${queue.keys.base}*`)).toEqual([]);
  await putAll(queue, [newJob("a")]);
  await recordHistory(queue, []);
  expect((await readHistorySteps(queue, HOUR_MS)).steps).toMatchObject([{ backlog: 1 }]);
});

test("a step of very mixed work stays in Redis's compact form, of about a kilobyte", async () => {
  const queue = await openQueue();
  // Waits and runs over a thousandfold each, as of a queue with very mixed work.
  const fields = [["put", 4000], ["started", 4000], ["completed", 3900], ["failed", 20], ["retried", 80], ...[...range(20, 64)].map((i) => [`w${i}`, 90]), ...[...range(8, 48)].map((i) => [`r${i}`, 97])] as [string, number][];
  await recordHistory(queue, fields);
  const [fine] = await queue.client.keys(`${queue.keys.base}millrace:history:10000:*`);
  const bytes = (await queue.client.memory("USAGE", fine!))!;
  expect(fields.length).toBeGreaterThan(85);
  // Redis 6 calls it the latter.
  expect(["listpack", "ziplist"]).toContain(await queue.client.object("ENCODING", fine!));
  expect(bytes).toBeLessThan(1500);
});

function* range(from: number, to: number): Generator<number> {
  for (let n = from; n < to; n += 1) yield n;
}
