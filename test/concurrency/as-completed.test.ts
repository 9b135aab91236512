import { afterEach, expect, test, vi } from "vitest";
import { asCompleted } from "../../src/concurrency/as-completed.ts";
import { CancelledError, OptionError, TimeoutError } from "../../src/errors.ts";
import { sleep } from "../../src/concurrency/sleep.ts";
import { spawn, type Task } from "../../src/concurrency/task.ts";
import { rejection, settled } from "./settlement.ts";

afterEach(() => {
  vi.useRealTimers();
});

test("gives the very tasks it was given, in the order in which they end", async () => {
  const tasks = [15, 1, 8].map((ms) => spawn(() => sleep(ms).then(() => ms)));
  const order: Task<number>[] = [];
  for await (const { task } of asCompleted(tasks)) order.push(task);
  expect(order).toEqual([tasks[1], tasks[2], tasks[0]]);
  expect(order.map((task) => task.done)).toEqual([true, true, true]);
});

test("gives those done already first, failed and cancelled ones too, and none twice", async () => {
  const done = spawn(async () => "done");
  const failed = spawn(() => Promise.reject(new Error("failed")));
  const cancelled = spawn((signal) => sleep("1h", { signal }));
  cancelled.cancel();
  for (const task of [done, failed, cancelled] as Task[]) await task.then(undefined, () => undefined);
  const late = spawn(() => sleep(1));
  const order: Task[] = [];
  for await (const { task } of asCompleted<Task>([late, done, done, failed, cancelled])) order.push(task);
  expect(order).toEqual([done, failed, cancelled, late]);
});

test("of nothing ends at once", async () => {
  for await (const { task } of asCompleted([])) expect(task).toBeUndefined();
});

test("throws TimeoutError at the step in which its timeout passes, and the tasks run on", async () => {
  vi.useFakeTimers();
  const [a, b] = [spawn(() => sleep(100).then(() => "a")), spawn(() => sleep(150).then(() => "b"))];
  const got: unknown[] = [];
  const loop = rejection(
    (async () => {
      for await (const { task } of asCompleted([a, b], { timeout: 120 })) got.push(await task);
    })(),
  );
  await vi.advanceTimersByTimeAsync(120);
  expect(await loop).toBeInstanceOf(TimeoutError);
  expect(got).toEqual(["a"]);
  await vi.advanceTimersByTimeAsync(30);
  expect(await b).toBe("b");
});

test("leaves no timer behind when the loop is left early", async () => {
  vi.useFakeTimers();
  const slow = spawn((signal) => sleep("1h", { signal }));
  for await (const { task } of asCompleted([spawn(async () => 1), slow], { timeout: "2h" })) {
    expect(await task).toBe(1);
    break;
  }
  slow.cancel();
  await rejection(slow);
  expect(vi.getTimerCount()).toBe(0);
});

test("cancelling who loops ends the loop and leaves the tasks running", async () => {
  const gate = Promise.withResolvers<number>();
  const inner = spawn(() => gate.promise);
  const outer = spawn(async () => {
    for await (const { task } of asCompleted([inner])) await task;
  });
  await settled();
  outer.cancel();
  expect(await rejection(outer)).toBeInstanceOf(CancelledError);
  gate.resolve(1);
  expect(await inner).toBe(1);
});

test("refuses what is no task", async () => {
  expect(await rejection(asCompleted([Promise.resolve()] as never).next())).toBeInstanceOf(OptionError);
});
