import { AsyncLocalStorage } from "node:async_hooks";
import { execFile } from "node:child_process";
import { setTimeout as nodeSleep } from "node:timers/promises";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { CancelledError, OptionError } from "../../src/errors.ts";
import { sleep } from "../../src/concurrency/sleep.ts";
import { allTasks, currentTask, spawn, startTask, type Task } from "../../src/concurrency/task.ts";
import { timeout } from "../../src/concurrency/timeout.ts";
import { rejection, settled } from "./settlement.ts";

test("awaiting a task gives what its body returned", async () => {
  const task = spawn(async () => 42);
  expect(task.done).toBe(false);
  expect(await task).toBe(42);
  expect(task).toMatchObject({ done: true, cancelled: false, settled: { status: "fulfilled", value: 42 } });
});

test("awaiting a task throws what its body threw, as often as it is awaited", async () => {
  const error = new Error("no");
  const task = spawn(() => {
    throw error;
  });
  expect(await rejection(task)).toBe(error);
  expect(await rejection(task)).toBe(error);
  expect(task).toMatchObject({ done: true, cancelled: false, settled: { status: "rejected", reason: error } });
});

test("a body starts after spawn has returned, in the order of the spawns", async () => {
  const order: string[] = [];
  const first = spawn(async () => order.push("first"));
  const second = spawn(async () => order.push("second"));
  order.push("spawned");
  await first;
  await second;
  expect(order).toEqual(["spawned", "first", "second"]);
});

