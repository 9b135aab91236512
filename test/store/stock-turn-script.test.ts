import { expect, test } from "vitest";
import type { ForeignClient } from "../../src/redis/foreign-script.ts";
import { takeStockTurn, type Fetch, type Finish, type Limits, type TurnAnswer } from "../../src/store/stock-turn-script.ts";
import type { StoredQueue } from "../../src/store/stored-queue.ts";
import { dump, failingAt, READS } from "./failing-script.ts";
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

/** A queue in which one turn does everything: finishes in every way, promotes, takes plain and prioritized jobs, counts against a limit. */
async function scene(): Promise<{ queue: StoredQueue; rows: (Finish | Fetch)[]; ids: string[] }> {
  const queue = await openQueue();
  const ends = ["kept", "dropped", "failed-one", "oldest", "between"];
  await putAll(queue, ends.map((id) => newJob(id)));
  await turn(queue, ends.map((id) => fetch(`token ${id}`)));
  const rows = [
    finish("kept", { keepCount: 1, keepAgeMs: 60_000, fetchNext: true }),
    finish("dropped", { keepCount: 0, fetchNext: true }),
    finish("failed-one", { target: "failed", value: "r", attempts: 1, fields: ["failedReason", "r", "stacktrace", "[]"], fetchNext: true }),
    finish("between", { keepCount: 1 }),
    fetch("x"),
    fetch("y"),
  ];
  const waiting = [newJob("plain"), newJob("high", { priority: 3 }), newJob("due", { delayMs: 50_000 }), newJob("due-high", { delayMs: 50_000, priority: 2 })];
  await putAll(queue, waiting);
  for (const id of ["due", "due-high"]) await queue.client.zadd(queue.keys.delayed, "XX", 4096, id);
  await queue.client.hset(queue.keys.meta, { concurrency: 50 });
  return { queue, rows, ids: [...ends, ...waiting.map(({ id }) => id)] };
}

test.each([
  ["without a limit", undefined],
  ["under a limit, with metrics", { max: 100, duration: 60_000 }],
])("an error of any call at all leaves no job without a place, and one of a read leaves everything as it was (%s)", async (_how, limiter) => {
  const under = { ...limits, limiter, metricsMost: limiter === undefined ? 0 : 5 };
  const probe = await scene();
  const counted = failingAt(probe.queue, 0);
  const answers = await turn(counted.queue, probe.rows, under);
  expect(answers.map(nameOf)).toEqual(["plain", "due", "due-high", 0, "high", 0]);
  const commands = await counted.calls();
  const firstWrite = commands.findIndex((command) => !READS.has(command));
  expect(commands.length).toBeGreaterThan(50);
  for (let n = 1; n <= commands.length; n += 1) {
    const { queue, rows, ids } = await scene();
    const before = await dump(queue);
    const failing = failingAt(queue, n);
    await expect(turn(failing.queue, rows, under)).rejects.toThrow(/injected/);
    await failing.calls();
    if (n <= firstWrite) expect(await dump(queue)).toEqual(before);
    const places = await Promise.all(ids.map((id) => placesOf(queue, id)));
    const nowhere = ids.filter((id, i) => places[i]!.length === 0 && !["dropped", "kept", "between"].includes(id));
    expect(nowhere, `at call ${n}, ${commands[n - 1]}`).toEqual([]);
  }
}, 120_000);
