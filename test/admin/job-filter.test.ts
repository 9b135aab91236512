import { expect, test } from "vitest";
import { checkFilter } from "../../src/admin/job-filter.ts";
import { OptionError } from "../../src/errors.ts";
import type { WalkedJob } from "../../src/store/walk.ts";

const job: WalkedJob = { id: "1", name: "mail", state: "failed", putAt: 1000, startedAt: 2000, finishedAt: 5000, dueAt: undefined, attempts: 1, priority: 0, reason: "ECONNREFUSED at 10.0.0.1" };

test.each([
  [{}, true],
  [{ name: "mail" }, true],
  [{ name: "mai" }, false],
  [{ older: "4s" }, true],
  [{ older: "5s" }, false],
  [{ error: "REFUSED.*10" }, true],
  [{ error: /econnrefused/gi }, true],
  [{ error: "ETIMEDOUT" }, false],
  [{ name: "mail", older: "5s", error: "ECONN" }, false],
] as const)("%o lets a job that failed five seconds ago through: %o", (filter, expected) => {
  const checked = checkFilter("f", filter);
  for (const now of [10_000, 10_000]) expect(checked.matches(job, now)).toBe(expected);
});

test("age counts from the start of what runs, and from the put of what waits", () => {
  const { matches } = checkFilter("f", { older: "7s" });
  expect([matches({ ...job, state: "active" }, 10_000), matches({ ...job, state: "waiting" }, 10_000)]).toEqual([true, true]);
  expect([matches({ ...job, state: "active" }, 9000), matches({ ...job, state: "waiting" }, 8000)]).toEqual([false, false]);
  expect(matches({ ...job, reason: undefined }, 99_000)).toBe(true);
  expect(checkFilter("f", { error: "x" }).matches({ ...job, reason: undefined }, 0)).toBe(false);
});

test("walks what is under way, what is next, what has ended, whatever order the states were said in", () => {
  expect(checkFilter("f", { state: ["completed", "active"] }).states).toEqual(["active", "completed"]);
  expect(checkFilter("f", undefined).states).toEqual(["active", "waiting", "prioritized", "delayed", "waiting-children", "failed", "completed"]);
  expect(checkFilter("f", undefined, ["failed"]).states).toEqual(["failed"]);
});

test.each([[{ state: "faild" }], [{ state: [] }], [{ older: "soon" }], [{ error: "(" }], [{ limit: 0 }], [{ nme: "x" }], [{ error: 3 }]])("refuses %o", (filter) => {
  expect(() => checkFilter("f", filter as never)).toThrow(OptionError);
});

test("refuses a state that makes no sense there", () => {
  expect(() => checkFilter("retryJobs", { state: "active" }, ["failed"])).toThrow("expected failed for state of retryJobs, got \"active\"");
});
