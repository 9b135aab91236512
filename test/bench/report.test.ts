import { expect, test } from "vitest";
import type { Measure, Reading, Side } from "./measure.ts";
import { measuresOf } from "./measures.ts";
import { rowsOf, table } from "./report.ts";

const [measure] = measuresOf("consume-100") as [Measure];
const sideOf = (subject: Side["subject"]): Side => [measure.first, ...measure.others.map(({ side }) => side)].find((side) => side.subject === subject)!;
const rates = (...all: readonly number[]): Reading[] => all.map((jobsPerSecond) => ({ jobsPerSecond, processUs: 10, storeUs: 20 }));

test("a ratio is taken within a round, its median is held against the goal, and costs are shown beside stock alone", () => {
  const readings = new Map([
    [sideOf("millrace"), rates(60, 6, 600)],
    [sideOf("stock"), rates(20, 2, 150)],
    [sideOf("bee-queue"), rates(120, 12, 1200)],
  ]);
  const rows = rowsOf({ measure, readings });
  expect(rows.map(({ quantity, against, goal, met }) => [quantity, against?.label, against?.ratio.median, goal, met])).toEqual([
    ["rate, jobs/s", "BullMQ", 3, "≥ 3", true],
    ["rate, jobs/s", "bee-queue", 0.5, "≥ 1", false],
    ["worker CPU, us/job", "BullMQ", 1, "≤ 0.2", false],
    ["server CPU, us/job", "BullMQ", 1, "≤ 0.4", false],
  ]);
  expect(table(rows).split("\n")[2]).toBe("| consume, 100 slots | rate, jobs/s | Millrace: 60.0 (6.0-600.0) | BullMQ: 20.0 (2.0-150.0) | 3.00 (3.00-4.00) | ≥ 3 | met |");
  expect(table(rows).split("\n")[3]).toMatch(/\| \*\*not met\*\* \|$/);
});

test("a goal for a side's own figure needs no other side", () => {
  const [start] = measuresOf("start") as [Measure];
  const rows = rowsOf({ measure: start, readings: new Map([[start.first, [{ startMs: 450, startCpuMs: 300, residentMb: 100 }]]]) });
  expect(rows.map(({ quantity, goal, met }) => [quantity, goal, met])).toEqual([
    ["to the first job, ms", "≤ 400 ms", false],
    ["CPU to the first job, ms", undefined, undefined],
    ["resident memory, MB", "≤ 130 MB", true],
  ]);
});
