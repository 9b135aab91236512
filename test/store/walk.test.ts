import { expect, test } from "vitest";
import { walk, type Walk } from "../../src/store/walk.ts";
import { newJob, openQueue, putAll } from "./opened-queue.ts";

const ids = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `job-${String(from + i).padStart(5, "0")}`);

async function rest(steps: Walk): Promise<string[]> {
  const met: string[] = [];
  for (let page = await steps.next(); page.length > 0; page = await steps.next()) met.push(...page.map(({ id }) => id));
  return met;
}

test("meets every waiting job once, what is next first, while jobs are taken and put", async () => {
  const queue = await openQueue();
  await putAll(queue, ids(0, 3000).map((id) => newJob(id)));
  const steps = walk(queue, "waiting");
  const met = (await steps.next()).map(({ id }) => id);
  await queue.client.ltrim(queue.keys.wait, 0, -1001); // a thousand were taken: all that were met, and more
  await putAll(queue, ids(3000, 3100).map((id) => newJob(id)));
  met.push(...(await steps.next()).map(({ id }) => id));
  await queue.client.ltrim(queue.keys.wait, 0, -101); // and some of those that were met
  met.push(...(await rest(steps)));
  expect(met).toEqual([...ids(0, 500), ...ids(1000, 3100)]);
});

test("finds its place in a list that moved far", async () => {
  const queue = await openQueue();
  await putAll(queue, ids(0, 9000).map((id) => newJob(id)));
  const steps = walk(queue, "waiting");
  const met: string[] = [];
  while (met.length < 6000) met.push(...(await steps.next()).map(({ id }) => id));
  await queue.client.ltrim(queue.keys.wait, 0, -5001);
  expect([...met, ...(await rest(steps))]).toEqual(ids(0, 9000));
});

test("goes on where it should when what it met was taken from the list by whoever walks", async () => {
  const queue = await openQueue();
  await putAll(queue, ids(0, 1800).map((id) => newJob(id)));
  const steps = walk(queue, "waiting");
  const met: string[] = [];
  for (let page = await steps.next(); page.length > 0; page = await steps.next()) {
    met.push(...page.map(({ id }) => id));
    const taken = new Set(page.map(({ id }) => id).filter((id) => met.length <= 500 || Number(id.slice(4)) % 3 === 0));
    for (const id of taken) await queue.client.lrem(queue.keys.wait, -1, id);
    steps.took((id) => taken.has(id));
  }
  expect(met).toEqual(ids(0, 1800));
});

test("meets every job of a sorted set once, of one score too, although the last one met is gone", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  const all = ids(0, 2600);
  await client.zadd(keys.failed, ...all.flatMap((id, i) => [Math.floor(i / 1300), id]));
  const steps = walk(queue, "failed");
  const met = (await steps.next()).map(({ id }) => id);
  await client.zrem(keys.failed, met.at(-1)!, ...met.slice(0, 20));
  met.push(...(await steps.next()).map(({ id }) => id));
  await client.zadd(keys.failed, 5, met.at(-1)!); // it failed again
  expect([...met, ...(await rest(steps))]).toEqual(all.toReversed());
});

test("tells what there is of a job, and of one of which only its id is left", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  await putAll(queue, [newJob("later", { delayMs: 60_000, name: "mail" }), newJob("first", { priority: 7 })]);
  await client.zadd(keys.completed, 1, "ghost");
  const [later] = await walk(queue, "delayed").next();
  expect(later).toMatchObject({ id: "later", name: "mail", state: "delayed", attempts: 0, startedAt: undefined, reason: undefined });
  expect(later!.dueAt! - later!.putAt).toBe(60_000);
  expect(await walk(queue, "prioritized").next()).toMatchObject([{ id: "first", state: "prioritized", priority: 7, dueAt: undefined }]);
  expect(await walk(queue, "completed").next()).toMatchObject([{ id: "ghost", name: "", putAt: 0 }]);
  expect(await walk(queue, "active").next()).toEqual([]);
});

test("meets the jobs of a queue that older BullMQ paused by moving them", async () => {
  const queue = await openQueue();
  await putAll(queue, ids(0, 3).map((id) => newJob(id)));
  await queue.client.rename(queue.keys.wait, queue.keys.paused);
  await putAll(queue, [newJob("new")]);
  expect(await rest(walk(queue, "waiting"))).toEqual(["new", ...ids(0, 3)]);
});
