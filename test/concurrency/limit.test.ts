import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { endsWithin, Limit, unlessAborted } from "../../src/concurrency/limit.ts";
import { rejection, settled, settlement } from "./settlement.ts";

const never = new Promise<never>(() => undefined);
const tooLate = (): Error => new RangeError("too late");

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

test("a limit is reached when its timeout is over, with the reason made for that", async () => {
  using limit = new Limit({ timeout: 100 }, tooLate);
  const waiting = settlement(limit.around(never));
  vi.advanceTimersByTime(99);
  expect(limit.signal.aborted).toBe(false);
  vi.advanceTimersByTime(1);
  await settled();
  expect(waiting).toMatchObject({ state: "rejected", reason: { message: "too late" } });
});

test("a limit is reached when the caller's signal fires, with its reason; at once when it has fired", async () => {
  const controller = new AbortController();
  using limit = new Limit({ timeout: 100, signal: controller.signal }, tooLate);
  controller.abort(new Error("enough"));
  expect(await rejection(limit.around(never))).toMatchObject({ message: "enough" });
  using another = new Limit({ signal: controller.signal }, tooLate);
  expect(another.signal.reason).toBe(controller.signal.reason);
});

test("without a timeout and a signal a limit is only reached when it is told to", () => {
  using limit = new Limit({}, tooLate);
  vi.advanceTimersByTime(10_000);
  expect(limit.signal.aborted).toBe(false);
  limit.reach(new Error("told"));
  expect(limit.signal.reason).toMatchObject({ message: "told" });
});

test("what ends within the limit is given, well or badly", async () => {
  using limit = new Limit({ timeout: 100 }, tooLate);
  expect(await limit.around(Promise.resolve(7))).toBe(7);
  expect(await rejection(limit.around(Promise.reject(new Error("own"))))).toMatchObject({ message: "own" });
});

test("a limit that is disposed of is reached no more", () => {
  const controller = new AbortController();
  const limit = new Limit({ timeout: 100, signal: controller.signal }, tooLate);
  limit[Symbol.dispose]();
  controller.abort();
  vi.advanceTimersByTime(100);
  expect(limit.signal.aborted).toBe(false);
});

test("work that fails after its signal has fired is left to itself", async () => {
  const work = Promise.withResolvers<never>();
  const waiting = unlessAborted(AbortSignal.abort(new Error("gone")), work.promise);
  expect(await rejection(waiting)).toMatchObject({ message: "gone" });
  work.reject(new Error("nobody hears it"));
  await settled();
});

test("says whether work ended in time, in whatever way, and never throws", async () => {
  expect(await endsWithin(100, Promise.resolve(1))).toBe(true);
  expect(await endsWithin(100, Promise.reject(new Error("badly")))).toBe(true);
  const late = endsWithin(100, never);
  vi.advanceTimersByTime(100);
  expect(await late).toBe(false);
});
