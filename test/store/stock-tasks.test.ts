import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { stockTasks } from "../../src/store/stock-tasks.ts";
import type { StoredQueue } from "../../src/store/stored-queue.ts";
import { newTokenBase } from "../../src/store/token.ts";
import { stockWorker } from "../interop/stock.ts";
import { until } from "../support/app.ts";
import { consumerOf, newJob, openQueue, putAll } from "./opened-queue.ts";

/** As they stand when stock workers have taken them, in this order. */
async function held(queue: StoredQueue, ids: readonly string[], token = `${randomUUID()}:0`): Promise<void> {
  const pipeline = queue.client.pipeline();
  for (const id of ids) pipeline.hset(queue.keys.base + id, "name", "n", "processedOn", "5").set(`${queue.keys.base}${id}:lock`, token, "PX", 60_000).lpush(queue.keys.active, id);
  await pipeline.exec();
}
const ids = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, n) => `job-${from + n}`);

test("tells what a stock worker runs, and nothing that we have taken beside it", async () => {
  const queue = await openQueue();
  const started: string[] = [];
  const worker = await stockWorker(queue.prefix, async (job) => {
    await job.updateProgress({ page: 3 });
    started.push(job.id!);
    return new Promise(() => undefined);
  }, { name: "press" });
  await putAll(queue, [newJob("theirs", { name: "print" })]);
  await until(() => started.length === 1);
  await worker.pause(true);
  await putAll(queue, [newJob("ours")]);
  expect(await consumerOf(queue).reserver.take(1)).toMatchObject([{ job: { id: "ours" } }]);
  expect(await stockTasks(queue, 100)).toEqual({ tasks: [{ id: "theirs", name: "print", attempt: 1, startedAt: expect.closeTo(Date.now(), -5) as number, progress: '{"page":3}', worker: "press" }], more: 0 });
});

test("tells those that were taken first, and how many more there are; beyond a thousand that are active nothing is read", async () => {
  const queue = await openQueue();
  await held(queue, ids(0, 3));
  await held(queue, ["ours"], `${newTokenBase()}:7`);
  await held(queue, ids(3, 150));
  const first = await stockTasks(queue, 100);
  expect(first.tasks.map(({ id }) => id)).toEqual(ids(0, 100));
  expect(first.more).toBe(50);
  await held(queue, ids(150, 1200));
  expect((await stockTasks(queue, 2)).more).toBe(997 + 201);
});

test("what has no live lock, or is no more there, is nobody's; what is stored amiss is told all the same", async () => {
  const queue = await openQueue();
  await held(queue, ["stalled", "removed", "odd"]);
  await queue.client.del(`${queue.keys.base}stalled:lock`, `${queue.keys.base}removed`);
  await queue.client.hset(`${queue.keys.base}odd`, { processedOn: "soon", atm: "many", progress: "é".repeat(100_000) });
  const { tasks } = await stockTasks(queue, 100);
  expect(tasks).toMatchObject([{ id: "odd", attempt: 1, startedAt: 0, worker: undefined }]);
  expect(tasks[0]!.progress!.length).toBeLessThan(2000);
});
