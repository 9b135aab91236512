/**
 * The laws that hold whatever the interleaving: order, truth of joins, and that no wake-up, item or permit is lost
 * when waiters are cancelled at random moments.
 */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { CancelledError, QueueShutDownError } from "../../src/errors.ts";
import { Barrier } from "../../src/concurrency/barrier.ts";
import { Condition } from "../../src/concurrency/condition.ts";
import { Event } from "../../src/concurrency/event.ts";
import { LifoQueue, PriorityQueue, Queue } from "../../src/concurrency/queue.ts";
import { range } from "../../src/concurrency/range.ts";
import { Semaphore } from "../../src/concurrency/semaphore.ts";
import { spawn, type Task } from "../../src/concurrency/task.ts";
import { taskGroup } from "../../src/concurrency/task-group.ts";
import { settled } from "./settlement.ts";

const runs = 2000;
/** A property stops looking for counterexamples after this long: a shared machine may be slow. */
const LIMIT_MS = 4000;

/** Holds for thousands of random programs, one after the other. */
async function holds<T>(programs: fc.Arbitrary<T>, law: (program: T) => Promise<void>): Promise<void> {
  const endAt = performance.now() + LIMIT_MS;
  const property = fc.asyncProperty(programs, async (program) => {
    if (performance.now() < endAt) await law(program);
  });
  await fc.assert(property, { numRuns: runs });
}

/** How many microtasks to let pass: the finest interleaving there is. */
const turns = fc.integer({ min: 0, max: 4 });

async function pass(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await undefined;
}

/** Waits for every task, whichever way it ends; throws the first error that is no cancellation. */
async function endOf(tasks: readonly Task[]): Promise<void> {
  for (const task of tasks) {
    await task.then(undefined, (error: unknown) => {
      if (!(error instanceof CancelledError)) throw error;
    });
  }
}

test("a semaphore never gives out more than it has, serves in order, and loses no permit to a cancelled waiter", async () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant("acquire" as const), hold: turns, signal: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("cancel" as const), which: fc.nat(20) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("pass" as const), turns }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("try" as const) }) },
  );
  await holds(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.array(step, { maxLength: 40 })), async ([permits, steps]) => {
    const semaphore = new Semaphore(permits);
    const tasks: Task[] = [];
    const served: number[] = [];
    let held = 0;
    for (const one of steps) {
      if (one.do === "pass") await pass(one.turns);
      else if (one.do === "cancel") tasks[one.which % Math.max(1, tasks.length)]?.cancel();
      else if (one.do === "try") {
        if (semaphore.tryAcquire()) {
          expect(held).toBeLessThan(permits);
          semaphore.release();
        }
      } else {
        const number = tasks.length;
        tasks.push(
          spawn(async (signal) => {
            using _ = await semaphore.acquire(one.signal ? { signal } : {});
            served.push(number);
            held += 1;
            expect(held).toBeLessThanOrEqual(permits);
            await pass(one.hold);
            held -= 1;
          }),
        );
      }
    }
    await endOf(tasks);
    expect(semaphore.available).toBe(permits);
    expect(served).toEqual(served.toSorted((a, b) => a - b));
    for (const [number, task] of tasks.entries()) if (!task.cancelled) expect(served).toContain(number);
  });
});

const queueStep = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("put" as const), value: fc.integer({ min: 0, max: 5 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("get" as const), work: turns }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("cancel" as const), which: fc.nat(30) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("pass" as const), turns }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("join" as const) }) },
);

interface Item {
  readonly value: number;
  readonly number: number;
}

