import { setTimeout as nodeSleep } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import { CancelledError, OptionError, StateError, TimeoutError } from "../../src/errors.ts";
import { range } from "../../src/concurrency/range.ts";
import { sleep } from "../../src/concurrency/sleep.ts";
import { currentTask, spawn } from "../../src/concurrency/task.ts";
import { type Deadline, timeout, timeoutAt, waitFor, withDeadline } from "../../src/concurrency/timeout.ts";
import { rejection, settled, settlement } from "./settlement.ts";

/** Long enough for the body to begin, also where this process has to wait for a core. */
const soon = 50;
const forever = (signal: AbortSignal): Promise<void> => sleep("1h", { signal });

afterEach(() => {
  vi.useRealTimers();
});

// -- timeout

test("throws TimeoutError when the limit is reached, with the cancellation as its cause", async () => {
  let seen: Deadline | undefined;
  const error = await rejection(
    timeout(soon, (signal, deadline) => {
      seen = deadline;
      return forever(signal);
    }),
  );
  expect(error).toBeInstanceOf(TimeoutError);
  expect(error).toMatchObject({ cause: expect.any(CancelledError) as unknown });
  expect(seen?.expired).toBe(true);
});

test("gives the body's value when it ends in time, and leaves no timer behind", async () => {
  vi.useFakeTimers();
  let seen: Deadline | undefined;
  const result = timeout("10s", async (_, deadline) => {
    seen = deadline;
    await sleep(1);
    return 42;
  });
  await vi.advanceTimersByTimeAsync(1);
  expect(await result).toBe(42);
  expect(seen?.expired).toBe(false);
  expect(vi.getTimerCount()).toBe(0);
});

test("fires exactly at its limit", async () => {
  vi.useFakeTimers();
  const result = settlement(timeout("2s", forever));
  await vi.advanceTimersByTimeAsync(1999);
  expect(result.state).toBe("pending");
  await vi.advanceTimersByTimeAsync(1);
  expect(result.reason).toBeInstanceOf(TimeoutError);
});

test("keeps a limit beyond Node's longest timer", async () => {
  vi.useFakeTimers();
  const result = settlement(timeout("40d", forever.bind(undefined, new AbortController().signal)));
  await vi.advanceTimersByTimeAsync(1000);
  expect(result.state).toBe("pending");
});

test("without a limit it never fires, and says so", async () => {
  expect(await timeout(undefined, async (signal, deadline) => [signal.aborted, deadline.at])).toEqual([false, undefined]);
  expect(await timeoutAt(undefined, async () => 1)).toBe(1);
});

test.each([0, -11])("a limit of %i never starts the body", async (limit) => {
  let started = false;
  const error = await rejection(
    timeout(limit, async () => {
      started = true;
    }),
  );
  expect(error).toBeInstanceOf(TimeoutError);
  expect(started).toBe(false);
});

test("an instant that has passed never starts the body", async () => {
  let started = false;
  for (const at of [new Date(Date.now() - 1000), Date.now() - 1000]) {
    const error = await rejection(
      timeoutAt(at, async () => {
        started = true;
      }),
    );
    expect(error).toBeInstanceOf(TimeoutError);
  }
  expect(started).toBe(false);
});

test("timeoutAt takes a Date or milliseconds since 1970, and shows when it is due", async () => {
  for (const at of [new Date(Date.now() + 60_000), Date.now() + 60_000]) {
    const due = await timeoutAt(at, async (_, deadline) => deadline.at?.getTime());
    expect(Math.abs((due ?? 0) - Number(at))).toBeLessThan(5);
  }
  expect(await rejection(timeoutAt(Date.now() + 2, forever))).toBeInstanceOf(TimeoutError);
});

test("waits for the cancelled work to end", async () => {
  const order: string[] = [];
  await rejection(timeout(soon, (signal) => forever(signal).finally(() => sleep(2).then(() => order.push("cleaned up")))));
  expect(order).toEqual(["cleaned up"]);
});

