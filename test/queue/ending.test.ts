import * as fc from "fast-check";
import { expect, test } from "vitest";
import { CancelJob, DeadLetter, RetryLater } from "../../src/errors.ts";
import { definitionOf, defineJob, type JobOptions } from "../../src/job/contract.ts";
import { cancelled, failure as failureAt, forGood, keepOf } from "../../src/queue/ending.ts";
import type { JobDefinition } from "../../src/job/definition.ts";
import type { Leased } from "../../src/store/reserve.ts";
import { readStoredJob } from "../../src/store/stored-job.ts";

const definition = (options: JobOptions = {}) => definitionOf(defineJob("work", options));
const leased = (fields: Readonly<Record<string, string>> = {}) => ({
  job: readStoredJob("id", Object.entries({ name: "work", data: "{}", ...fields }).flat()),
  token: "t",
  fence: 1,
});

const NOW = 1_900_000_000_000;
const failure = (held: Leased, contract: JobDefinition | undefined, thrown: unknown) => failureAt(held, contract, thrown, NOW);

test("a failed attempt is retried while attempts are left, those stored with the job before the contract's", () => {
  const error = new Error("x");
  expect(failure(leased({ atm: "1" }), definition({ attempts: 3 }), error).kind).toBe("retry");
  expect(failure(leased({ atm: "2" }), definition({ attempts: 3 }), error).kind).toBe("fail");
  expect(failure(leased({ atm: "2", opts: '{"attempts":5}' }), definition({ attempts: 3 }), error).kind).toBe("retry");
  expect(failure(leased({ atm: "0", opts: '{"attempts":0}' }), definition({ attempts: 1 }), error).kind).toBe("fail");
  expect(failure(leased(), undefined, error).kind).toBe("retry");
});

test("its delay is the back-off stored with the job, else the contract's", () => {
  const backoff = { type: "fixed", base: 700, jitter: 0 } as const;
  expect(failure(leased(), definition({ backoff }), new Error("x"))).toMatchObject({ delayMs: 700 });
  expect(failure(leased({ opts: '{"backoff":30}' }), definition({ backoff }), new Error("x"))).toMatchObject({ delayMs: 30 });
  expect(failure(leased({ opts: '{"backoff":{"type":"mine"}}' }), definition({ backoff }), new Error("x"))).toMatchObject({ delayMs: 700 });
  expect(failure(leased(), definition({ backoff }), new RetryLater("2s"))).toMatchObject({ delayMs: 2000 });
});

test("handlers steer by the code of what they throw, from whichever copy of the package", () => {
  const foreign = (code: string) => Object.assign(new Error("why"), { code });
  for (const thrown of [new CancelJob("why"), foreign("CANCEL_JOB")]) {
    expect(failure(leased(), definition(), thrown)).toMatchObject({ kind: "fail", reason: "cancelled: why" });
  }
  for (const thrown of [new DeadLetter("why"), foreign("DEAD_LETTER")]) {
    expect(failure(leased(), definition(), thrown)).toMatchObject({ kind: "fail", reason: "why" });
  }
  expect(failure(leased(), definition(), Object.assign(new Error("why"), { name: "UnrecoverableError" })).kind).toBe("fail");
});

test("no attempt is planned at or after the deadline", () => {
  const backoff = { type: "fixed", base: 700, jitter: 0 } as const;
  const put = { timestamp: String(NOW - 1000) };
  expect(failure(leased(put), definition({ backoff, deadline: 1701 }), new Error("x"))).toMatchObject({ kind: "retry", delayMs: 700 });
  expect(failure(leased(put), definition({ backoff, deadline: 1700 }), new Error("x"))).toMatchObject({ kind: "fail", reason: "x" });
  expect(failure(leased({ ...put, md: "1700" }), definition({ backoff, deadline: "1h" }), new Error("x"))).toMatchObject({ kind: "fail" });
  expect(failure(leased({ ...put, md: "5000" }), definition({ backoff }), new RetryLater("1h"))).toMatchObject({ kind: "fail" });
});

test("one of which it was asked ends as cancelled, whatever was thrown, and keeps what came before", () => {
  const asked = leased({ mc: "user asked", stacktrace: '["Error: earlier"]', opts: '{"removeOnFail":7}' });
  const end = { kind: "fail", reason: "cancelled: user asked", stack: ["Error: earlier"], keep: { count: 7 } };
  expect(failure(asked, definition(), new Error("x"))).toMatchObject(end);
  expect(cancelled(asked, undefined, "user asked")).toMatchObject(end);
});

const everything = { withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withSet: true, withSparseArray: true, withTypedArray: true };

test("whatever is thrown makes a settlement that can be stored", () => {
  fc.assert(
    fc.property(fc.anything(everything), fc.boolean(), (thrown, asError) => {
      const error: unknown = asError ? Object.assign(new Error("x"), { message: thrown, stack: thrown, name: thrown, code: "RETRY_LATER", delay: thrown }) : thrown;
      const settlement = failure(leased(), definition(), error);
      if (settlement.kind !== "retry" && settlement.kind !== "fail") throw new Error("expected a retry or a failure");
      expect(typeof settlement.reason).toBe("string");
      expect(settlement.reason.length).toBeGreaterThan(0);
      expect(settlement.reason.length).toBeLessThan(10_100);
      expect(settlement.stack.every((stack) => typeof stack === "string")).toBe(true);
      if (settlement.kind === "retry") expect(Number.isSafeInteger(settlement.delayMs)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test("keeps the stacks of the last ten attempts", () => {
  const stacktrace = JSON.stringify(Array.from({ length: 12 }, (_, i) => `attempt ${i + 1}`));
  const { stack } = forGood(leased({ stacktrace }), definition(), new Error("last")) as { readonly stack: readonly string[] };
  expect(stack).toHaveLength(10);
  expect(stack[0]).toBe("attempt 4");
  expect(stack[9]).toMatch(/last/);
});

test.each([
  ["true", { count: 0 }],
  ["false", {}],
  ["7", { count: 7 }],
  ['{"age":60}', { ageMs: 60_000 }],
  ['{"count":5,"age":60}', { count: 5, ageMs: 60_000 }],
  ["null", { count: 3 }],
  ['"all"', { count: 3 }],
])("how much is kept: stored as %s", (stored, expected) => {
  const keep = { completed: { count: 3 } };
  expect(keepOf(leased({ opts: `{"removeOnComplete":${stored}}` }).job, definition({ keep }), "completed")).toEqual(expected);
});