test.each([
  ["Queue", (maxSize: number) => new Queue<Item>({ maxSize })],
  ["LifoQueue", (maxSize: number) => new LifoQueue<Item>({ maxSize })],
  ["PriorityQueue", (maxSize: number) => new PriorityQueue<Item>({ maxSize, compare: (a, b) => a.value - b.value })],
])("a %s loses and doubles no item under random cancels, and its join is true", async (_, make) => {
  await holds(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.array(queueStep, { maxLength: 50 })), async ([maxSize, steps]) => {
    const queue = make(maxSize);
    const tasks: Task[] = [];
    const joins: Task[] = [];
    const put: Item[] = [];
    const got: Item[] = [];
    let unfinished = 0;
    let allDone = 0;
    const consume = async (signal: AbortSignal, work: number): Promise<void> => {
      const item = await queue.get({ signal });
      got.push(item);
      await pass(work);
      unfinished -= 1;
      queue.taskDone();
      if (queue.unfinished === 0) allDone += 1;
    };
    for (const [number, one] of steps.entries()) {
      if (one.do === "pass") await pass(one.turns);
      else if (one.do === "cancel") tasks[one.which % Math.max(1, tasks.length)]?.cancel();
      else if (one.do === "get") tasks.push(spawn((signal) => consume(signal, one.work)));
      else if (one.do === "put") {
        const item = { value: one.value, number };
        tasks.push(
          spawn(async (signal) => {
            await queue.put(item, { signal });
            put.push(item);
            unfinished += 1;
          }),
        );
      } else {
        joins.push(
          spawn(async () => {
            const before = queue.unfinished === 0 ? -1 : allDone;
            await queue.join();
            expect(allDone).toBeGreaterThan(before);
          }),
        );
      }
    }
    // Whoever still waits is served: enough getters for all that was put, and enough room for all putters.
    const cleaners = range(steps.length).map(() => spawn((signal) => consume(signal, 0)));
    for (let round = 0; round < 4; round += 1) await settled();
    expect(queue.unfinished).toBe(0);
    await queue.join();
    for (const task of [...tasks, ...cleaners]) task.cancel();
    await endOf([...tasks, ...cleaners, ...joins]);
    expect(unfinished).toBe(0);
    expect(queue).toMatchObject({ size: 0, unfinished: 0, full: false });
    expect(got.map(({ number }) => number).toSorted((a, b) => a - b)).toEqual(put.map(({ number }) => number).toSorted((a, b) => a - b));
    expect(new Set(got).size).toBe(got.length);
  });
});

test("a Queue gives what one producer put in the order put, whoever is cancelled", async () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant("get" as const) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("cancel" as const), which: fc.nat(30) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("pass" as const), turns }) },
  );
  await holds(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.array(step, { maxLength: 40 })), async ([maxSize, steps]) => {
    const queue = new Queue<number>({ maxSize });
    const producer = spawn(async (signal) => {
      for (let item = 0; ; item += 1) {
        await queue.put(item, { signal });
        await undefined;
        signal.throwIfAborted();
        if (item === 50) return;
      }
    });
    const got: number[] = [];
    const getters: Task[] = [];
    for (const one of steps) {
      if (one.do === "pass") await pass(one.turns);
      else if (one.do === "cancel") getters[one.which % Math.max(1, getters.length)]?.cancel();
      else getters.push(spawn(async (signal) => got.push(await queue.get({ signal }))));
    }
    for (const _ of range(4)) await settled();
    for (const getter of getters) getter.cancel();
    await endOf(getters);
    producer.cancel();
    await endOf([producer]);
    while (!queue.empty) {
      got.push(queue.getNoWait());
      await pass(3);
    }
    expect(got).toEqual(range(got.length));
  });
});

