import { expect, onTestFinished, test } from "vitest";
import { placesOf, readRecords, writeRecords, type JobRecord } from "../../src/store/job-records.ts";
import { redisClient, startRedis } from "../support/redis.ts";
import { dump, failingAt } from "./failing-script.ts";
import { consumerOf, newJob, openQueue, putAll, waitingIds } from "./opened-queue.ts";

const record = (id: string, more: Partial<JobRecord> = {}): JobRecord => ({
  id, state: "waiting", score: 0, fields: { name: "n", data: "{}", opts: "{}", timestamp: "1" }, logs: [], deduplicationMs: -1,
  children: { pending: [], processed: {}, failed: {}, unsuccessful: {} }, ...more,
});

test("what was read of a job and written is read again the same, with thousands of log lines and all that a parent keeps", async () => {
  const [one, other] = [await openQueue(), await openQueue()];
  const full = record("parent", {
    state: "waiting-children",
    score: 1_700_000_000_123,
    logs: Array.from({ length: 3000 }, (_, n) => `line ${n}`),
    children: { pending: ["bull:q:a"], processed: { "bull:q:b": "1" }, failed: { "bull:q:c": "no" }, unsuccessful: { "bull:q:d": 3 } },
  });
  const due = record("later", { state: "delayed", score: 1_800_000_000_000 * 0x1000 + 5 });
  await writeRecords(one, [full, due, record("a")]);
  const places = [...(await placesOf(one, "waiting-children", ["parent", "gone"])), ...(await placesOf(one, "delayed", ["later"])), ...(await placesOf(one, "waiting", ["a", "gone"]))];
  const read = await readRecords(one, places);
  expect(read).toEqual([full, due, record("a")]);
  await writeRecords(other, read);
  expect(await readRecords(other, places)).toEqual(read);
});

test("writes those whose id is free, in order, and tells of the others, which are left as they are", async () => {
  const queue = await openQueue();
  await putAll(queue, [newJob("b")]);
  expect(await writeRecords(queue, [record("a"), record("b", { fields: { name: "other" } }), record("c"), record("ran", { state: "active" })])).toEqual(["b"]);
  expect(await waitingIds(queue)).toEqual(["ran", "b", "a", "c"]);
  expect(await queue.client.hget(`${queue.keys.base}b`, "name")).toBe("test");
});

test("wakes whoever waits for jobs, and raises the counters that ids and places come from", async () => {
  const queue = await openQueue();
  const { reserver } = consumerOf(queue);
  const waiting = reserver.wait(new AbortController().signal);
  await writeRecords(queue, [record("41"), record("p", { state: "prioritized", score: 3 * 0x100000000 + 9 })]);
  await waiting;
  expect(await queue.client.mget(`${queue.keys.base}id`, queue.keys.priorityCounter)).toEqual(["41", "9"]);
  await writeRecords(queue, [record("7")]);
  expect(await queue.client.get(`${queue.keys.base}id`)).toBe("41");
});

test("a batch of a move is written once, and its answer is that of the first time; a later one is another", async () => {
  const queue = await openQueue();
  const key = `${queue.keys.base}millrace:moved:m`;
  await putAll(queue, [newJob("b")]);
  expect(await writeRecords(queue, [record("a"), record("b")], { key, number: 1 })).toEqual(["b"]);
  await queue.client.del(`${queue.keys.base}a`, queue.keys.wait);
  expect(await writeRecords(queue, [record("a"), record("b")], { key, number: 1 })).toEqual(["b"]);
  expect(await queue.client.exists(`${queue.keys.base}a`)).toBe(0);
  expect(await writeRecords(queue, [record("a")], { key, number: 2 })).toEqual([]);
  expect(await waitingIds(queue)).toEqual(["a"]);
});

test("broken off between the pages of thousands it has written nothing, and again it writes all of them in order", async () => {
  const rows = [...Array.from({ length: 1500 }, (_, n) => record(`w${n}`)), ...Array.from({ length: 1500 }, (_, n) => record(`a${n}`, { state: "active" }))];
  const whole = failingAt(await openQueue(), 0);
  await writeRecords(whole.queue, rows);
  const calls = await whole.calls();
  const pages = calls.flatMap((command, i) => (command === "LPUSH" || command === "RPUSH" ? [i + 1] : []));
  expect(pages).toHaveLength(4);
  for (const n of [...pages, pages.at(-1)! + 1]) {
    const queue = await openQueue();
    await putAll(queue, [newJob("there")]);
    const before = await dump(queue);
    const failing = failingAt(queue, n);
    await expect(writeRecords(failing.queue, rows)).rejects.toThrow(/injected/);
    await failing.calls();
    expect(Object.keys(await dump(queue))).toEqual(Object.keys(before));
    expect(await waitingIds(queue)).toEqual(["there"]);
    await writeRecords(queue, rows);
    expect(await waitingIds(queue)).toEqual([...rows.slice(1500).toReversed(), { id: "there" }, ...rows.slice(0, 1500)].map(({ id }) => id));
  }
});

test("a full Redis takes nothing of a batch", async () => {
  const { url } = await startRedis();
  const queue = await openQueue({ url });
  const admin = redisClient(url);
  onTestFinished(async () => void (await admin.config("SET", "maxmemory", "0").catch(() => {})));
  await admin.config("SET", "maxmemory", "1");
  await expect(writeRecords(queue, [record("a"), record("b")], { key: `${queue.keys.base}m`, number: 1 })).rejects.toMatchObject({ code: "BACKEND_FULL" });
  expect(await admin.keys("*")).toEqual([]);
});
