import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { isWithinNode, placeOf, programFrames } from "../../src/concurrency/stack-frames.ts";

const toolkit = new URL("../../src/concurrency/task.ts", import.meta.url).href;
const stack = `Error: stuck
    at <anonymous>:1:36
    at drive (${toolkit}:98:12)
    at other (${fileURLToPath(toolkit)}:98:12)
    at Array.map (<anonymous>)
    at parse (node:internal/url:805:3)
    at read (/app/node_modules/csv/index.js:10:3)
    at async Handler.handle (file:///app/my%20workers/digest.ts:23:9)
    at /app/main.ts:5:1
    at async file:///app/main.ts:6:2
    at process.processTimers (node:internal/timers:604:5)`;

test("the frames of a stack are those of the program, innermost first, with paths that a terminal can open", () => {
  expect(programFrames(stack)).toEqual(["read (/app/node_modules/csv/index.js:10:3)", "Handler.handle (/app/my workers/digest.ts:23:9)", "/app/main.ts:5:1", "/app/main.ts:6:2"]);
  expect(programFrames("")).toEqual([]);
});

test("the place is the innermost that is in no package, else the innermost", () => {
  expect(placeOf(programFrames(stack))).toBe("Handler.handle (/app/my workers/digest.ts:23:9)");
  expect(placeOf(["a (/app/node_modules/a.js:1:1)", "b (/app/node_modules/b.js:1:1)"])).toBe("a (/app/node_modules/a.js:1:1)");
  expect(placeOf([])).toBe(undefined);
});

test("tells whether the program has called Node", () => {
  expect(isWithinNode(stack)).toBe(true);
  expect(isWithinNode(stack.replace(/ +at parse .*\n/, ""))).toBe(false);
  expect(isWithinNode("Error\n    at process.processTimers (node:internal/timers:604:5)")).toBe(false);
});

test("reads the stacks that this runtime writes", () => {
  const [innermost = ""] = programFrames(new Error("here").stack ?? "");
  expect(innermost).toMatch(/^(\S+ \()?\/.*\/test\/concurrency\/stack-frames\.test\.ts:\d+:\d+\)?$/);
});
