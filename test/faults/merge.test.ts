import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { merged, mergeInto } from "./merge.ts";
import { rowOf } from "./report.ts";
import { rows } from "./rows.ts";
import { scenario, type Phase } from "./scenario.ts";
import { addToReport, readReport, type WrittenRow } from "./written-report.ts";

const targets = {
  toldMs: { label: "told after", atMost: 1000 },
  lost: { label: "lost", atMost: 0 },
  again: { label: "run again", atMost: 0 },
};
const conditions = { date: "2026-11-27", seed: 7, redis: "7.0.15", bullmq: "6.7.0", node: "v24.21.0", cores: 2 };

function report(...phasesOfRows: (readonly Phase[])[]): WrittenRow[] {
  return phasesOfRows.map((phases, i) => ({
    ...rowOf({ scenario: scenario({ row: `F${i + 1}`, title: "a fault", targets, play: async () => ({ toldMs: 0, lost: 0, again: 0 }) }), phases, tookMs: 1000 }),
    conditions,
  }));
}

const well: Phase = { seed: 7, figures: { toldMs: 81.4, lost: 0, again: 0 }, contradictions: [] };

test("shows each row's worst figures, and what the other one misses of it", () => {
  const own = report([well, { ...well, figures: { toldMs: 1400, lost: 0, again: 2 }, contradictions: ["1: put once, and 2 jobs"] }], [well], [well], [well]);
  const stock = report([{ ...well, figures: { toldMs: Infinity, lost: 3, again: 0 } }], [{ ...well, contradictions: ["could not be played: x"], figures: {} }], [well, well]);
  stock[2] = { ...stock[2]!, conditions: { ...conditions, date: "2026-11-28", seed: 9 } };
  expect(merged(own, stock).split("\n")).toEqual([
    "Millrace: played on 2026-11-27, seed 7, with Redis 7.0.15, BullMQ 6.7.0 and Node 24.21.0 on 2 cores.",
    "Stock BullMQ, 1 to 2 phases a row: played on 2026-11-27, seed 7, with Redis 7.0.15, BullMQ 6.7.0 and Node 24.21.0 on 2 cores; F3: played on 2026-11-28, seed 9, with Redis 7.0.15, BullMQ 6.7.0 and Node 24.21.0 on 2 cores.",
    "",
    "| | fault | worst figures (target) | verdict | stock BullMQ misses |",
    "| --- | --- | --- | --- | --- |",
    "| F1 | a fault | told after 1.4 s (≤ 1 s); run again 2 (0); 0 lost; 1 job lost, doubled or in a wrong state | broken, 2 phases | told after never; lost 3 |",
    "| F2 | a fault | told after 81 ms (≤ 1 s); 0 lost, run again | holds, 1 phase | 1 phase not played to the end |",
    "| F3 | a fault | told after 81 ms (≤ 1 s); 0 lost, run again | holds, 1 phase | nothing |",
    "| F4 | a fault | told after 81 ms (≤ 1 s); 0 lost, run again | holds, 1 phase | not played |",
  ]);
});

test("leaves the rest of the README as it was, whenever it is done again", async () => {
  const dir = await mkdtemp(join(tmpdir(), "millrace-test-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const readme = join(dir, "README.md");
  for (const subject of ["millrace", "bullmq"] as const) addToReport(dir, subject, report([well])[0]!);
  await writeFile(readme, "# before\n\nno mark\n");
  expect(() => mergeInto(readme, dir)).toThrow("expected <!-- faults");
  await writeFile(readme, "# before\n\n<!-- faults: made by npm run test:faults -- --merge DIR -->\nold\n<!-- /faults -->\n\nafter\n");
  mergeInto(readme, dir);
  const once = await readFile(readme, "utf8");
  expect(once).toMatch(/^# before\n\n<!-- faults.+-->\nMillrace: [^]+ \| nothing \|\n<!-- \/faults -->\n\nafter\n$/);
  mergeInto(readme, dir);
  expect(await readFile(readme, "utf8")).toBe(once);
});

test("a row that is played again takes its place in the report, the others stay", async () => {
  const dir = await mkdtemp(join(tmpdir(), "millrace-test-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const [first, second, third] = report([well], [well], [well, well]);
  for (const row of [second!, first!, third!]) addToReport(dir, "millrace", row);
  addToReport(dir, "millrace", { ...first!, title: "again" });
  expect(readReport(dir, "millrace").map(({ row, title }) => `${row} ${title}`)).toEqual(["F1 again", "F2 a fault", "F3 a fault"]);
  expect(await readFile(join(dir, "faults-millrace.md"), "utf8")).toMatch(/\| F1 \| again \|.+\n\| F2 [^]+\n\nplayed on 2026-11-27, seed 7, with/);
});

test("the README shows every row under its title", async () => {
  const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  expect(rows.filter(({ row, title }) => !readme.includes(`| ${row} | ${title} |`)).map(({ row }) => row)).toEqual([]);
});
