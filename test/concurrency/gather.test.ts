import { expect, expectTypeOf, test } from "vitest";
import { CancelledError, OptionError } from "../../src/errors.ts";
import { gather } from "../../src/concurrency/gather.ts";
import { range } from "../../src/concurrency/range.ts";
import { sleep } from "../../src/concurrency/sleep.ts";
import { allTasks, currentTask, spawn } from "../../src/concurrency/task.ts";
import { timeout } from "../../src/concurrency/timeout.ts";
import { rejection, settled, settlement } from "./settlement.ts";

const forever = (signal: AbortSignal): Promise<void> => sleep("1h", { signal });

test("gives the results in the order given, whatever ends first, each of its own type", async () => {
  const results = await gather([
    Promise.resolve(1),
    async (signal: AbortSignal) => sleep(2, { signal }).then(() => "two"),
    { result: async () => new Date(3) },
    spawn(async () => true),
  ]);
  expect(results).toEqual([1, "two", new Date(3), true]);
  expectTypeOf(results).toEqualTypeOf<[number, string, Date, boolean]>();
});

test("gives an array of one type for an array of functions", async () => {
  const results = await gather(range(3).map((number) => async () => number * 2));
  expect(results).toEqual([0, 2, 4]);
  expectTypeOf(results).toEqualTypeOf<number[]>();
});

test("takes handles whose result() has options of its own", async () => {
  interface Handle<T> {
    result(options?: { readonly timeout?: number; readonly signal?: AbortSignal }): Promise<T>;
  }
  const handles: Handle<Date>[] = range(2).map((number) => ({ result: async () => new Date(number) }));
  const results = await gather(handles);
  expect(results).toEqual([new Date(0), new Date(1)]);
  expectTypeOf(results).toEqualTypeOf<Date[]>();
});

test("runs functions at the same time: two sleeps take as long as the longer", async () => {
  const order: string[] = [];
  const program = (name: string, ms: number) => async (): Promise<void> => {
    order.push(`${name} starting`);
    await sleep(ms);
    order.push(`${name} completed`);
  };
  await gather([program("task 1", 20), program("task 2", 10)]);
  expect(order).toEqual(["task 1 starting", "task 2 starting", "task 2 completed", "task 1 completed"]);
});

test("of nothing gives nothing", async () => {
  expect(await gather([])).toEqual([]);
  expect(await gather([], { errors: "collect" })).toEqual([]);
});

test("the first error is thrown at once, and the others go on", async () => {
  const ended: string[] = [];
  const error = new RangeError("first");
  const slow = spawn(() => sleep(5).then(() => ended.push("task")));
  const gathered = gather([slow, () => sleep(5).then(() => ended.push("function")), () => Promise.reject(error), () => sleep(1).then(() => Promise.reject(new Error("second")))]);
  expect(await rejection(gathered)).toBe(error);
  expect(ended).toEqual([]);
  await sleep(15);
  expect(ended.toSorted()).toEqual(["function", "task"]);
});

test("one that was cancelled counts as an error", async () => {
  const task = spawn(forever);
  const gathered = gather([task, forever]);
  await settled();
  task.cancel("on its own");
  expect(await rejection(gathered)).toMatchObject({ name: "CancelledError", message: "on its own" });
  for (const left of allTasks()) left.cancel();
});

test("errors are collected on request, each in its place", async () => {
  const error = new RangeError("no");
  const cancelled = spawn(forever);
  const gathered = gather([Promise.reject(error), async () => "yes", cancelled, { result: () => Promise.reject(error) }], { errors: "collect" });
  cancelled.cancel();
  const results = await gathered;
  expect(results).toEqual([
    { status: "rejected", reason: error },
    { status: "fulfilled", value: "yes" },
    { status: "rejected", reason: expect.any(CancelledError) as unknown },
    { status: "rejected", reason: error },
  ]);
  expectTypeOf(results[1]).toEqualTypeOf<PromiseSettledResult<string>>();
});

