import { types } from "node:util";
import { expect, test } from "vitest";
import { carry, revive, type ErrorClass } from "../../src/concurrency/carried-error.ts";
import { BackendFullError, RetryLater, TimeoutError as OurTimeoutError } from "../../src/errors.ts";

/** Over to another thread and back to the class. */
function sent(error: unknown, classes?: readonly ErrorClass[]): unknown {
  return revive(structuredClone(carry(error)), classes);
}

class Base extends Error {}
class Derived extends Base {
  readonly #hidden = 1;
  get hidden(): number {
    return this.#hidden;
  }
}
class TimeoutError extends Error {}

test("takes the nearest ancestor that is known, and keeps the name", () => {
  expect(Object.getPrototypeOf(sent(new Derived("no"), [Base]))).toBe(Base.prototype);
  expect(Object.getPrototypeOf(sent(new Derived("no"), [Base, Derived]))).toBe(Derived.prototype);
  expect(Object.getPrototypeOf(sent(new Derived("no")))).toBe(Error.prototype);
});

test("a class that only bears the name of one of ours is not taken for it", () => {
  expect(sent(new TimeoutError("no"))).not.toBeInstanceOf(OurTimeoutError);
  expect(sent(new OurTimeoutError("no"))).toBeInstanceOf(OurTimeoutError);
});

test("fields stay what they were, and what steers a job keeps its numbers", () => {
  expect(sent(new RetryLater("30s", "later"))).toMatchObject({ code: "RETRY_LATER", delay: "30s", message: "later" });
  expect(sent(new BackendFullError("full", { mayHaveRun: false }))).toMatchObject({ code: "BACKEND_FULL", mayHaveRun: false });
});

test("what comes over is an error to the runtime as well, and shows the stack of where it was thrown", () => {
  const error = new Base("no");
  const revived = sent(error, [Base]) as Error;
  expect(types.isNativeError(revived)).toBe(true);
  expect(revived.stack).toBe(error.stack);
  expect(Object.keys(revived)).toEqual([]);
});

test("private fields do not come over", () => {
  expect(() => (sent(new Derived("no"), [Derived]) as Derived).hidden).toThrow(TypeError);
});

test("a circle of causes ends", () => {
  const [first, second] = [new Error("first"), new Error("second")];
  first.cause = second;
  second.cause = first;
  expect(sent(first)).toMatchObject({ message: "first", cause: { message: "second", cause: "Error: first" } });
});

test("values that are no errors come over where they can be copied, as text where not", () => {
  expect(sent({ status: 404 })).toEqual({ status: 404 });
  expect(sent(undefined)).toBe(undefined);
  expect(sent(() => 1)).toBe("() => 1");
});

test("whatever is thrown, something comes over", () => {
  const trap = (): never => {
    throw new Error("trap");
  };
  const hostile = [
    Object.defineProperty(new Error("x"), "message", { get: trap }),
    new Proxy(new Error("x"), { get: trap, getPrototypeOf: trap, ownKeys: trap }),
    Object.create(null),
    Symbol("s"),
  ];
  for (const thrown of hostile) expect(sent(thrown)).not.toBeUndefined();
});
