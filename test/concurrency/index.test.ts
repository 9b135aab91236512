/** Holds that the toolkit is usable on its own. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as toolkit from "../../src/concurrency/index.ts";

const folder = new URL("../../src/concurrency/", import.meta.url);

test("every error that the toolkit makes can be imported from it", () => {
  const sources = readdirSync(folder).map((name) => readFileSync(new URL(name, folder), "utf8"));
  const made = sources.flatMap((source) => [...source.matchAll(/\bnew (\w+Error)\(/g)].map(([, name]) => name as string));
  const errors = new Set(made.filter((name) => !(name in globalThis)));
  expect(errors.size).toBeGreaterThan(5);
  expect([...errors].filter((name) => !(name in toolkit))).toEqual([]);
});

test("what asyncio's users look for is there, under its name", () => {
  const names = ["allTasks", "asCompleted", "Barrier", "BoundedSemaphore", "CancelledError", "Condition", "currentTask", "Event", "gather", "LifoQueue"];
  const more = ["Lock", "offload", "PriorityQueue", "Queue", "run", "Semaphore", "shield", "sleep", "spawn", "taskGroup", "timeout", "timeoutAt", "TimeoutError"];
  expect(Object.keys(toolkit)).toEqual(expect.arrayContaining([...names, ...more, "wait", "waitFor"]));
});
