import { runInNewContext } from "node:vm";
import { anything, assert, property, string } from "fast-check";
import { expect, test } from "vitest";
import { CancelJob, DeadLetter, RetryLater } from "../../src/errors.ts";
import { faultOf } from "../../src/queue/fault.ts";

test("an error is read by its code, name, message and stack", () => {
  const error = new TypeError("no such column");
  expect(faultOf(error)).toEqual({ code: undefined, name: "TypeError", reason: "no such column", stack: error.stack, retryDelayMs: undefined });
  expect(faultOf(new DeadLetter("gone"))).toMatchObject({ code: "DEAD_LETTER", name: "DeadLetter", reason: "gone" });
  expect(faultOf(new CancelJob())).toMatchObject({ code: "CANCEL_JOB", reason: "by its handler" });
});

test("an error of another realm is an error", () => {
  expect(faultOf(runInNewContext('new RangeError("far away")'))).toMatchObject({ name: "RangeError", reason: "far away" });
});

test.each([
  [undefined, "undefined"],
  [null, "null"],
  ["text", "text"],
  [7n, "7"],
  [Symbol("s"), "Symbol(s)"],
  [{ status: 503 }, '{"status":503}'],
  [[1, 2], "[1,2]"],
])("what is no error is described: %o", (thrown, shown) => {
  expect(faultOf(thrown)).toMatchObject({ code: undefined, name: undefined, reason: `something that is no error was thrown: ${shown}` });
});

test("an error without a message is called by its name, and never left unnamed", () => {
  expect(faultOf(new RangeError())).toMatchObject({ reason: "RangeError" });
  expect(faultOf(Object.assign(new Error(), { name: "" }))).toMatchObject({ reason: "an error without a message" });
  expect(faultOf(Object.assign(new Error("x"), { message: { status: 503 } }))).toMatchObject({ reason: '{"status":503}' });
  expect(faultOf(Object.assign(new Error("x"), { message: null, name: undefined }))).toMatchObject({ reason: "an error without a message" });
});

test("a message and a stack without end are shortened, and say how long they were", () => {
  const { reason, stack } = faultOf(new Error("x".repeat(1_000_000)));
  expect(reason).toBe(`${"x".repeat(10_000)}… (1000000 characters)`);
  expect(stack.length).toBeLessThan(20_100);
  expect(faultOf("y".repeat(1_000_000)).reason.length).toBeLessThan(10_100);
});

test("what throws when it is read does not get in the way", () => {
  const refuse = (): never => {
    throw new Error("do not look");
  };
  const getters = Object.defineProperties(new Error("fine"), { stack: { get: refuse }, code: { get: refuse }, name: { get: refuse } });
  expect(faultOf(getters)).toEqual({ code: undefined, name: undefined, reason: "fine", stack: "fine", retryDelayMs: undefined });
  const proxy = new Proxy(new Error("hidden"), { get: refuse, getPrototypeOf: refuse, has: refuse });
  expect(faultOf(proxy).reason).not.toBe("");
  const circular: { self?: unknown } = {};
  circular.self = circular;
  expect(faultOf(circular).reason).toContain("object");
  expect(faultOf({ toJSON: refuse }).reason).toContain("object");
});

test.each([
  [500, 500],
  ["2s", 2000],
  [-1, undefined],
  ["soon", undefined],
  [Number.NaN, undefined],
  [undefined, undefined],
])("RetryLater asks for the delay %o: %o ms", (delay, retryDelayMs) => {
  expect(faultOf(new RetryLater(delay as number)).retryDelayMs).toBe(retryDelayMs);
});

test("a delay is only read from RetryLater", () => {
  expect(faultOf(Object.assign(new Error("slow"), { delay: 500 })).retryDelayMs).toBeUndefined();
});

test("whatever is thrown has a reason and a stack of bounded length", () => {
  const law = property(anything({ withNullPrototype: true, withBigInt: true, withObjectString: true, withMap: true }), string(), (thrown, message) => {
    for (const fault of [faultOf(thrown), faultOf(Object.assign(new Error(message), { message: thrown, stack: thrown, name: thrown, code: thrown }))]) {
      expect(typeof fault.reason).toBe("string");
      expect(fault.reason).not.toBe("");
      expect(fault.stack).not.toBe("");
      expect(fault.reason.length + fault.stack.length).toBeLessThan(30_200);
    }
  });
  assert(law);
});