test("a failed task that nobody awaited yet does not end the process", async () => {
  const error = new Error("later");
  const task = spawn(async () => {
    throw error;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(await rejection(task)).toBe(error);
});

test("an error that nobody ever looked at is told of once the task is garbage, and no other", async () => {
  const source = `
    import { sleep, spawn, taskGroup } from ${JSON.stringify(new URL("../../src/concurrency/index.ts", import.meta.url).href)};
    const fail = async () => { throw new RangeError("no") };
    process.on("warning", (warning) => {
      console.log(warning.name, warning.message.split("\\n")[0]);
      clearInterval(collecting);
    });
    (() => {
      spawn(fail, { name: "unseen" });
      spawn(fail, { name: "awaited" }).then(undefined, () => undefined);
      spawn(fail, { name: "looked at" }).onDone((task) => task.settled);
      spawn((signal) => sleep("1h", { signal }), { name: "cancelled" }).cancel();
      taskGroup(async (group) => group.spawn(fail, { name: "in a group" })).catch(() => undefined);
    })();
    const collecting = setInterval(() => gc(), 5);
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", "--no-warnings", "--input-type=module", "-e", source], { timeout: 20_000 });
  expect(stdout).toBe("UnseenTaskError task unseen failed and nobody looked at its error: RangeError: no\n");
});

test("has the name it was given, or a number", () => {
  expect(spawn(async () => 1, { name: "mail" }).name).toBe("mail");
  expect(spawn(async () => 1).name).toMatch(/^task-\d+$/);
});

test("refuses a promise in place of a function", () => {
  expect(() => spawn(Promise.resolve(1) as never)).toThrow(OptionError);
});

test("the body gets a signal however many parameters it declares", async () => {
  expect(await spawn(async (...args: unknown[]) => args[0] instanceof AbortSignal)).toBe(true);
});

test("the body of startTask gets its own task", async () => {
  const task: Task<boolean> = startTask(async (self) => self === currentTask());
  expect(await task).toBe(true);
});

test("context flows from where a task is spawned", async () => {
  const request = new AsyncLocalStorage<string>();
  const task = request.run("r-1", () => spawn(async () => request.getStore()));
  expect(await request.run("r-2", async () => task)).toBe("r-1");
});

// -- cancelling

test("a cancelled task rejects with CancelledError that carries the reason given", async () => {
  const task = spawn((signal) => sleep("1h", { signal }));
  await settled();
  expect(task.cancel("shutting down")).toBe(true);
  const error = await rejection(task);
  expect(error).toBeInstanceOf(CancelledError);
  expect(error).toMatchObject({ message: "shutting down" });
  expect(task).toMatchObject({ done: true, cancelled: true });
});

test("an error given as the reason becomes the signal's reason, and the cause of the CancelledError", async () => {
  const lost = new Error("lease lost");
  let seen: unknown;
  const task = spawn(async (signal) => {
    await sleep("1h", { signal }).catch((error: unknown) => {
      seen = error;
      throw error;
    });
  });
  await settled();
  task.cancel(lost);
  const error = await rejection(task);
  expect(seen).toBe(lost);
  expect(error).toBeInstanceOf(CancelledError);
  expect(error).toMatchObject({ cause: lost });
});

test("a task cancelled before it started never calls its body", async () => {
  let called = false;
  const task = spawn(async () => {
    called = true;
  });
  task.cancel();
  expect(await rejection(task)).toBeInstanceOf(CancelledError);
  expect(called).toBe(false);
});

test("a task whose cancellation is taken back before it started runs", async () => {
  const task = spawn(async (signal) => signal.aborted);
  task.cancel();
  expect(task.uncancel()).toBe(0);
  expect(await task).toBe(false);
});

test("a done task answers false and stays as it ended", async () => {
  const task = spawn(async () => 1);
  await task;
  expect(task.cancel()).toBe(false);
  expect(task).toMatchObject({ cancelled: false, cancelling: 0 });
  expect(await task).toBe(1);
});

test("a body may catch the cancellation, clean up and end with it", async () => {
  const order: string[] = [];
  const task = spawn(async (signal) => {
    try {
      await sleep("1h", { signal });
    } finally {
      await sleep(1);
      order.push("cleaned up");
    }
  });
  await settled();
  task.cancel();
  await rejection(task);
  expect(order).toEqual(["cleaned up"]);
  expect(task.cancelled).toBe(true);
});

test("a body may refuse the cancellation: its value stands and the task is not cancelled", async () => {
  const task = spawn((signal) => sleep("1h", { signal }).catch(() => "stayed"));
  await settled();
  task.cancel();
  expect(await task).toBe("stayed");
  expect(task).toMatchObject({ done: true, cancelled: false });
});

test("a body that returns before its cancellation has reached it has completed: what it did stands", async () => {
  const gate = Promise.withResolvers<void>();
  const deaf = spawn(() => gate.promise.then(() => "done"));
  const ownFault = spawn(async () => (currentTask()?.cancel(), "done too"));
  await settled();
  deaf.cancel();
  gate.resolve();
  expect([await deaf, await ownFault]).toEqual(["done", "done too"]);
  expect([deaf.cancelled, ownFault.cancelled]).toEqual([false, false]);
});

test("a cancellation taken back before it reached anybody is as if it had never been", async () => {
  const gate = Promise.withResolvers<void>();
  const task = spawn(async () => {
    await gate.promise;
    return timeout("1h", async (inner) => inner.aborted);
  });
  await settled();
  task.cancel();
  expect(task.uncancel()).toBe(0);
  gate.resolve();
  expect(await task).toBe(false);
});

test("an error thrown while cleaning up takes the place of the cancellation", async () => {
  const task = spawn(async (signal) => {
    try {
      await sleep("1h", { signal });
    } catch {
      throw new RangeError("while cleaning up");
    }
  });
  await settled();
  task.cancel();
  expect(await rejection(task)).toBeInstanceOf(RangeError);
  expect(task.cancelled).toBe(false);
});

test("the AbortError of a Node function given the task's signal counts as the cancellation", async () => {
  const task = spawn((signal) => nodeSleep(3_600_000, undefined, { signal }));
  await settled();
  task.cancel();
  expect(await rejection(task)).toBeInstanceOf(CancelledError);
  expect(task.cancelled).toBe(true);
});

test("an AbortError of somebody else's signal is an ordinary failure", async () => {
  const task = spawn(() => nodeSleep(3_600_000, undefined, { signal: AbortSignal.abort() }));
  expect(await rejection(task)).toMatchObject({ name: "AbortError" });
  expect(task.cancelled).toBe(false);
});

test("a task that awaits a cancelled task is cancelled by that too", async () => {
  const inner = spawn((signal) => sleep("1h", { signal }));
  const outer = spawn(async () => inner);
  await settled();
  inner.cancel();
  await rejection(outer);
  expect(outer.cancelled).toBe(true);
});

test("requests to cancel are counted, and uncancel never goes below 0", async () => {
  const task = spawn((signal) => sleep("1h", { signal }));
  await settled();
  expect(task.cancelling).toBe(0);
  task.cancel();
  task.cancel();
  expect(task.cancelling).toBe(2);
  expect(task.uncancel()).toBe(1);
  expect(task.uncancel()).toBe(0);
  expect(task.uncancel()).toBe(0);
  await rejection(task);
});

test("after uncancel to 0 the task has a fresh signal, and can be cancelled anew", async () => {
  const task = spawn(async (signal) => {
    await sleep("1h", { signal }).catch(() => undefined);
    const self = currentTask() as Task;
    self.uncancel();
    expect(self.signal.aborted).toBe(false);
    await sleep("1h", { signal: self.signal });
  });
  await settled();
  task.cancel("first");
  await settled();
  expect(task.done).toBe(false);
  task.cancel("second");
  expect(await rejection(task)).toMatchObject({ message: "second" });
});

test("a task can cancel itself", async () => {
  const task = spawn(async (signal) => {
    currentTask()?.cancel("by itself");
    await sleep("1h", { signal });
  });
  expect(await rejection(task)).toMatchObject({ message: "by itself" });
});

test("a cancelled body can clean up under a timeout, since a cancellation is delivered once", async () => {
  const order: string[] = [];
  const task = spawn(async (signal) => {
    try {
      await sleep("1h", { signal });
    } finally {
      await timeout("10s", async (inner) => {
        await sleep(1, { signal: inner });
        order.push("cleaned up");
      });
    }
  });
  await settled();
  task.cancel();
  await rejection(task);
  expect(order).toEqual(["cleaned up"]);
});

test("a second cancellation interrupts the cleaning up after the first", async () => {
  const task = spawn(async (signal) => {
    try {
      await sleep("1h", { signal });
    } finally {
      await timeout("1h", (inner) => sleep("1h", { signal: inner }));
    }
  });
  await settled();
  task.cancel("first");
  await settled();
  expect(task.done).toBe(false);
  task.cancel("second");
  expect(await rejection(task)).toMatchObject({ message: "second" });
});

test("a cancellation that reached nobody stops the next scope before it starts", async () => {
  let started = false;
  const gate = Promise.withResolvers<void>();
  const task = spawn(async () => {
    await gate.promise;
    await timeout("1h", async () => {
      started = true;
    });
  });
  await settled();
  task.cancel("while it took no signal");
  gate.resolve();
  expect(await rejection(task)).toMatchObject({ message: "while it took no signal" });
  expect(started).toBe(false);
});

test.each([
  ["looks at signal.aborted", (signal: AbortSignal): unknown => signal.aborted],
  ["calls throwIfAborted", (signal: AbortSignal): unknown => {
    try {
      return signal.throwIfAborted();
    } catch {
      return undefined;
    }
  }],
])("a cancellation is delivered to a body that %s, which can then enter scopes again", async (_, look) => {
  const gate = Promise.withResolvers<void>();
  const task = spawn(async (signal) => {
    await gate.promise;
    look(signal);
    expect(signal.aborted).toBe(true);
    return timeout("1h", async (inner) => (inner.aborted ? "lost" : "cleaned up"));
  });
  await settled();
  task.cancel();
  gate.resolve();
  expect(await task).toBe("cleaned up");
});

// -- looking on

test("onDone calls back in order, at once for a task that is done", async () => {
  const order: unknown[] = [];
  const task = spawn(async () => 7);
  task.onDone((ended) => order.push(ended.settled));
  task.onDone(() => order.push("second"));
  await task;
  task.onDone(() => order.push("late"));
  expect(order).toEqual([{ status: "fulfilled", value: 7 }, "second", "late"]);
});

test("currentTask is the task the code runs in, across awaits, and undefined outside", async () => {
  expect(currentTask()).toBeUndefined();
  const task: Task<boolean> = spawn(async () => {
    const before = currentTask();
    await sleep(1);
    return currentTask() === before && before === task;
  });
  expect(await task).toBe(true);
  expect(currentTask()).toBeUndefined();
});

test("code left running by a task that is done has no current task", async () => {
  const seen = Promise.withResolvers<unknown>();
  await spawn(async () => {
    setImmediate(() => seen.resolve(currentTask()));
  });
  expect(await seen.promise).toBeUndefined();
});

test("allTasks holds live tasks only, oldest first, and each knows its live parent and children", async () => {
  const gate = Promise.withResolvers<void>();
  let child: Task<void> | undefined;
  const parent = spawn(async () => {
    child = spawn(() => gate.promise);
    await settled();
  });
  await settled();
  expect(allTasks().filter((task) => task === parent || task === child)).toEqual([parent, child]);
  expect(child?.parent).toBe(parent);
  expect(parent.children).toEqual([child]);
  await parent;
  expect(child?.parent).toBeUndefined();
  expect(parent.children).toEqual([]);
  expect(allTasks()).not.toContain(parent);
  gate.resolve();
  await child;
  expect(allTasks()).not.toContain(child);
});

test("a task that is cancelled leaves the list of tasks", async () => {
  const task = spawn((signal) => sleep("1h", { signal }));
  await settled();
  task.cancel();
  await rejection(task);
  expect(allTasks()).not.toContain(task);
});
