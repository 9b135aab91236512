import { expect, test } from "vitest";
import { CancelledError, OptionError, StateError } from "../../src/errors.ts";
import { BoundedSemaphore, type Permit, Semaphore } from "../../src/concurrency/semaphore.ts";
import { sleep } from "../../src/concurrency/sleep.ts";
import { spawn } from "../../src/concurrency/task.ts";
import { taskGroup } from "../../src/concurrency/task-group.ts";
import { rejection, settled, settlement } from "./settlement.ts";

test("refuses anything but a whole number of at least 0", () => {
  for (const permits of [-1, 1.5, Number.NaN]) expect(() => new Semaphore(permits)).toThrow(OptionError);
});

test("one that starts at 0 is locked until the first release", async () => {
  const semaphore = new Semaphore(0);
  expect(semaphore.locked).toBe(true);
  const waiting = settlement(semaphore.acquire());
  await settled();
  expect(waiting.state).toBe("pending");
  semaphore.release();
  await settled();
  expect(waiting.state).toBe("fulfilled");
});

test("gives out its permits and counts what is left", async () => {
  const semaphore = new Semaphore(2);
  await semaphore.acquire();
  expect(semaphore).toMatchObject({ available: 1, locked: false });
  expect(semaphore.tryAcquire()).toBe(true);
  expect(semaphore).toMatchObject({ available: 0, locked: true });
  expect(semaphore.tryAcquire()).toBe(false);
  semaphore.release();
  semaphore.release();
  expect(semaphore.available).toBe(2);
});

test("a semaphore without a bound grows by a release too many, as asyncio's", () => {
  const semaphore = new Semaphore(1);
  semaphore.release();
  expect(semaphore.available).toBe(2);
});

test("a permit is given back at the end of its block, however the block ends", async () => {
  const semaphore = new Semaphore(1);
  await expect(
    (async () => {
      using _ = await semaphore.acquire();
      expect(semaphore.locked).toBe(true);
      throw new Error("out");
    })(),
  ).rejects.toThrow("out");
  expect(semaphore.available).toBe(1);
  {
    await using _ = await semaphore.acquire();
    expect(semaphore.locked).toBe(true);
  }
  expect(semaphore.available).toBe(1);
});

test("disposing a permit twice gives it back once", async () => {
  const semaphore = new Semaphore(1);
  const permit: Permit = await semaphore.acquire();
  permit[Symbol.dispose]();
  permit[Symbol.dispose]();
  expect(semaphore.available).toBe(1);
});

test("those who wait are served strictly in the order they came, with a signal or without", async () => {
  const semaphore = new Semaphore(0);
  const { signal } = new AbortController();
  const order: number[] = [];
  const waiting = [0, 1, 2, 3, 4, 5].map(async (number) => {
    await semaphore.acquire(number % 2 === 0 ? { signal } : {});
    order.push(number);
  });
  for (const _ of waiting) semaphore.release();
  await Promise.all(waiting);
  expect(order).toEqual([0, 1, 2, 3, 4, 5]);
});

test("one who releases and acquires again goes behind those who wait", async () => {
  const semaphore = new Semaphore(1);
  const order: string[] = [];
  const twice = async (name: string): Promise<void> => {
    for (const round of [1, 2]) {
      await semaphore.acquire();
      order.push(`${name}${round}`);
      await sleep(0);
      semaphore.release();
    }
  };
  await Promise.all(["a", "b", "c"].map(twice));
  expect(order).toEqual(["a1", "b1", "c1", "a2", "b2", "c2"]);
});

test("nobody barges in between a release and the one it wakes", async () => {
  const semaphore = new Semaphore(1);
  await semaphore.acquire();
  const waiting = settlement(semaphore.acquire());
  semaphore.release();
  expect(semaphore.tryAcquire()).toBe(false);
  const late = settlement(semaphore.acquire());
  await settled();
  expect([waiting.state, late.state]).toEqual(["fulfilled", "pending"]);
});

test("as many releases wake as many, and the rest wait on", async () => {
  const semaphore = new Semaphore(0);
  const waiting = [1, 2, 3].map(() => settlement(semaphore.acquire()));
  semaphore.release();
  semaphore.release();
  expect(semaphore.available).toBe(0);
  await settled();
  expect(waiting.map(({ state }) => state)).toEqual(["fulfilled", "fulfilled", "pending"]);
});

test("a cancelled waiter leaves the line: those behind it are served in order", async () => {
  const semaphore = new Semaphore(0);
  const controllers = [1, 2, 3, 4].map(() => new AbortController());
  const waiting = controllers.map(({ signal }) => settlement(semaphore.acquire({ signal })));
  controllers[0]?.abort(new Error("first gone"));
  controllers[1]?.abort(new Error("second gone"));
  semaphore.release();
  await settled();
  expect(waiting.map(({ state }) => state)).toEqual(["rejected", "rejected", "fulfilled", "pending"]);
  expect(waiting[0]).toMatchObject({ reason: { message: "first gone" } });
});

