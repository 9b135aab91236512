import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { type MeasureName, measures, open, subjects } from "./primitives.ts";

test("prints a rate for every library that has the thing, and a ratio", { timeout: 120_000 }, () => {
  const args = ["--conditions=millrace-source", new URL("main.ts", import.meta.url).pathname, "concurrency", "--quick"];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  const rows = stdout.split("\n").filter((line) => line.startsWith("| ")).slice(2).map((line) => line.split(" | "));
  expect(rows.map(([name]) => name?.slice(2))).toEqual([...measures]);
  for (const [, ...rates] of rows) {
    expect(rates.filter((rate) => /^[\d,.]+ \([\d,.]+-[\d,.]+\)/.test(rate)).length).toBeGreaterThanOrEqual(3);
    expect(rates).toHaveLength(subjects.length + 1);
  }
});

test.each(subjects)("%s ends its work, however much it is given", async (subject) => {
  const works = await open[subject]();
  for (const measure of Object.keys(works) as MeasureName[]) {
    for (const count of [0, 1, 25]) await expect(works[measure]?.(count)).resolves.toBeUndefined();
  }
});