test("a condition loses no notification to a cancelled waiter, and each waiter holds the lock alone", async () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant("wait" as const), hold: turns }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("notify" as const) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("cancel" as const), which: fc.nat(20) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("pass" as const), turns }) },
  );
  await holds(fc.array(step, { maxLength: 40 }), async (steps) => {
    const condition = new Condition();
    const stock = { count: 0, taken: 0, added: 0 };
    let holders = 0;
    const alone = async (work: number): Promise<void> => {
      holders += 1;
      expect(holders).toBe(1);
      await pass(work);
      holders -= 1;
    };
    const waiters: Task[] = [];
    const notifiers: Task[] = [];
    for (const one of steps) {
      if (one.do === "pass") await pass(one.turns);
      else if (one.do === "cancel") waiters[one.which % Math.max(1, waiters.length)]?.cancel();
      else if (one.do === "wait") {
        waiters.push(
          spawn(async (signal) => {
            using _ = await condition.acquire({ signal });
            await condition.waitFor(() => stock.count > 0, { signal });
            await alone(one.hold);
            stock.count -= 1;
            stock.taken += 1;
          }),
        );
      } else {
        notifiers.push(
          spawn(async () => {
            using _ = await condition.acquire();
            await alone(0);
            stock.count += 1;
            stock.added += 1;
            condition.notify();
          }),
        );
      }
    }
    await endOf(notifiers);
    for (const _ of range(4)) await settled();
    // What was put into stock is taken by somebody, as long as somebody waits.
    if (waiters.some((task) => !task.done)) expect(stock.count).toBe(0);
    for (const waiter of waiters) waiter.cancel();
    await endOf(waiters);
    expect(stock.taken + stock.count).toBe(stock.added);
    expect(condition.locked).toBe(false);
  });
});

test("a task group ends with all its children, in whatever order they end, fail or are cancelled", async () => {
  const child = fc.record({
    turns,
    end: fc.constantFrom("well" as const, "badly" as const),
    heeds: fc.boolean(),
    cancelledAfter: fc.option(turns, { nil: undefined }),
  });
  await holds(fc.tuple(fc.array(child, { maxLength: 8 }), fc.option(fc.integer({ min: 0, max: 8 }), { nil: undefined })), async ([children, outsideAfter]) => {
    const tasks: Task[] = [];
    const group = spawn(() =>
      taskGroup(async (group) => {
        for (const one of children) {
          const task = group.spawn(async (signal) => {
            for (let turn = 0; turn < one.turns; turn += 1) {
              await undefined;
              if (one.heeds) signal.throwIfAborted();
            }
            if (one.end === "badly") throw new RangeError("bad end");
          });
          tasks.push(task);
          if (one.cancelledAfter !== undefined) void pass(one.cancelledAfter).then(() => task.cancel());
        }
      }),
    );
    if (outsideAfter !== undefined) void pass(outsideAfter).then(() => group.cancel());
    let error: unknown;
    await group.then(undefined, (reason: unknown) => (error = reason));
    expect(tasks.every((task) => task.done)).toBe(true);
    const failed = tasks.filter((task) => task.settled?.status === "rejected" && !task.cancelled);
    if (failed.length > 0) expect((error as AggregateError).errors).toHaveLength(failed.length);
    else if (group.cancelled) expect(outsideAfter).toBeDefined();
    else expect(error).toBeUndefined();
  });
});

test.each([
  ["Queue", () => new Queue<Item>(), () => 0],
  ["LifoQueue", () => new LifoQueue<Item>(), (a: Item, b: Item) => b.number - a.number],
  ["PriorityQueue", () => new PriorityQueue<Item>({ compare: (a, b) => a.value - b.value }), (a: Item, b: Item) => a.value - b.value],
])("a %s always gives the first of what it holds, by its own order", async (_, make, order) => {
  const step = fc.oneof(fc.record({ value: fc.integer({ min: 0, max: 5 }) }), fc.constant("get" as const), fc.constant("get and give back" as const));
  await holds(fc.array(step, { maxLength: 60 }), async (steps) => {
    const queue = make();
    let model: Item[] = [];
    for (const [number, one] of steps.entries()) {
      if (typeof one === "object") {
        queue.putNoWait({ value: one.value, number });
        model = [...model, { value: one.value, number }].toSorted(order);
      } else if (one === "get" || model.length > 0) {
        const controller = new AbortController();
        const got = queue.get({ signal: controller.signal });
        if (model.length === 0 || one === "get and give back") controller.abort();
        const first = await got.catch(() => undefined);
        // What was taken already when its getter was cancelled has been received.
        expect(first).toEqual(model.shift());
      }
    }
    expect(queue.size).toBe(model.length);
  });
});

