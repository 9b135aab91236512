import { expect, test } from "vitest";
import { bounded, boundedTasks, cut, MOST_QUEUES, MOST_TASKS } from "../../src/control/pool-entry.ts";
import { entryOf, taskOf } from "./control.ts";

const long = "x".repeat(1_000_000);

test("an entry is small, however long what it tells of is", () => {
  const job = { id: long, name: long, queue: "work" };
  const entry = entryOf("a", { name: long, host: long, queues: Array(10_000).fill("q".repeat(200)) as string[], lastError: { at: 1, message: long, job } });
  const told = bounded(entry);
  expect(JSON.stringify(told).length).toBeLessThan(MOST_QUEUES * 210 + 2000);
  expect(told).toMatchObject({ id: "a", slots: 10, lastError: { at: 1, message: expect.stringMatching(/^x+…$/) as string } });
});

test("what is short stays as it is", () => {
  const entry = entryOf("a", { lastError: { at: 1, message: "no", job: { id: "1", name: "j", queue: "q" } } });
  expect(bounded(entry)).toEqual(entry);
  expect(boundedTasks([taskOf("1", { progress: "50", interruption: "cancelled" })])).toEqual([taskOf("1", { progress: "50", interruption: "cancelled" })]);
  expect(cut("abc", 3)).toBe("abc");
  expect(cut("abcd", 3)).toBe("ab…");
});

test("of too many tasks the oldest are told, first", () => {
  const tasks = Array.from({ length: 1000 }, (_, n) => taskOf(String(n), { startedAt: 5000 - n, progress: long, interruption: long }));
  const told = boundedTasks(tasks);
  expect(told.map(({ id }) => id)).toEqual(Array.from({ length: MOST_TASKS }, (_, n) => String(999 - n)));
  expect(JSON.stringify(told).length).toBeLessThan(MOST_TASKS * 1000);
});
