import { expect, test } from "vitest";
import { definitionOf } from "../../src/job/contract.ts";
import { everyName } from "../../src/job/every-name.ts";
import { defineQueue } from "../../src/job/queue-def.ts";
import { crashed, isSuspect } from "../../src/queue/crash.ts";
import type { Claimed } from "../../src/store/claim.ts";
import { readStoredJob } from "../../src/store/stored-job.ts";

function claimed(crashes: number, { hadBegun = true, attempts = 8, holder = "host:1", takenAt = 1_700_000_000_000 } = {}): Claimed {
  const job = readStoredJob("a", ["name", "work", "opts", JSON.stringify({ attempts }), "stc", String(crashes), "atm", String(crashes - 1), "stacktrace", '["before"]']);
  return { job, token: "token", fence: 1, holder: holder || undefined, takenAt, hadBegun };
}

test("a crash is a failed attempt, and tells who held the job, and since when", () => {
  const settlement = crashed(claimed(1), undefined, 0);
  expect(settlement).toMatchObject({ kind: "retry", stack: ["before", "WorkerLostError: the worker that ran it was lost: host:1, which took it at 2023-11-14T22:13:20.000Z, stopped renewing its lease"] });
  expect(settlement).toHaveProperty("delayMs", expect.any(Number));
});

test("after the second it is a suspect, after the third a dead letter, whatever attempts are left", () => {
  expect([0, 1, 2, 3].map((crashes) => isSuspect(claimed(crashes).job))).toEqual([false, false, true, true]);
  expect(crashed(claimed(2), undefined, 0)).toMatchObject({ kind: "retry" });
  expect(crashed(claimed(3), undefined, 0)).toMatchObject({ kind: "fail", reason: expect.stringMatching(/was lost, 3 times.*host:1, which took it at 2023/), stack: ["before", expect.stringMatching(/^WorkerLostError/)] });
});

test("a contract without a second attempt fails at the first", () => {
  expect(crashed(claimed(1, { attempts: 1 }), undefined, 0)).toMatchObject({ kind: "fail", attempts: 1 });
});

test("one that had not begun is given back, however many crashes there were", () => {
  expect(crashed(claimed(3, { hadBegun: false }), undefined, 0)).toEqual({ leased: claimed(3, { hadBegun: false }), kind: "release", delayMs: 0 });
});

test("for a stock processor it is no attempt, and the job fails for good once it has been lost more often than allowed", () => {
  const definition = definitionOf(everyName(defineQueue("work"), { maxStalledCount: 1 }, { completed: {}, failed: {} }));
  expect(crashed(claimed(1, { attempts: 1 }), definition, 0)).toMatchObject({ kind: "release", delayMs: 0 });
  expect(crashed(claimed(2), definition, 0)).toMatchObject({ kind: "fail", reason: "job stalled more than allowable limit" });
});

test("what others stored of the holder need not make sense", () => {
  expect(crashed(claimed(1, { holder: "", takenAt: Number.NaN }), undefined, 0)).toMatchObject({ reason: expect.stringMatching(/a worker without a name, which took it at an unknown time/) });
});