test("an error of the body is thrown as it is, before the limit and after", async () => {
  const early = new RangeError("early");
  expect(await rejection(timeout("1h", () => Promise.reject(early)))).toBe(early);
  const late = new RangeError("late");
  expect(await rejection(timeout(soon, (signal) => forever(signal).catch(() => Promise.reject(late))))).toBe(late);
});

test("a body that refuses the cancellation gives its value, though late", async () => {
  expect(await timeout(soon, (signal) => forever(signal).catch(() => "late"))).toBe("late");
});

test("the AbortError of a function that was given the signal counts as the limit's cancellation", async () => {
  expect(await rejection(timeout(1, (signal) => nodeSleep(3_600_000, undefined, { signal })))).toBeInstanceOf(TimeoutError);
});

test("a cancellation from outside is no timeout", async () => {
  let seen: Deadline | undefined;
  const task = spawn(() =>
    timeout("1h", (signal, deadline) => {
      seen = deadline;
      return forever(signal);
    }),
  );
  await settled();
  task.cancel("outside");
  expect(await rejection(task)).toMatchObject({ name: "CancelledError", message: "outside" });
  expect(seen?.expired).toBe(false);
});

test("an error given as the reason of a cancellation from outside is thrown as it is", async () => {
  const lost = new Error("lease lost");
  const inner: unknown[] = [];
  const task = spawn(() => timeout("1h", forever).catch((error: unknown) => inner.push(error)));
  await settled();
  task.cancel(lost);
  await task;
  expect(inner).toEqual([lost]);
});

test("cancelled from outside while it cleans up after its limit, it is no timeout", async () => {
  const task = spawn(() =>
    timeout(soon, async (signal) => {
      await forever(signal).catch(() => undefined);
      currentTask()?.cancel("outside");
      throw signal.reason;
    }),
  );
  expect(await rejection(task)).toMatchObject({ name: "CancelledError", message: "outside" });
});

test("the task that a timeout fires in is not cancelled by it", async () => {
  const task = spawn(async (signal) => {
    await rejection(timeout(1, forever));
    return [signal.aborted, currentTask()?.cancelling];
  });
  expect(await task).toEqual([false, 0]);
});

test("refuses what is no duration, no instant or no function", async () => {
  expect(await rejection(timeout("soon" as "1s", forever))).toBeInstanceOf(OptionError);
  expect(await rejection(timeoutAt(new Date(Number.NaN), forever))).toBeInstanceOf(OptionError);
  expect(await rejection(timeout(1, Promise.resolve() as never))).toBeInstanceOf(OptionError);
});

test("withDeadline gives its body the deadline, whose signal fires at the limit", async () => {
  expect(await rejection(withDeadline(1, (deadline) => forever(deadline.signal)))).toBeInstanceOf(TimeoutError);
  expect(await withDeadline("1h", async ({ expired, at }) => [expired, at instanceof Date])).toEqual([false, true]);
});

// -- nested

test("of nested limits for the same instant the outermost throws the TimeoutError", async () => {
  const at = Date.now() + 5;
  let inner: unknown;
  const outer = await rejection(
    timeoutAt(at, async () => {
      inner = await rejection(timeoutAt(at, forever));
      throw inner;
    }),
  );
  expect(inner).toBeInstanceOf(CancelledError);
  expect(outer).toBeInstanceOf(TimeoutError);
});

test("of nested limits of the same length the outermost throws, however the clock's fractions fall", async () => {
  for (let round = 0; round < 20; ) {
    const inner: unknown[] = [];
    const began = performance.now();
    let tookMs = Infinity;
    const innermost = (signal: AbortSignal): Promise<void> => {
      tookMs = performance.now() - began;
      return forever(signal);
    };
    const outer = await rejection(timeout(2, () => timeout(2, () => timeout(2, innermost)).catch((error: unknown) => Promise.reject(inner[inner.push(error) - 1]))));
    expect(outer).toBeInstanceOf(TimeoutError);
    // Who had to wait for a core in between has limits that end apart.
    if (tookMs > 0.5) continue;
    round += 1;
    expect(inner).toEqual([expect.any(CancelledError)]);
  }
});