test("a waiter cancelled after its wake-up passes it on", async () => {
  const semaphore = new Semaphore(0);
  const controller = new AbortController();
  const first = settlement(semaphore.acquire({ signal: controller.signal }));
  const second = settlement(semaphore.acquire());
  semaphore.release();
  controller.abort();
  await settled();
  expect([first.state, second.state]).toEqual(["rejected", "fulfilled"]);
});

test("a waiter cancelled after its wake-up gives the permit back when nobody else waits", async () => {
  const semaphore = new Semaphore(0);
  const controller = new AbortController();
  const only = settlement(semaphore.acquire({ signal: controller.signal }));
  semaphore.release();
  controller.abort();
  await settled();
  expect(only.state).toBe("rejected");
  expect(semaphore.available).toBe(1);
});

test("a signal that fired before takes no permit, even where one is free", async () => {
  const semaphore = new Semaphore(1);
  const reason = new Error("before");
  expect(await rejection(semaphore.acquire({ signal: AbortSignal.abort(reason) }))).toBe(reason);
  expect(semaphore.available).toBe(1);
});

test("a task cancelled while it waits does not hang those behind it", async () => {
  const semaphore = new Semaphore(1);
  await taskGroup(async (group) => {
    group.spawn(async (signal) => {
      {
        using _ = await semaphore.acquire({ signal });
        await sleep(1, { signal });
      }
      waiter.cancel();
    });
    const waiter = group.spawn(async (signal) => {
      using _ = await semaphore.acquire({ signal });
      throw new Error("never had it");
    });
  });
  expect(semaphore.available).toBe(1);
});

test("the cancellation of a task reaches the acquire it waits in", async () => {
  const semaphore = new Semaphore(0);
  const task = spawn((signal) => semaphore.acquire({ signal }));
  await settled();
  task.cancel();
  expect(await rejection(task)).toBeInstanceOf(CancelledError);
});

test("one release too many of a bounded semaphore is an error and changes nothing", async () => {
  const semaphore = new BoundedSemaphore(2);
  await semaphore.acquire();
  semaphore.release();
  expect(() => semaphore.release()).toThrow(StateError);
  expect(semaphore.available).toBe(2);
});

test("a bounded semaphore that hands a permit on is not released too often by that", async () => {
  const semaphore = new BoundedSemaphore(1);
  await semaphore.acquire();
  const controller = new AbortController();
  const waiting = settlement(semaphore.acquire({ signal: controller.signal }));
  semaphore.release();
  controller.abort();
  await settled();
  expect(waiting.state).toBe("rejected");
  expect(semaphore.available).toBe(1);
  expect(() => semaphore.release()).toThrow(StateError);
});

test("of several releases at once the first go to those who wait, the rest to those who come next, and all in order", async () => {
  const semaphore = new Semaphore(0);
  const order: string[] = [];
  const acquire = async (name: string): Promise<void> => {
    await semaphore.acquire();
    order.push(name);
  };
  const waiting = acquire("waits");
  for (const _ of [1, 2, 3]) semaphore.release();
  expect(semaphore.available).toBe(2);
  await Promise.all([waiting, acquire("comes"), acquire("comes later")]);
  expect(order).toEqual(["waits", "comes", "comes later"]);
  expect(semaphore.locked).toBe(true);
});

test("more permits go to those who wait, first come first served; the rest is there to be taken", async () => {
  const semaphore = new Semaphore(1);
  await semaphore.acquire();
  const waiting = [settlement(semaphore.acquire()), settlement(semaphore.acquire())];
  semaphore.adjust(1);
  await settled();
  expect(waiting.map(({ state }) => state)).toEqual(["fulfilled", "pending"]);
  semaphore.adjust(3);
  await settled();
  expect(waiting[1]?.state).toBe("fulfilled");
  expect(semaphore.available).toBe(2);
});

test("of fewer permits no more are held once those beyond have come back", async () => {
  const semaphore = new Semaphore(3);
  for (let taken = 0; taken < 3; taken += 1) await semaphore.acquire();
  const waiting = settlement(semaphore.acquire());
  semaphore.adjust(-2);
  expect(semaphore).toMatchObject({ available: 0, locked: true });
  semaphore.release();
  semaphore.release();
  await settled();
  expect(waiting.state).toBe("pending");
  expect(semaphore.tryAcquire()).toBe(false);
  semaphore.release();
  await settled();
  expect(waiting.state).toBe("fulfilled");
  semaphore.release();
  expect(semaphore.available).toBe(1);
});

test("permits that were taken away and given again are as before, whatever came back between", async () => {
  const semaphore = new Semaphore(2);
  for (let taken = 0; taken < 2; taken += 1) await semaphore.acquire();
  semaphore.adjust(-2);
  semaphore.release();
  semaphore.adjust(2);
  expect(semaphore.available).toBe(1);
  semaphore.release();
  expect(semaphore.available).toBe(2);
  expect(() => semaphore.adjust(0.5)).toThrow(OptionError);
});

test("a bounded semaphore is bounded by what it has now", () => {
  const semaphore = new BoundedSemaphore(1);
  semaphore.adjust(1);
  for (let taken = 0; taken < 2; taken += 1) expect(semaphore.tryAcquire()).toBe(true);
  semaphore.adjust(-1);
  semaphore.release();
  semaphore.release();
  expect(() => semaphore.release()).toThrow(StateError);
});
