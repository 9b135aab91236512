import { afterEach, expect, test, vi } from "vitest";
import { CancelledError, OptionError } from "../../src/errors.ts";
import { sleep } from "../../src/concurrency/sleep.ts";
import { spawn } from "../../src/concurrency/task.ts";
import { wait } from "../../src/concurrency/wait.ts";
import { rejection, settled, settlement } from "./settlement.ts";

afterEach(() => {
  vi.useRealTimers();
});

const nap = (ms: number): (() => Promise<number>) => () => sleep(ms).then(() => ms);

test("comes back when all are done, and throws none of their errors", async () => {
  const a = spawn(nap(2));
  const b = spawn(() => sleep(1).then(() => Promise.reject(new Error("b"))));
  const { done, pending } = await wait([a, b]);
  expect([done, pending]).toEqual([new Set([a, b]), new Set()]);
  expect(b.settled?.status).toBe("rejected");
  expect((await wait([a, b])).done.size).toBe(2);
});

test("takes any iterable of tasks, and one given twice counts once", async () => {
  const a = spawn(nap(1));
  const twice = [a, a];
  expect((await wait(twice.values())).done).toEqual(new Set([a]));
});

test("comes back with the first that is done, and leaves the others running", async () => {
  const gate = Promise.withResolvers<void>();
  const slow = spawn(() => gate.promise);
  const fast = spawn(nap(1));
  const { done, pending } = await wait([slow, fast], { returnWhen: "firstCompleted" });
  expect([done, pending]).toEqual([new Set([fast]), new Set([slow])]);
  expect(slow).toMatchObject({ done: false, cancelling: 0 });
  gate.resolve();
  await slow;
});

test("comes back with the first that failed; one that was cancelled has not failed", async () => {
  const gate = Promise.withResolvers<void>();
  const slow = spawn(() => gate.promise);
  const cancelled = spawn((signal) => sleep("1h", { signal }));
  const failing = spawn(() => sleep(5).then(() => Promise.reject(new Error("no"))));
  cancelled.cancel();
  const { done, pending } = await wait([slow, cancelled, failing], { returnWhen: "firstException" });
  expect([done, pending]).toEqual([new Set([cancelled, failing]), new Set([slow])]);
  gate.resolve();
});

test("with a failed task among them it comes back at once", async () => {
  const failed = spawn(() => Promise.reject(new Error("no")));
  await rejection(failed);
  const slow = spawn((signal) => sleep("1h", { signal }));
  expect((await wait([slow, failed], { returnWhen: "firstException" })).pending).toEqual(new Set([slow]));
  slow.cancel();
});

test("comes back at the timeout with what is done, throws nothing and cancels nothing", async () => {
  vi.useFakeTimers();
  const [a, b] = [spawn(nap(100)), spawn(nap(150))];
  const result = settlement(wait([a, b], { timeout: 110 }));
  await vi.advanceTimersByTimeAsync(110);
  expect(result.value).toEqual({ done: new Set([a]), pending: new Set([b]) });
  expect(b).toMatchObject({ done: false, cancelling: 0 });
  await vi.advanceTimersByTimeAsync(40);
  expect(await b).toBe(150);
});

test("leaves no timer behind when the tasks were quicker", async () => {
  vi.useFakeTimers();
  const result = wait([spawn(async () => 1)], { timeout: "1h" });
  await vi.advanceTimersByTimeAsync(0);
  await result;
  expect(vi.getTimerCount()).toBe(0);
});

test("cancelling who waits ends the waiting and leaves the tasks running", async () => {
  const gate = Promise.withResolvers<number>();
  const inner = spawn(() => gate.promise);
  const outer = spawn(() => wait([inner]));
  await settled();
  outer.cancel();
  expect(await rejection(outer)).toBeInstanceOf(CancelledError);
  gate.resolve(1);
  expect(await inner).toBe(1);
});

test("refuses no tasks at all, what is no task, and options it does not know", async () => {
  expect(await rejection(wait([]))).toBeInstanceOf(OptionError);
  expect(await rejection(wait([Promise.resolve()] as never))).toBeInstanceOf(OptionError);
  expect(await rejection(wait(spawn(async () => 1) as never))).toBeInstanceOf(OptionError);
  expect(await rejection(wait([spawn(async () => 1)], { returnWhen: "first" as never }))).toBeInstanceOf(OptionError);
});
