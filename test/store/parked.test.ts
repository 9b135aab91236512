import { expect, test } from "vitest";
import { beginMove, endMove, giveBack, leave, park, parkedJobs, parkedKey, standingMove } from "../../src/store/parked.ts";
import type { StoredQueue } from "../../src/store/stored-queue.ts";
import { newJob, openQueue, putAll, waitingIds } from "./opened-queue.ts";

const MOST = { jobs: 2, bytes: 1e6 };

async function queueOf(...ids: string[]): Promise<StoredQueue> {
  const queue = await openQueue();
  await putAll(queue, ids.map((id) => newJob(id)));
  await beginMove(queue, { id: "m", to: "there" });
  return queue;
}

test("a batch is what runs next, in order; the same call again gives it again, whatever its state, until it has left", async () => {
  const queue = await queueOf("a", "b", "c");
  const batch = await park(queue, "m", "waiting", 0, MOST);
  expect(batch).toEqual({ number: 1, places: [{ id: "a", state: "waiting", score: 0 }, { id: "b", state: "waiting", score: 0 }], passed: 0 });
  expect(await park(queue, "m", "delayed", 7, MOST)).toEqual(batch);
  expect(await parkedJobs(queue)).toEqual(["a", "b"]);
  expect(await waitingIds(queue)).toEqual(["c"]);
  expect(await leave(queue, "m", 2, [])).toBe(0);
  expect(await leave(queue, "m", 1, [])).toBe(2);
  expect(await leave(queue, "m", 1, [])).toBe(0);
  expect(await park(queue, "m", "waiting", 0, MOST)).toMatchObject({ number: 2, places: [{ id: "c" }] });
  expect(await queue.client.exists(`${queue.keys.base}a`, `${queue.keys.base}b`)).toBe(0);
});

test("what goes back stands where it stood, in order, and is passed where that is asked for", async () => {
  const queue = await queueOf("a", "b", "c");
  await putAll(queue, [newJob("d", { delayMs: 60_000 })]);
  const due = await queue.client.zscore(queue.keys.delayed, "d");
  const { number } = await park(queue, "m", "waiting", 0, { jobs: 10, bytes: 1e6 });
  expect(await leave(queue, "m", number, ["a", "b", "c"])).toBe(0);
  expect(await waitingIds(queue)).toEqual(["a", "b", "c"]);
  expect(await park(queue, "m", "waiting", 2, MOST)).toMatchObject({ places: [{ id: "c" }] });
  await leave(queue, "m", 2, []);
  await leave(queue, "m", (await park(queue, "m", "delayed", 0, MOST)).number, ["d"]);
  expect(await queue.client.zscore(queue.keys.delayed, "d")).toBe(due);
});

test("a batch ends where it has enough bytes, and has one job at least", async () => {
  const queue = await openQueue();
  await putAll(queue, ["a", "b", "c"].map((id) => newJob(id, { data: JSON.stringify("x".repeat(1000)) })));
  await beginMove(queue, { id: "m", to: "there" });
  expect((await park(queue, "m", "waiting", 0, { jobs: 10, bytes: 2500 })).places.map(({ id }) => id)).toEqual(["a", "b"]);
  await leave(queue, "m", 1, []);
  expect((await park(queue, "m", "waiting", 0, { jobs: 10, bytes: 1 })).places.map(({ id }) => id)).toEqual(["c"]);
});

test("a move stands until it ends, and does not end while anything is parked", async () => {
  const queue = await openQueue();
  await putAll(queue, [newJob("a")]);
  expect(await standingMove(queue)).toBeUndefined();
  expect(await beginMove(queue, { id: "one", to: "there" })).toEqual({ id: "one", to: "there" });
  expect(await beginMove(queue, { id: "two", to: "elsewhere" })).toEqual({ id: "one", to: "there" });
  await park(queue, "one", "waiting", 0, MOST);
  await endMove(queue);
  expect(await standingMove(queue)).toEqual({ id: "one", to: "there" });
  await leave(queue, "one", 1, []);
  await endMove(queue);
  expect(await queue.client.exists(parkedKey(queue))).toBe(0);
});

test("what is given back stands where it stood, and can be taken; the move stands no more", async () => {
  const queue = await queueOf("a", "b", "c");
  await putAll(queue, [newJob("d", { delayMs: 60_000 }), newJob("e", { priority: 3 })]);
  const before = await Promise.all([waitingIds(queue), queue.client.zrange(queue.keys.delayed, "0", "-1", "WITHSCORES"), queue.client.zrange(queue.keys.prioritized, "0", "-1", "WITHSCORES")]);
  for (const state of ["waiting", "delayed", "prioritized"] as const) {
    await beginMove(queue, { id: "m", to: "there" });
    const { places } = await park(queue, "m", state, 0, MOST);
    await queue.client.del(queue.keys.marker);
    expect(await giveBack(queue, "another")).toBe(0);
    expect(await giveBack(queue, "m")).toBe(places.length);
    expect(await queue.client.zrange(queue.keys.marker, "0", "-1")).toEqual(["0"]);
    expect(await queue.client.exists(parkedKey(queue))).toBe(0);
  }
  expect(await Promise.all([waitingIds(queue), queue.client.zrange(queue.keys.delayed, "0", "-1", "WITHSCORES"), queue.client.zrange(queue.keys.prioritized, "0", "-1", "WITHSCORES")])).toEqual(before);
  await beginMove(queue, { id: "m", to: "there" });
  expect(await giveBack(queue, "m")).toBe(0);
  expect(await standingMove(queue)).toBeUndefined();
});

test("who goes on with a move that stands no more parks nothing, and removes nothing of the next one", async () => {
  const queue = await queueOf("a", "b", "c");
  await park(queue, "m", "waiting", 0, MOST);
  await giveBack(queue, "m");
  await expect(park(queue, "m", "waiting", 0, MOST)).rejects.toMatchObject({ code: "STATE_INVALID" });
  await beginMove(queue, { id: "next", to: "elsewhere" });
  await expect(park(queue, "m", "waiting", 0, MOST)).rejects.toMatchObject({ code: "STATE_INVALID" });
  expect((await park(queue, "next", "waiting", 0, MOST)).number).toBe(1);
  expect(await leave(queue, "m", 1, [])).toBe(0);
  expect(await parkedJobs(queue)).toEqual(["a", "b"]);
});
