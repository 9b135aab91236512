import { expect, test } from "vitest";
import { contradictions, overlapping } from "./checker.ts";
import type { Entry } from "./ledger.ts";
import type { StoredJob } from "./stored-jobs.ts";

const put = (n: number): Entry => ({ did: "put", n, pid: 1, at: n });
const acknowledged = (n: number, id = `j${n}`): Entry => ({ did: "acknowledged", n, id, pid: 1, at: n });
const run = (did: Entry["did"], n: number, fence: number): Entry => ({ did, n, id: `j${n}`, fence, attempt: 1, pid: 2, at: 10 + fence });
const stored = (n: number, states: readonly string[], fence?: number, id = `j${n}`): StoredJob => ({
  id, n, states, attemptsMade: 0, failedReason: undefined, result: fence === undefined ? undefined : { n, fence },
});

test("finds no fault with jobs that wait, run, fail, and are completed by their last run", () => {
  const entries = [
    ...[1, 2, 3, 4].flatMap((n) => [put(n), acknowledged(n)]),
    run("started", 2, 1), run("started", 3, 2), run("broke off", 3, 2), run("started", 4, 3), run("started", 4, 5), run("ended", 4, 5),
  ];
  expect(contradictions(entries, [stored(1, ["wait"]), stored(2, ["active"]), stored(3, ["failed"]), stored(4, ["completed"], 5)])).toEqual([]);
});

test("a put without an acknowledgement may have been stored or not", () => {
  expect(contradictions([put(1), put(2)], [stored(1, ["wait"])])).toEqual([]);
});

test.each<[string, readonly Entry[], readonly StoredJob[], RegExp]>([
  ["an acknowledged job that is gone", [put(1), acknowledged(1)], [], /^1: acknowledged as j1, and lost$/],
  ["an acknowledgement of another id than is stored", [put(1), acknowledged(1, "other")], [stored(1, ["wait"])], /acknowledged as other, and lost/],
  ["a put that became two jobs", [put(1)], [stored(1, ["wait"]), stored(1, ["wait"], undefined, "twin")], /put once, and 2 jobs: j1, twin/],
  ["a job in no state", [put(1)], [stored(1, [])], /in no state/],
  ["a job in two states", [put(1)], [stored(1, ["active", "delayed"])], /in active and delayed/],
  ["a job that is completed and never ran", [], [stored(1, ["completed"], 1)], /completed, though run #1 did not end/],
  ["a job that is completed though its run broke off", [run("started", 1, 1), run("broke off", 1, 1)], [stored(1, ["completed"], 1)], /run #1 did not end/],
  ["a job that is completed by a run that was not its own any more", [run("started", 1, 1), run("started", 1, 2), run("ended", 1, 1)], [stored(1, ["completed"], 1)], /completed by run #1 after #2 had started/],
])("finds %s", (_, entries, jobs, line) => {
  expect(contradictions(entries, jobs)).toEqual([expect.stringMatching(line)]);
});

test("where ended jobs are removed, one that is gone must have ended", () => {
  const entries = [put(1), acknowledged(1), run("started", 1, 1), run("ended", 1, 1), put(2), acknowledged(2), run("started", 2, 2)];
  expect(contradictions(entries, [], { removes: true })).toEqual([expect.stringMatching(/^2: acknowledged as j2, and lost$/)]);
});

test("counts runs that start while another of the same job goes on", () => {
  expect(overlapping([run("started", 1, 1), run("started", 2, 2), run("broke off", 1, 1), run("started", 1, 3), run("ended", 1, 3)])).toBe(0);
  expect(overlapping([run("started", 1, 1), run("started", 1, 2), run("ended", 1, 1), run("ended", 1, 2), run("started", 1, 3)])).toBe(1);
});
