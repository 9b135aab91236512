import { expect, test } from "vitest";
import { exitCodeOf } from "../../src/cli/exit-code.ts";
import * as errors from "../../src/errors.ts";

const retry = async (): Promise<void> => undefined;

test.each([
  [new Error("of the user's"), 1],
  [new errors.JobFailedError("x", { jobId: "1", attempts: 1 }), 1],
  [new errors.OptionError("x"), 2],
  [new errors.PayloadError("x"), 2],
  [new errors.NoRedisError(), 2],
  [new errors.TimeoutError("x"), 3],
  [new errors.NotFoundError("x"), 4],
  [new errors.JobRemovedError("1"), 4],
  [new errors.PreflightError(["x"]), 5],
  [new errors.BackendError("x"), 6],
  [new errors.BackendFullError("x"), 6],
  [new errors.EnqueueTimeoutError("x", { jobMayExist: true, retry }), 6],
  [new errors.RedisServerError("x"), 6],
  [undefined, 1],
  ["text", 1],
  [new AggregateError([new errors.BackendError("x"), new Error("y")]), 6],
  [new AggregateError([]), 1],
])("%s ends with %i", (error, code) => {
  expect(exitCodeOf(error)).toBe(code);
});

test("an error of another copy of the package ends as ours would", () => {
  expect(exitCodeOf(Object.assign(new Error("x"), { code: "NOT_FOUND" }))).toBe(4);
});
