import { expect, test } from "vitest";
import { size, summaryText, Tally, type Summary } from "../../src/cli/demo-summary.ts";

const file = (sha256: string, bytes: number) => ({ sha256, bytes, lines: 0, mime: "text/plain" });

test("counts copies as waste, links to one file and empty files not", () => {
  const tally = new Tally();
  tally.add(file("a", 100), "1:1");
  tally.add(file("a", 100), "1:2");
  tally.add(file("a", 100), "1:3");
  tally.add(file("a", 100), "1:3"); // another name of the same
  tally.add(file("b", 50), "1:4");
  tally.add(file("b", 50), "1:4");
  tally.add(file("c", 7), "1:5");
  tally.add(file("c", 7), "2:5"); // the same number on another device
  tally.add(file("e", 0), "1:6");
  tally.add(file("e", 0), "1:7");
  expect(tally.duplicates).toEqual({ groups: 2, files: 5, wastedBytes: 207 });
  expect(tally.bytes).toBe(514);
});

test("counts failures by reason, the most frequent first", () => {
  const tally = new Tally();
  for (const error of ["z", "b", "a", "b", "z", "z"]) tally.add({ error }, undefined);
  expect(Object.entries(tally.failures)).toEqual([["z", 3], ["b", 2], ["a", 1]]);
  expect(tally.failed).toBe(6);
});

const summary: Summary = {
  dir: "/d", queue: "digest-x", interrupted: false, files: 12_000, put: 10, known: 11_990, processed: 10, left: 0, bytes: 376_200_000, failed: 3,
  failures: { "ENOENT: dangling link": 2, "FIFO: not a regular file": 1 }, duplicates: { groups: 2, files: 5, wastedBytes: 1234 },
  elapsedMs: 8400, jobsPerSecond: 1.19, manifest: "out.ndjson",
};

test("says at the end what there was", () => {
  expect(summaryText(summary)).toBe(
    [
      "12,000 files, 376.2 MB, in 8.4 s, 1 jobs/s",
      "  10 new or changed, 11,990 known from before",
      "  5 files are 2 contents more than once: 1.2 kB wasted",
      "  3 failed:",
      "         2  ENOENT: dangling link",
      "         1  FIFO: not a regular file",
      "  manifest: out.ndjson",
    ].join("\n"),
  );
});

test("says nothing of what there was not", () => {
  const plain = { ...summary, known: 0, failed: 0, failures: {}, duplicates: { groups: 0, files: 0, wastedBytes: 0 }, manifest: null };
  expect(summaryText(plain)).toBe("12,000 files, 376.2 MB, in 8.4 s, 1 jobs/s");
});

test("says how to go on when it was stopped", () => {
  expect(summaryText({ ...summary, interrupted: true, left: 1990 })).toBe("stopped after 8.4 s, 1 jobs/s: 10 digested, 1,990 left in the queue; the same command continues");
});

test("writes sizes as people read them", () => {
  expect([0, 999, 1000, 999_949, 999_950, 1.5e9, 2e18].map(size)).toEqual(["0 bytes", "999 bytes", "1.0 kB", "999.9 kB", "1.0 MB", "1.5 GB", "2000.0 PB"]);
});
