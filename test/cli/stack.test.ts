import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { stackLines, throwPlace, waitPlace } from "../../src/cli/stack.ts";

const here = new URL("../../src/pool/executor.ts", import.meta.url);
const RUNNERS = [
  "    at readFileSync (node:fs:441:20)",
  `    at runTask (${fileURLToPath(here)}:80:5)`,
  `    at async ${here.href}:81:5`,
  "    at deliver (file:///app/node_modules/millrace/dist/src/pool/consumer.js:3:1)",
  "    at Worker.callProcessJob (/app/node_modules/.pnpm/bullmq@6.7.0/node_modules/bullmq/dist/cjs/classes/worker.js:1:2)",
  "    at process.processTicksAndRejections (node:internal/process/task_queues:105:5)",
];
const OWN = [
  "    at request (/app/node_modules/undici/lib/api.js:7:7)",
  "    at Object.handle (file:///app/workers/mail.ts:12:9)",
  "    at digest (/app/node_modules/millrace/dist/workers/digest.js:4:4)",
  "    at mill (/app/millrace/src/pool/mine.ts:1:1)",
];

test("the program's own frames stand, those of what ran it are counted", () => {
  const [first = "", ...rest] = RUNNERS;
  expect(stackLines(["Error: no template", "for ada\u001b[2J", first, ...OWN, ...rest].join("\n"))).toEqual([
    "Error: no template",
    "for ada?[2J",
    ...OWN.map((line) => line.slice(2)),
    "  (and 6 frames of Node, Millrace or BullMQ: --json has all)",
  ]);
  expect(stackLines(["Error: x", ...OWN].join("\n"))).toEqual(["Error: x", ...OWN.map((line) => line.slice(2))]);
});

test("what JavaScript itself calls goes with whoever called that", () => {
  const [map, promise] = ["    at Array.map (<anonymous>)", "    at new Promise (<anonymous>)"];
  expect(stackLines(["Error: x", map, OWN[1], promise, RUNNERS[1]].join("\n"))).toEqual(["Error: x", map!.slice(2), OWN[1]!.slice(2), "  (and 2 frames of Node, Millrace or BullMQ: --json has all)"]);
});

test("where there are no others they stand all; what is no stack stands as it is", () => {
  expect(stackLines(["Error: x", ...RUNNERS].join("\n"))).toEqual(["Error: x", ...RUNNERS.map((line) => line.slice(2))]);
  expect(stackLines("just this\nand that")).toEqual(["just this", "and that"]);
  expect(stackLines("")).toEqual([]);
});

test("the place is the innermost frame of no library, else of one that is no runner, else the first", () => {
  expect(throwPlace([...RUNNERS, ...OWN].join("\n"))).toBe("at Object.handle (/app/workers/mail.ts:12:9)");
  expect(throwPlace([...RUNNERS, OWN[0]].join("\n"))).toBe(OWN[0]!.trim());
  expect(throwPlace(RUNNERS.join("\n"))).toBe(RUNNERS[0]!.trim());
  expect(throwPlace(`Error: x\n    at f (${process.cwd()}/workers/a.ts:1:1)`)).toBe("at f (workers/a.ts:1:1)");
  expect(throwPlace(undefined)).toBeUndefined();
});

test("it knows the stack of an error that is thrown here", () => {
  expect(stackLines(new Error("here").stack!)[1]).toContain("stack.test.ts");
  expect(throwPlace(new Error("here").stack)).toContain("stack.test.ts");
});

test("a task waits at a place of its program, where there is one", () => {
  const frames = (lines: readonly string[]): string[] => lines.map((line) => line.replace("    at ", ""));
  expect(waitPlace(frames([...RUNNERS, ...OWN]))).toBe("waits at Object.handle (/app/workers/mail.ts:12:9)");
  expect(waitPlace(frames(RUNNERS))).toBe("waits at readFileSync (node:fs:441:20)");
  expect([waitPlace([]), waitPlace(null)]).toEqual([undefined, undefined]);
});