test("a promise given twice is waited for twice, a function given twice runs twice", async () => {
  let runs = 0;
  const count = async (): Promise<number> => (runs += 1);
  const promise = Promise.resolve("p");
  expect(await gather([promise, promise, count, count])).toEqual(["p", "p", 1, 2]);
});

test("cancelling who gathers cancels the functions, waits for their end, and throws the cancellation", async () => {
  const order: string[] = [];
  const task = spawn(() => gather(range(3).map((number) => (signal: AbortSignal) => forever(signal).finally(() => sleep(number).then(() => order.push(`${number} ended`))))));
  await settled();
  expect(task.cancel("outside")).toBe(true);
  expect(await rejection(task)).toMatchObject({ message: "outside" });
  expect(order.toSorted()).toEqual(["0 ended", "1 ended", "2 ended"]);
});

test("cancelling who gathers leaves promises and tasks running, and tells handles by a signal", async () => {
  const gate = Promise.withResolvers<string>();
  const inner = spawn(() => gate.promise);
  let given: AbortSignal | undefined;
  const handle = {
    result: ({ signal }: { signal?: AbortSignal | undefined } = {}) => {
      given = signal;
      return gate.promise;
    },
  };
  const task = spawn(() => gather([gate.promise, inner, handle]));
  await settled();
  task.cancel();
  expect(await rejection(task)).toBeInstanceOf(CancelledError);
  expect(given?.aborted).toBe(true);
  gate.resolve("still");
  expect(await inner).toBe("still");
});

test("collecting errors does not collect a cancellation from outside", async () => {
  const task = spawn(() => gather([forever, async () => 1], { errors: "collect" }));
  await settled();
  task.cancel();
  expect(await rejection(task)).toBeInstanceOf(CancelledError);
});

test("functions that go on after the first error are not cancelled with who gathered", async () => {
  const gate = Promise.withResolvers<void>();
  const seen: AbortSignal[] = [];
  const task = spawn(async (signal) => {
    await gather([
      () => Promise.reject(new Error("first")),
      (inner) => {
        seen.push(inner);
        return gate.promise;
      },
    ]).catch(() => undefined);
    await forever(signal);
  });
  await settled();
  task.cancel();
  await rejection(task);
  expect(seen.map(({ aborted }) => aborted)).toEqual([false]);
  gate.resolve();
});

test.each(range(12))("a cancellation at whatever moment, here turn %i, is not lost though the results are there already", async (turns) => {
  let cancelledBefore: boolean | undefined;
  const task = spawn(async () => {
    await gather([Promise.resolve(1)]);
    await timeout("1h", async () => {
      cancelledBefore = (currentTask()?.cancelling ?? 0) > 0;
    });
  });
  for (const _ of range(turns)) await undefined;
  task.cancel();
  await task.then(undefined, () => undefined);
  expect(cancelledBefore ?? false).toBe(false);
});

test("gather of a gather gives nested results", async () => {
  expect(await gather([() => gather([async () => 1, async () => 2]), async () => 3])).toEqual([[1, 2], 3]);
});

test("refuses what cannot be waited for before it starts anything", async () => {
  let started = false;
  const start = async (): Promise<void> => {
    started = true;
  };
  expect(await rejection(gather([start, {} as never]))).toBeInstanceOf(OptionError);
  expect(await rejection(gather(start as never))).toBeInstanceOf(OptionError);
  expect(await rejection(gather([], { errors: "ignore" } as never))).toBeInstanceOf(OptionError);
  await settled();
  expect(started).toBe(false);
});

test("a handle that throws instead of giving a promise counts as failed", async () => {
  const error = new Error("no such job");
  const handle = {
    result: (): Promise<never> => {
      throw error;
    },
  };
  const gathered = settlement(gather([handle]));
  await settled();
  expect(gathered).toMatchObject({ state: "rejected", reason: error });
});
