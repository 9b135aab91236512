import { afterEach, expect, test, vi } from "vitest";
import { OptionError } from "../../src/errors.ts";
import { sleep } from "../../src/concurrency/sleep.ts";
import { settlement } from "./settlement.ts";

afterEach(() => {
  vi.useRealTimers();
});

test("resolves when its duration has passed, and not before", async () => {
  vi.useFakeTimers();
  const nap = settlement(sleep("2s"));
  await vi.advanceTimersByTimeAsync(1999);
  expect(nap.state).toBe("pending");
  await vi.advanceTimersByTimeAsync(1);
  expect(nap.state).toBe("fulfilled");
});

test("sleeps longer than Node's longest timer of 24.8 days", async () => {
  vi.useFakeTimers();
  const nap = settlement(sleep("60d"));
  await vi.advanceTimersByTimeAsync(60 * 86_400_000 - 1);
  expect(nap.state).toBe("pending");
  await vi.advanceTimersByTimeAsync(1);
  expect(nap.state).toBe("fulfilled");
});

test("rejects with the signal's reason as soon as the signal fires, and leaves no timer behind", async () => {
  vi.useFakeTimers();
  const controller = new AbortController();
  const nap = settlement(sleep("1h", { signal: controller.signal }));
  await vi.advanceTimersByTimeAsync(10);
  const reason = new Error("enough");
  controller.abort(reason);
  await vi.advanceTimersByTimeAsync(0);
  expect(nap).toMatchObject({ state: "rejected", reason });
  expect(vi.getTimerCount()).toBe(0);
});

test("a sleep cut short by its signal during a very long wait leaves no timer behind", async () => {
  vi.useFakeTimers();
  const controller = new AbortController();
  const nap = settlement(sleep("60d", { signal: controller.signal }));
  await vi.advanceTimersByTimeAsync(30 * 86_400_000);
  controller.abort(new Error("enough"));
  await vi.advanceTimersByTimeAsync(0);
  expect(nap.state).toBe("rejected");
  expect(vi.getTimerCount()).toBe(0);
});

test("never starts under a signal that has fired already", async () => {
  vi.useFakeTimers();
  const reason = new Error("before");
  await expect(sleep("1h", { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  expect(vi.getTimerCount()).toBe(0);
});

test("a sleep of 0 gives way to what is ready", async () => {
  const order: string[] = [];
  const nap = sleep(0).then(() => order.push("slept"));
  setImmediate(() => order.push("ready"));
  await nap;
  await new Promise((resolve) => setImmediate(resolve));
  expect(order).toContain("slept");
  expect(order).toHaveLength(2);
});

test("refuses what is no duration", async () => {
  await expect(sleep("soon" as "1s")).rejects.toBeInstanceOf(OptionError);
  await expect(sleep(-1)).rejects.toBeInstanceOf(OptionError);
});
