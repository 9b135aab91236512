import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { contradictions, GuardedResource, readLedger, type Entry } from "./ledger.ts";

const entry = (did: Entry["did"], process: number, fence: number, at: number, certainUntil: number): Entry => ({
  did, lock: "a", fence, process, at, certainUntil, recordedAt: at + 1,
});

test("a resource takes no smaller fence than it has seen, lock by lock, and records both", () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-ledger-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const resource = new GuardedResource(join(folder, "ledger"));
  const write = (lock: string, fence: number): boolean => resource.write({ lock, fence, process: 1, at: 0, certainUntil: 0 });
  expect([write("a", 2), write("a", 2), write("a", 1), write("b", 1), write("a", 3)]).toEqual([true, true, false, true, true]);
  expect(readLedger(join(folder, "ledger")).map(({ did }) => did)).toEqual(["wrote", "wrote", "was refused", "wrote", "wrote"]);
});

test("finds no fault with holds that follow one another, however they end", () => {
  const entries = [
    entry("held", 1, 1, 0, 100),
    entry("wrote", 1, 1, 10, 110),
    entry("gave back", 1, 1, 20, 110),
    entry("held", 2, 2, 20.5, 120), // is killed
    entry("held", 3, 3, 121, 220), // is stopped
    entry("held", 1, 4, 221, 300),
    entry("was refused", 3, 3, 250, 220),
  ];
  expect(contradictions(entries)).toEqual([]);
});

test.each([
  ["an overlap", [entry("held", 1, 1, 0, 100), entry("held", 2, 2, 99, 150)], "a: 2 held #2 from 99 while 1 held #1 until 100"],
  ["an overlap by a renewal", [entry("held", 1, 1, 0, 50), entry("wrote", 1, 1, 40, 140), entry("held", 2, 2, 99, 150)], "while 1 held #1 until 140"],
  ["an overlap under a long hold", [entry("held", 1, 1, 0, 500), entry("gave back", 1, 1, 400, 500), entry("held", 2, 2, 100, 110), entry("held", 3, 3, 300, 310)], "3 held #3"],
  ["a fence given twice", [entry("held", 1, 1, 0, 10), entry("held", 2, 1, 20, 30)], "a #1 was given to 1 and to 2"],
  ["a fence that shrinks", [entry("held", 1, 2, 0, 10), entry("held", 2, 1, 20, 30)], "#1 was held after #2"],
  ["a refusal of one that holds", [entry("held", 1, 1, 0, 100), entry("was refused", 1, 1, 50, 100)], "1 was refused while it held"],
  ["a write without the lock", [entry("wrote", 1, 1, 50, 100)], "1 wrote without it"],
])("finds %s", (_, entries, finding) => {
  expect(contradictions(entries).join("\n")).toContain(finding);
});