test("an inner limit that is reached first throws, and the outer goes on", async () => {
  const result = await timeout("1h", async () => {
    expect(await rejection(timeout(1, forever))).toBeInstanceOf(TimeoutError);
    return "went on";
  });
  expect(result).toBe("went on");
});

test("with both limits passed while the loop was busy, the outer stops what comes after the inner", async () => {
  const error = await rejection(
    timeout(20, async (signal) => {
      await timeout(5, async (inner) => {
        const busyUntil = performance.now() + 30;
        while (performance.now() < busyUntil);
        await forever(inner);
      }).catch(() => undefined);
      await forever(signal);
    }),
  );
  expect(error).toBeInstanceOf(TimeoutError);
});

test("a limit in the cleaning up after another limit is a limit of its own", async () => {
  let inner: unknown;
  const outer = await rejection(
    timeout(soon, async (signal) => {
      try {
        await forever(signal);
      } finally {
        inner = await rejection(timeout(1, forever));
      }
    }),
  );
  expect(inner).toBeInstanceOf(TimeoutError);
  expect(outer).toBeInstanceOf(TimeoutError);
});

test("a limit in the cleaning up after a cancellation is reached, and a new cancellation interrupts it", async () => {
  const task = spawn(async (signal) => {
    await forever(signal).catch(() => undefined);
    expect(await rejection(timeout(1, forever))).toBeInstanceOf(TimeoutError);
    await timeout("1h", forever);
  });
  await settled();
  task.cancel("first");
  await sleep(5);
  task.cancel("second");
  expect(await rejection(task)).toMatchObject({ name: "CancelledError", message: "second" });
});

// -- reschedule

test("a limit can be moved and taken away", async () => {
  vi.useFakeTimers();
  let deadline: Deadline | undefined;
  const result = settlement(
    timeout("10s", (signal, own) => {
      deadline = own;
      return forever(signal);
    }),
  );
  const start = Date.now();
  expect(deadline?.at?.getTime()).toBe(start + 10_000);
  deadline?.reschedule("30s");
  expect(deadline?.at?.getTime()).toBe(start + 30_000);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(result.state).toBe("pending");
  deadline?.reschedule(undefined);
  expect(deadline?.at).toBeUndefined();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(result.state).toBe("pending");
  deadline?.rescheduleAt(Date.now() + 1000);
  await vi.advanceTimersByTimeAsync(1000);
  expect(result.reason).toBeInstanceOf(TimeoutError);
});

test("a limit moved into the past fires at once", async () => {
  const error = await rejection(
    timeout("1h", (signal, deadline) => {
      deadline.rescheduleAt(Date.now() - 1000);
      return forever(signal);
    }),
  );
  expect(error).toBeInstanceOf(TimeoutError);
});

test("a limit that was reached, or whose body has ended, cannot be moved", async () => {
  let deadline: Deadline | undefined;
  await timeout("1h", async (_, own) => {
    deadline = own;
  });
  expect(() => deadline?.reschedule(1)).toThrow(StateError);
  await timeout(soon, (signal, own) => forever(signal).catch(() => expect(() => own.reschedule(1)).toThrow(StateError)));
});

// -- waitFor

test("waitFor gives what a promise, a function or a handle gives in time", async () => {
  expect(await waitFor(Promise.resolve(1), "1h")).toBe(1);
  expect(await waitFor(async () => 2, "1h")).toBe(2);
  expect(await waitFor({ result: async () => 3 }, "1h")).toBe(3);
  expect(await waitFor(spawn(async () => 4), undefined)).toBe(4);
});

test("waitFor leaves a promise to itself at the limit", async () => {
  const gate = Promise.withResolvers<string>();
  expect(await rejection(waitFor(gate.promise, 1))).toBeInstanceOf(TimeoutError);
  gate.resolve("later");
  expect(await gate.promise).toBe("later");
});

