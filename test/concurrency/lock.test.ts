import { once } from "node:events";
import { expect, test } from "vitest";
import { StateError } from "../../src/errors.ts";
import { Lock } from "../../src/concurrency/lock.ts";
import { settled, settlement } from "./settlement.ts";

test("is held by one at a time and free after its release", async () => {
  const lock = new Lock();
  const held = await lock.acquire();
  expect(lock.locked).toBe(true);
  expect(lock.tryAcquire()).toBe(false);
  held[Symbol.dispose]();
  expect(lock.locked).toBe(false);
  expect(lock.tryAcquire()).toBe(true);
  lock.release();
  expect(lock.locked).toBe(false);
});

test("is released at the end of a block, however it ends", async () => {
  const lock = new Lock();
  const body = async (): Promise<void> => {
    using _ = await lock.acquire();
    throw new Error("out");
  };
  await expect(body()).rejects.toThrow("out");
  expect(lock.locked).toBe(false);
});

test("releasing a lock that nobody holds is an error", () => {
  expect(() => new Lock().release()).toThrow(StateError);
});

test("a block that has released the lock by hand is warned of one release too many, and keeps its own error", async () => {
  const lock = new Lock();
  const warned = once(process, "warning");
  const body = async (): Promise<void> => {
    using _ = await lock.acquire();
    lock.release();
    throw new RangeError("of the body");
  };
  await expect(body()).rejects.toThrow(RangeError);
  expect(await warned).toMatchObject([{ name: "StateError", code: "STATE_INVALID" }]);
  expect(lock.locked).toBe(false);
});

test("goes to those who wait in the order they came, one with each release", async () => {
  const lock = new Lock();
  await lock.acquire();
  const order: number[] = [];
  for (const number of [1, 2, 3]) void lock.acquire().then(() => order.push(number));
  for (const number of [1, 2, 3]) {
    lock.release();
    await settled();
    expect(order).toHaveLength(number);
  }
  expect(order).toEqual([1, 2, 3]);
});

test("when a waiter is cancelled and the lock released at once, exactly one of the others has it", async () => {
  const lock = new Lock();
  await lock.acquire();
  const controller = new AbortController();
  const first = settlement(lock.acquire({ signal: controller.signal }));
  const second = settlement(lock.acquire());
  const third = settlement(lock.acquire());
  await settled();
  controller.abort();
  lock.release();
  await settled();
  expect([first.state, second.state, third.state]).toEqual(["rejected", "fulfilled", "pending"]);
  expect(lock.locked).toBe(true);
});

test("released first and the waiter cancelled after, it goes to the next", async () => {
  const lock = new Lock();
  await lock.acquire();
  const controller = new AbortController();
  const first = settlement(lock.acquire({ signal: controller.signal }));
  const second = settlement(lock.acquire());
  lock.release();
  controller.abort();
  await settled();
  expect([first.state, second.state]).toEqual(["rejected", "fulfilled"]);
  lock.release();
  expect(lock.locked).toBe(false);
});
