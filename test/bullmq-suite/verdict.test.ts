import { expect, test } from "vitest";
import { lostTests, merged, readRun, table } from "./verdict.ts";

const report = (statuses: Readonly<Record<string, string>>) => ({
  testResults: [{ name: "/tmp/x/tests/queue.test.ts", assertionResults: Object.entries(statuses).map(([fullName, status]) => ({ fullName, status })) }],
});
const stock = readRun(report({ a: "passed", b: "passed", c: "failed", d: "pending" }), "/tmp/x");

test("a test that stock passes and the drop-in does not is lost, whether it fails or is not there; one that stock fails is not", () => {
  expect(lostTests(stock, readRun(report({ a: "passed", b: "failed", c: "failed" }), "/tmp/x"))).toEqual([{ file: "tests/queue.test.ts", test: "b" }]);
  expect(lostTests(stock, new Map()).map(({ test }) => test)).toEqual(["a", "b"]);
  expect(lostTests(stock, stock)).toEqual([]);
});

test("what passes at a second try has passed", () => {
  const ours = readRun(report({ a: "passed", b: "failed", c: "failed" }), "/tmp/x");
  expect(lostTests(stock, merged(ours, readRun(report({ a: "failed", b: "passed" }), "/tmp/x")))).toEqual([]);
  expect(merged(ours, new Map())).toEqual(ours);
});

test("tests of one name are told apart", () => {
  const [twice] = report({ a: "passed" }).testResults;
  const run = readRun({ testResults: [{ ...twice!, assertionResults: [...twice!.assertionResults, { fullName: "a", status: "failed" }] }] }, "/tmp/x");
  expect([...run.get("tests/queue.test.ts")!.passed, ...run.get("tests/queue.test.ts")!.failed]).toEqual(["a", "a (2)"]);
});

test("shows passes side by side, what went in batches, and the sums", () => {
  const counts = new Map([["tests/queue.test.ts", { batches: 2, added: 5, finished: 4, fetched: 3, fallbacks: 1 }]]);
  const [, , first, all] = table(stock, readRun(report({ a: "passed" }), "/tmp/x"), counts).split("\n");
  expect(first).toBe("| tests/queue.test.ts | 2 | 1 | 2 | 12 | 1 |");
  expect(all).toBe("| **all** | 2 | 1 | 2 | 12 | 1 |");
});