test("waitFor tells a handle through a signal that nobody waits any more", async () => {
  let given: AbortSignal | undefined;
  const handle = {
    result: ({ signal }: { signal?: AbortSignal | undefined } = {}) => {
      given = signal;
      return new Promise<never>(() => undefined);
    },
  };
  expect(await rejection(waitFor(handle, 1))).toBeInstanceOf(TimeoutError);
  expect(given?.aborted).toBe(true);
});

test("waitFor cancels a task at the limit and waits for its end", async () => {
  const order: string[] = [];
  const task = spawn((signal) => forever(signal).finally(() => sleep(1).then(() => order.push("cleaned up"))));
  expect(await rejection(waitFor(task, 1))).toBeInstanceOf(TimeoutError);
  expect(task.cancelled).toBe(true);
  expect(order).toEqual(["cleaned up"]);
});

test("waitFor gives the value or the error of a task that answers its cancellation by that", async () => {
  expect(await waitFor(spawn((signal) => forever(signal).catch(() => "late")), 1)).toBe("late");
  const error = new RangeError("instead");
  expect(await rejection(waitFor(spawn((signal) => forever(signal).catch(() => Promise.reject(error))), 1))).toBe(error);
});

test.each([0, -1])("waitFor with a limit of %i takes what is there and nothing else", async (limit) => {
  expect(await waitFor(Promise.resolve("there"), limit)).toBe("there");
  const done = spawn(async () => "done");
  await done;
  expect(await waitFor(done, limit)).toBe("done");

  let started = false;
  const start = async (): Promise<void> => {
    started = true;
  };
  expect(await rejection(waitFor(start, limit))).toBeInstanceOf(TimeoutError);
  expect(await rejection(waitFor({ result: start }, limit))).toBeInstanceOf(TimeoutError);
  expect(started).toBe(false);
  expect(await rejection(waitFor(new Promise(() => undefined), limit))).toBeInstanceOf(TimeoutError);

  const running = spawn(forever);
  await settled();
  expect(await rejection(waitFor(running, limit))).toBeInstanceOf(TimeoutError);
  expect(running.cancelled).toBe(true);
});

test("cancelling who waits cancels the task waited for, and waits for its end", async () => {
  const order: string[] = [];
  const inner = spawn((signal) => forever(signal).finally(() => sleep(1).then(() => order.push("inner ended"))));
  const outer = spawn(() => waitFor(inner, "1h"));
  await settled();
  outer.cancel("outside");
  expect(await rejection(outer)).toMatchObject({ name: "CancelledError", message: "outside" });
  expect(inner.cancelled).toBe(true);
  expect(order).toEqual(["inner ended"]);
});

test("waitFor can be cancelled though the task it waits for holds the first cancellation up", async () => {
  const inner = spawn(async (signal) => {
    await forever(signal).catch(() => undefined);
    await timeout("1h", forever).catch(() => undefined);
    return 42;
  });
  const outer = spawn(() => waitFor(inner, 5));
  await sleep(15);
  expect(outer.done).toBe(false);
  outer.cancel();
  await settled();
  expect(inner.cancelling).toBe(2);
  expect(await inner).toBe(42);
});

test.each(range(8))("a cancellation at whatever moment, here turn %i, is not lost though the work waited for ends at the same time", async (turns) => {
  let reachedEnd = false;
  const task = spawn(async (signal) => {
    await waitFor(async () => undefined, "1h");
    await sleep("1h", { signal });
    reachedEnd = true;
  });
  for (let turn = 0; turn < turns; turn += 1) await undefined;
  task.cancel();
  expect(await rejection(task)).toBeInstanceOf(CancelledError);
  expect(reachedEnd).toBe(false);
});

test("waitFor refuses what cannot be waited for", async () => {
  expect(await rejection(waitFor(42 as never, 1))).toBeInstanceOf(OptionError);
});