test("a queue that is shut down at a random moment leaves nobody waiting, and drops nothing that was put unless told to", async () => {
  const programs = fc.tuple(fc.integer({ min: 0, max: 2 }), fc.array(queueStep, { maxLength: 30 }), fc.nat(30), fc.boolean());
  await holds(programs, async ([maxSize, steps, shutAt, immediate]) => {
    const queue = new Queue<number>({ maxSize });
    const tasks: Task[] = [];
    const log = { put: 0, got: 0 };
    const end = async (work: Promise<void>): Promise<void> => {
      await work.catch((error: unknown) => {
        if (!(error instanceof QueueShutDownError)) throw error;
      });
    };
    const get = async (signal: AbortSignal): Promise<void> => {
      await queue.get({ signal });
      log.got += 1;
      queue.taskDone();
    };
    for (const [number, one] of [...steps, ...steps].entries()) {
      if (number === shutAt) queue.shutdown({ immediate });
      if (one.do === "pass") await pass(one.turns);
      else if (one.do === "cancel") tasks[one.which % Math.max(1, tasks.length)]?.cancel();
      else if (one.do === "put") tasks.push(spawn((signal) => end(queue.put(number, { signal }).then(() => void (log.put += 1)))));
      else if (one.do === "get") tasks.push(spawn((signal) => end(get(signal))));
    }
    queue.shutdown({ immediate });
    await settled();
    // Without a signal: only the queue itself can end these.
    tasks.push(...range(queue.size + 1).map(() => spawn(() => end(get(new AbortController().signal)))));
    await endOf(tasks);
    await queue.join();
    expect(queue).toMatchObject({ size: 0, unfinished: 0 });
    if (!immediate) expect(log.got).toBe(log.put);
    expect(log.got).toBeLessThanOrEqual(log.put);
  });
});

const crowdStep = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("wait" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("cancel" as const), which: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("pass" as const), turns }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("set" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("clear" as const) }) },
);

test("an event wakes everybody who waits when it is set, whoever is cancelled and whenever it is cleared", async () => {
  await holds(fc.array(crowdStep, { maxLength: 40 }), async (steps) => {
    const event = new Event();
    const crowd: { task: Task; mustWake: boolean; isCancelled: boolean }[] = [];
    for (const one of steps) {
      if (one.do === "pass") await pass(one.turns);
      else if (one.do === "clear") event.clear();
      else if (one.do === "set") {
        event.set();
        for (const each of crowd) each.mustWake = true;
      } else if (one.do === "cancel") {
        const each = crowd[one.which % Math.max(1, crowd.length)];
        if (each?.task.cancel() === true) each.isCancelled = true;
      } else {
        const controller = new AbortController();
        const waiting = event.wait({ signal: controller.signal });
        const task = spawn((signal) => {
          signal.addEventListener("abort", () => controller.abort(signal.reason));
          return waiting;
        });
        crowd.push({ task, mustWake: event.isSet, isCancelled: false });
      }
    }
    await settled();
    for (const { task, mustWake, isCancelled } of crowd) expect(task.done).toBe(mustWake || isCancelled);
    for (const { task } of crowd) task.cancel();
    await endOf(crowd.map(({ task }) => task));
  });
});

test("a barrier keeps no full round waiting, and counts exactly those who wait, whoever is cancelled", async () => {
  await holds(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.array(crowdStep, { maxLength: 40 })), async ([parties, steps]) => {
    const barrier = new Barrier(parties);
    const numbers: number[] = [];
    const crowd: Task[] = [];
    for (const one of steps) {
      if (one.do === "pass") await pass(one.turns);
      else if (one.do === "cancel") crowd[one.which % Math.max(1, crowd.length)]?.cancel();
      else if (one.do === "wait") crowd.push(spawn(async (signal) => void numbers.push(await barrier.wait({ signal }))));
    }
    await settled();
    const waiting = crowd.filter((task) => !task.done);
    expect(barrier.waiting).toBe(waiting.length);
    expect(waiting.length).toBeLessThan(parties);
    for (const task of waiting) task.cancel();
    await endOf(crowd);
    for (const number of numbers) expect(number).toBeLessThan(parties);
  });
});
