import { expect, test } from "vitest";
import { StateError, TimeoutError } from "../../src/errors.ts";
import { Condition } from "../../src/concurrency/condition.ts";
import { Lock } from "../../src/concurrency/lock.ts";
import { spawn } from "../../src/concurrency/task.ts";
import { timeout } from "../../src/concurrency/timeout.ts";
import { rejection, settled, settlement } from "./settlement.ts";

/** Starts so many that wait on the condition, and notes who was woken; they keep the lock until the test releases it. */
async function waiters(condition: Condition, count: number, order: number[]): Promise<void> {
  for (let number = 1; number <= count; number += 1) {
    void (async () => {
      await condition.acquire();
      await condition.wait();
      order.push(number);
    })();
    await settled();
  }
}

test("waiting lets go of the lock, and a notified one has it again only after the notifier's release", async () => {
  const condition = new Condition();
  const order: number[] = [];
  await waiters(condition, 3, order);
  expect(condition.locked).toBe(false);

  await condition.acquire();
  condition.notify();
  await settled();
  expect(order).toEqual([]);
  condition.release();
  await settled();
  expect(order).toEqual([1]);
  expect(condition.locked).toBe(true);

  condition.notify(2);
  await settled();
  expect(order).toEqual([1]);
  condition.release();
  await settled();
  expect(order).toEqual([1, 2]);
  condition.release();
  await settled();
  expect(order).toEqual([1, 2, 3]);
});

test("notify wakes as many as asked for, at most all", async () => {
  const condition = new Condition();
  const order: number[] = [];
  await waiters(condition, 3, order);
  for (const [count, woken] of [[1, [1]], [2048, [1, 2, 3]]] as const) {
    await condition.acquire();
    condition.notify(count);
    condition.release();
    await settled();
    while (condition.locked) {
      condition.release();
      await settled();
    }
    expect(order).toEqual(woken);
  }
});

test("notifyAll wakes all", async () => {
  const condition = new Condition();
  const order: number[] = [];
  await waiters(condition, 2, order);
  await condition.acquire();
  condition.notifyAll();
  condition.release();
  await settled();
  condition.release();
  await settled();
  expect(order).toEqual([1, 2]);
});

test("wait, notify and notifyAll without the lock are errors", async () => {
  const condition = new Condition();
  expect(await rejection(condition.wait())).toBeInstanceOf(StateError);
  expect(() => condition.notify()).toThrow(StateError);
  expect(() => condition.notifyAll()).toThrow(StateError);
});

test("waitFor looks anew after each notification and gives what the predicate gave", async () => {
  const condition = new Condition();
  let stock = 0;
  let looks = 0;
  const sale = settlement(
    (async () => {
      using _ = await condition.acquire();
      return await condition.waitFor(() => {
        looks += 1;
        return stock;
      });
    })(),
  );
  await settled();
  for (const next of [0, 5]) {
    await condition.acquire();
    stock = next;
    condition.notify();
    condition.release();
    await settled();
  }
  expect(sale).toMatchObject({ state: "fulfilled", value: 5 });
  expect(looks).toBe(3);
  expect(condition.locked).toBe(false);
});

test("waitFor does not wait for what is so already, and needs no lock then", async () => {
  expect(await new Condition().waitFor(() => "here")).toBe("here");
  expect(await rejection(new Condition().waitFor(() => false))).toBeInstanceOf(StateError);
});

test("a cancelled wait has the lock again before it throws", async () => {
  const condition = new Condition();
  await condition.acquire();
  const controller = new AbortController();
  const waiting = settlement(condition.wait({ signal: controller.signal }));
  await condition.acquire();
  controller.abort(new Error("gone"));
  await settled();
  expect(waiting.state).toBe("pending");
  condition.release();
  await settled();
  expect(waiting).toMatchObject({ state: "rejected", reason: { message: "gone" } });
  expect(condition.locked).toBe(true);
});

test("a wait under a signal that fired before keeps the lock", async () => {
  const condition = new Condition();
  await condition.acquire();
  await rejection(condition.wait({ signal: AbortSignal.abort() }));
  expect(condition.locked).toBe(true);
});

test.each([
  ["before it could run", (cancel: () => void, notify: () => void): void => {
    notify();
    cancel();
  }],
  ["while it waits for the lock", async (cancel: () => void, notify: () => void): Promise<void> => {
    notify();
    await settled();
    cancel();
  }],
])("one that was notified and then cancelled, %s, passes the notification on", async (_, race) => {
  const condition = new Condition();
  const controller = new AbortController();
  await condition.acquire();
  const first = settlement(condition.wait({ signal: controller.signal }).finally(() => condition.release()));
  await condition.acquire();
  const second = settlement(condition.wait().finally(() => condition.release()));
  await condition.acquire();
  await race(() => controller.abort(), () => condition.notify());
  condition.release();
  await settled();
  expect([first.state, second.state]).toEqual(["rejected", "fulfilled"]);
  expect(condition.locked).toBe(false);
});

test("a timeout around a wait leaves the lock held for the block it stands in", async () => {
  const condition = new Condition();
  {
    using _ = await condition.acquire();
    expect(await rejection(timeout(1, (signal) => condition.wait({ signal })))).toBeInstanceOf(TimeoutError);
    expect(condition.locked).toBe(true);
  }
  expect(condition.locked).toBe(false);
});

test("several conditions can share one lock", async () => {
  const lock = new Lock();
  const [full, empty] = [new Condition(lock), new Condition(lock)];
  {
    using _ = await full.acquire();
    expect([lock.locked, empty.locked]).toEqual([true, true]);
    empty.notify();
  }
  expect(lock.locked).toBe(false);
});

test.each([["while it waits", false], ["while it waits for the lock again", true]])("a task cancelled %s ends by the very error it was cancelled with", async (_, isNotified) => {
  const condition = new Condition();
  let seen: unknown;
  const task = spawn(async (signal) => {
    using _ = await condition.acquire({ signal });
    await condition.waitFor(() => false, { signal }).catch((error: unknown) => {
      seen = error;
      throw error;
    });
  });
  await settled();
  {
    using _ = await condition.acquire();
    if (isNotified) condition.notify();
    await settled();
    task.cancel("foo");
  }
  const error = await rejection(task);
  expect(error).toMatchObject({ name: "CancelledError", message: "foo" });
  expect(seen).toBe(error);
  expect(condition.locked).toBe(false);
});
