import { expect, test } from "vitest";
import type { ForeignClient } from "../../src/redis/foreign-script.ts";
import { takeStockTurn, type Fetch, type Finish, type Limits, type TurnAnswer } from "../../src/store/stock-turn-script.ts";
import type { StoredQueue } from "../../src/store/stored-queue.ts";
import { newJob, openQueue, placesOf, putAll } from "./opened-queue.ts";

const limits: Limits = { worker: "stock", lockMs: 30_000, limiter: undefined, metricsMost: 0 };
const turn = ({ client, keys }: StoredQueue, rows: readonly (Finish | Fetch)[], under = limits): Promise<TurnAnswer[]> => takeStockTurn(client as unknown as ForeignClient, keys, under, rows);
const fetch = (token: string): Fetch => ({ target: "active", token, at: Date.now() });
const finish = (id: string, more: Partial<Finish> = {}): Finish => ({
  id, token: `token ${id}`, target: "completed", value: "1", keepCount: -1, keepAgeMs: -1, fetchNext: false, at: Date.now(), attempts: 0, fields: [], ...more,
});
const nameOf = (answer: TurnAnswer | undefined): unknown => (Array.isArray(answer) ? answer[1] : answer);

test("jobs are given out in the order of asking: first to those who have finished one, then to the others", async () => {
  const queue = await openQueue();
  await putAll(queue, ["a", "b", "c", "d"].map((id) => newJob(id)));
  await turn(queue, [fetch("token a"), fetch("token b")]);
  const answers = await turn(queue, [fetch("x"), finish("a", { fetchNext: true }), finish("b"), fetch("y")]);
  expect(answers.map(nameOf)).toEqual(["d", "c", 0, 0]);
  expect(answers[3]).toEqual([0, 0, 0, 0]);
  expect(await Promise.all(["c", "d"].map((id) => queue.client.get(`${queue.keys.base}${id}:lock`)))).toEqual(["token a", "x"]);
});

test("what it leaves asks for nothing", async () => {
  const queue = await openQueue();
  await putAll(queue, ["a", "b"].map((id) => newJob(id)));
  await turn(queue, [fetch("token a")]);
  expect((await turn(queue, [finish("a", { token: "stolen", fetchNext: true }), fetch("y")])).map(nameOf)).toEqual(["left", "b"]);
  expect(await placesOf(queue, "a")).toEqual(["active"]);
});

test("a marker that BullMQ once kept in the list of the waiting is dropped", async () => {
  const queue = await openQueue();
  await putAll(queue, [newJob("a")]);
  await queue.client.rpush(queue.keys.wait, "0:0");
  expect((await turn(queue, [fetch("t"), fetch("u")])).map(nameOf)).toEqual(["a", 0]);
  expect(await queue.client.llen(queue.keys.active)).toBe(1);
});

test("what is due is given out too, after what waits and before what has a priority", async () => {
  const queue = await openQueue();
  await putAll(queue, [newJob("a")]);
  await turn(queue, [fetch("token a")]);
  await putAll(queue, [newJob("plain"), newJob("high", { priority: 3 }), newJob("due", { delayMs: 50_000 }), newJob("due-high", { delayMs: 50_000, priority: 2 })]);
  for (const id of ["due", "due-high"]) await queue.client.zadd(queue.keys.delayed, "XX", 4096, id);
  expect((await turn(queue, [finish("a", { fetchNext: true }), ...["v", "w", "x", "y"].map(fetch)])).map(nameOf)).toEqual(["plain", "due", "due-high", "high", 0]);
});
