import { expect, test, describe } from "vitest";
import { CancelledError, OptionError, QueueEmptyError, QueueFullError, QueueShutDownError, StateError } from "../../src/errors.ts";
import { LifoQueue, PriorityQueue, Queue } from "../../src/concurrency/queue.ts";
import { range } from "../../src/concurrency/range.ts";
import { sleep } from "../../src/concurrency/sleep.ts";
import { spawn } from "../../src/concurrency/task.ts";
import { taskGroup } from "../../src/concurrency/task-group.ts";
import { rejection, settled, settlement } from "./settlement.ts";

const kinds: [string, (options?: { maxSize?: number }) => Queue<number>][] = [
  ["Queue", (options) => new Queue<number>(options)],
  ["LifoQueue", (options) => new LifoQueue<number>(options)],
  ["PriorityQueue", (options) => new PriorityQueue<number>(options)],
];

function gotFrom(queue: Queue<number>): number[] {
  for (const item of [1, 3, 2]) queue.putNoWait(item);
  return range(3).map(() => queue.getNoWait());
}

async function expectShut(queue: Queue<number>): Promise<void> {
  expect(await rejection(queue.put(9))).toBeInstanceOf(QueueShutDownError);
  expect(() => queue.putNoWait(9)).toThrow(QueueShutDownError);
  expect(await rejection(queue.get())).toBeInstanceOf(QueueShutDownError);
  expect(() => queue.getNoWait()).toThrow(QueueShutDownError);
}

describe("order", () => {
  test("a Queue gives what was put first", () => expect(gotFrom(new Queue())).toEqual([1, 3, 2]));
  test("a LifoQueue gives what was put last", () => expect(gotFrom(new LifoQueue())).toEqual([2, 3, 1]));
  test("a PriorityQueue gives the smallest", () => expect(gotFrom(new PriorityQueue())).toEqual([1, 2, 3]));
  test("a PriorityQueue goes by a given comparison", () => {
    expect(gotFrom(new PriorityQueue<number>({ compare: (a, b) => b - a }))).toEqual([3, 2, 1]);
  });
  test("a PriorityQueue gives equal items in the order put", () => {
    const queue = new PriorityQueue<{ rank: number; name: string }>({ compare: (a, b) => a.rank - b.rank });
    for (const [rank, name] of [[1, "a"], [0, "b"], [1, "c"], [0, "d"], [1, "e"]] as const) queue.putNoWait({ rank, name });
    expect(range(5).map(() => queue.getNoWait().name).join("")).toBe("bdace");
  });
});

describe("waiting", () => {
  test("knows its size, and when it is empty or full", () => {
    const queue = new Queue<number>({ maxSize: 2 });
    expect(queue).toMatchObject({ maxSize: 2, size: 0, empty: true, full: false });
    queue.putNoWait(1);
    expect(queue).toMatchObject({ size: 1, empty: false, full: false });
    queue.putNoWait(2);
    expect(queue).toMatchObject({ size: 2, full: true });
  });

  test("one without a limit is never full", async () => {
    for (const queue of [new Queue<number>(), new Queue<number>({ maxSize: 0 })]) {
      for (const item of range(1000)) await queue.put(item);
      expect(queue.full).toBe(false);
    }
  });

  test("refuses a limit that is no whole number of at least 0", () => {
    for (const maxSize of [-1, 1.3]) expect(() => new Queue({ maxSize })).toThrow(OptionError);
  });

  test("get waits for a put", async () => {
    const queue = new Queue<number>();
    const got = settlement(queue.get());
    await settled();
    expect(got.state).toBe("pending");
    await queue.put(7);
    await settled();
    expect(got).toMatchObject({ state: "fulfilled", value: 7 });
  });

  test("put waits for a place, and what it puts comes after what was there", async () => {
    const queue = new Queue<number>({ maxSize: 2 });
    const put: number[] = [];
    const putter = spawn(async () => {
      for (const item of range(3)) {
        await queue.put(item);
        put.push(item);
      }
    });
    await settled();
    expect(put).toEqual([0, 1]);
    expect(queue.getNoWait()).toBe(0);
    await putter;
    expect(put).toEqual([0, 1, 2]);
    expect([queue.getNoWait(), queue.getNoWait()]).toEqual([1, 2]);
  });

  test("getters are served in the order they came, and so are putters", async () => {
    const queue = new Queue<number>({ maxSize: 1 });
    const got = range(3).map(() => queue.get());
    for (const item of range(3)) await queue.put(item);
    expect(await Promise.all(got)).toEqual([0, 1, 2]);
    const order: number[] = [];
    const puts = range(4).map((item) => queue.put(item).then(() => order.push(item)));
    for (const item of range(4)) expect(await queue.get()).toBe(item);
    await Promise.all(puts);
    expect(order).toEqual([0, 1, 2, 3]);
  });

  test("nobody barges in on one whose item or place is on its way", async () => {
    const queue = new Queue<string>({ maxSize: 1 });
    const got = queue.get();
    queue.putNoWait("for the one who waits");
    expect(() => queue.getNoWait()).toThrow(QueueEmptyError);
    expect(await got).toBe("for the one who waits");

    await queue.put("a");
    const put = queue.put("b");
    expect(queue.getNoWait()).toBe("a");
    expect(() => queue.putNoWait("c")).toThrow(QueueFullError);
    await put;
    expect(queue.getNoWait()).toBe("b");
  });

  test("getNoWait on an empty queue and putNoWait on a full one are errors that change nothing", () => {
    const queue = new Queue<number>({ maxSize: 1 });
    expect(() => queue.getNoWait()).toThrow(QueueEmptyError);
    queue.putNoWait(1);
    expect(() => queue.putNoWait(2)).toThrow(QueueFullError);
    expect(queue).toMatchObject({ size: 1, unfinished: 1 });
    expect(queue.getNoWait()).toBe(1);
  });

  test("putters and a getter that takes all there is do not block each other", async () => {
    const queue = new Queue<number>({ maxSize: 2 });
    await taskGroup(async (group) => {
      for (const item of range(4)) group.spawn(() => queue.put(item));
      group.spawn(async () => {
        for (let got = 0; got < 4; got += queue.empty ? 0 : (queue.getNoWait(), 1)) await sleep(0);
      });
    });
    expect(queue.empty).toBe(true);
  });
});

describe("cancelling", () => {
  test("a cancelled getter takes nothing", async () => {
    const queue = new Queue<string>();
    const controller = new AbortController();
    const gone = settlement(queue.get({ signal: controller.signal }));
    const next = settlement(queue.get());
    controller.abort(new Error("gone"));
    queue.putNoWait("a");
    await settled();
    expect(gone).toMatchObject({ state: "rejected", reason: { message: "gone" } });
    expect(next).toMatchObject({ state: "fulfilled", value: "a" });
  });

  test.each(kinds)("a getter of a %s that is cancelled when its item is on its way loses nothing, and the order holds", async (_, make) => {
    const queue = make();
    const reader = spawn((signal) => queue.get({ signal }));
    await settled();
    queue.putNoWait(1);
    queue.putNoWait(2);
    reader.cancel();
    expect(await rejection(reader)).toBeInstanceOf(CancelledError);
    expect(await queue.get()).toBe(1);
    expect(await queue.get()).toBe(2);
  });

  test("of many getters one is cancelled: the others get all the items", async () => {
    const queue = new Queue<number>();
    const controller = new AbortController();
    const gone = settlement(queue.get({ signal: controller.signal }));
    const others = [queue.get(), queue.get()];
    queue.putNoWait(1);
    queue.putNoWait(2);
    controller.abort();
    expect((await Promise.all(others)).toSorted()).toEqual([1, 2]);
    expect(gone.state).toBe("rejected");
    expect(queue.size).toBe(0);
  });

  test("a cancelled putter puts nothing, and is not left behind", async () => {
    const queue = new Queue<string>({ maxSize: 1 });
    queue.putNoWait("a");
    const controller = new AbortController();
    const gone = settlement(queue.put("x", { signal: controller.signal }));
    const next = settlement(queue.put("b"));
    controller.abort();
    await settled();
    expect(gone.state).toBe("rejected");
    expect(queue.getNoWait()).toBe("a");
    await settled();
    expect(next.state).toBe("fulfilled");
    expect(queue.getNoWait()).toBe("b");
    expect(queue).toMatchObject({ size: 0, unfinished: 2, full: false });
  });

  test("a putter cancelled when its place is on its way gives the place to the next", async () => {
    const queue = new Queue<number>({ maxSize: 1 });
    queue.putNoWait(1);
    const writer = spawn((signal) => queue.put(2, { signal }));
    await settled();
    const next = settlement(queue.put(3));
    expect(queue.getNoWait()).toBe(1);
    writer.cancel();
    expect(await rejection(writer)).toBeInstanceOf(CancelledError);
    await settled();
    expect(next.state).toBe("fulfilled");
    expect(queue.getNoWait()).toBe(3);
    queue.putNoWait(4);
    expect(queue.full).toBe(true);
  });

  test("a putter cancelled when its place is on its way frees it when nobody else waits", async () => {
    const queue = new Queue<number>({ maxSize: 1 });
    queue.putNoWait(1);
    const writer = spawn((signal) => queue.put(2, { signal }));
    await settled();
    queue.getNoWait();
    writer.cancel();
    await rejection(writer);
    expect(queue).toMatchObject({ size: 0, full: false });
    await queue.put(2);
    expect(queue.getNoWait()).toBe(2);
  });

  test("a signal that fired before puts and gets nothing", async () => {
    const queue = new Queue<number>();
    const signal = AbortSignal.abort(new Error("before"));
    await rejection(queue.put(1, { signal }));
    expect(queue.size).toBe(0);
    queue.putNoWait(1);
    await rejection(queue.get({ signal }));
    expect(queue.size).toBe(1);
    await rejection(queue.join({ signal }));
  });
});

describe.each(kinds)("joining a %s", (_, make) => {
  test("one taskDone too many is an error", () => {
    const queue = make();
    expect(() => queue.taskDone()).toThrow(StateError);
    queue.putNoWait(1);
    queue.taskDone();
    expect(() => queue.taskDone()).toThrow(StateError);
  });

  test("join ends when every item put is done, and not before", async () => {
    const queue = make();
    for (const item of range(100)) queue.putNoWait(item);
    let sum = 0;
    const workers = range(2).map(() =>
      spawn(async (signal) => {
        for (;;) {
          const item = await queue.get({ signal });
          await sleep(0);
          sum += item;
          queue.taskDone();
        }
      }),
    );
    await queue.join();
    expect(sum).toBe(4950);
    for (const worker of workers) {
      worker.cancel();
      await rejection(worker);
    }
  });

  test("joining one with nothing unfinished ends at once, again and again", async () => {
    const queue = make();
    await queue.join();
    await queue.join();
  });

  test("a cancelled join ends with its signal's reason and leaves the others waiting", async () => {
    const queue = make();
    queue.putNoWait(1);
    const controller = new AbortController();
    const gone = settlement(queue.join({ signal: controller.signal }));
    const other = settlement(queue.join());
    controller.abort(new Error("gone"));
    await settled();
    expect([gone.state, other.state]).toEqual(["rejected", "pending"]);
    queue.taskDone();
    await settled();
    expect(other.state).toBe("fulfilled");
  });
});

describe.each(kinds)("shutting down a %s", (_, make) => {
  test("an empty one: getters are sent away, join ends", async () => {
    const queue = make();
    const got = settlement(queue.get());
    await settled();
    queue.shutdown();
    await queue.join();
    await settled();
    expect(got.reason).toBeInstanceOf(QueueShutDownError);
    await expectShut(queue);
  });

  test("one with unfinished items: putters are sent away, the items can be got, join waits for them", async () => {
    const queue = make({ maxSize: 1 });
    queue.putNoWait(1);
    const joined = settlement(queue.join());
    const put = settlement(queue.put(2));
    await settled();
    queue.shutdown();
    await settled();
    expect(put.reason).toBeInstanceOf(QueueShutDownError);
    expect(queue.size).toBe(1);
    expect(await queue.get()).toBe(1);
    await settled();
    expect(joined.state).toBe("pending");
    await expectShut(queue);
    queue.taskDone();
    await settled();
    expect(joined.state).toBe("fulfilled");
    expect(() => queue.taskDone()).toThrow(StateError);
  });

  test("at once: what it holds is dropped and counts as done", async () => {
    const queue = make();
    queue.putNoWait(1);
    const joined = settlement(queue.join());
    queue.shutdown({ immediate: true });
    expect(queue.size).toBe(0);
    await settled();
    expect(joined.state).toBe("fulfilled");
    await expectShut(queue);
    expect(() => queue.taskDone()).toThrow(StateError);
  });

  test("at once: what was got already is still to be done before join ends", async () => {
    const queue = make();
    queue.putNoWait(1);
    queue.putNoWait(1);
    const joined = settlement(queue.join());
    await queue.get();
    queue.shutdown({ immediate: true });
    await settled();
    expect(queue).toMatchObject({ size: 0, unfinished: 1 });
    expect(joined.state).toBe("pending");
    await expectShut(queue);
    queue.taskDone();
    await settled();
    expect(joined.state).toBe("fulfilled");
    expect(() => queue.taskDone()).toThrow(StateError);
  });

  test("twice, first gently and then at once, drops what is left", async () => {
    const queue = make();
    queue.putNoWait(1);
    queue.shutdown();
    queue.shutdown();
    expect(queue.size).toBe(1);
    queue.shutdown({ immediate: true });
    expect(queue).toMatchObject({ size: 0, unfinished: 0 });
  });

  test("a putter whose place is on its way when it is shut down is sent away", async () => {
    const queue = make({ maxSize: 1 });
    queue.putNoWait(1);
    const put = settlement(queue.put(2));
    await settled();
    queue.getNoWait();
    queue.shutdown();
    await settled();
    expect(put.reason).toBeInstanceOf(QueueShutDownError);
    expect(queue).toMatchObject({ size: 0, unfinished: 1 });
  });

  test("an item on its way to a getter that is cancelled goes to one that waits, though the queue is shut down", async () => {
    const queue = make();
    const controller = new AbortController();
    const gone = settlement(queue.get({ signal: controller.signal }));
    const next = settlement(queue.get());
    const third = settlement(queue.get());
    queue.putNoWait(1);
    queue.shutdown();
    controller.abort();
    await settled();
    expect(gone.state).toBe("rejected");
    expect(next).toMatchObject({ state: "fulfilled", value: 1 });
    expect(third.reason).toBeInstanceOf(QueueShutDownError);
  });

  test("at once, an item on its way to a getter that is cancelled counts as done", async () => {
    const queue = make();
    const controller = new AbortController();
    const gone = settlement(queue.get({ signal: controller.signal }));
    queue.putNoWait(1);
    queue.shutdown({ immediate: true });
    controller.abort();
    await settled();
    expect(gone.state).toBe("rejected");
    expect(queue).toMatchObject({ size: 0, unfinished: 0 });
  });
});

describe("iterating", () => {
  test("gives the items as they come and ends with the shutdown", async () => {
    const queue = new Queue<number>({ maxSize: 1 });
    const producer = spawn(async () => {
      for (const item of range(5)) await queue.put(item);
      queue.shutdown();
    });
    const got: number[] = [];
    for await (const item of queue) {
      got.push(item);
      queue.taskDone();
    }
    await producer;
    await queue.join();
    expect(got).toEqual([0, 1, 2, 3, 4]);
  });

  test("ends with the reason of its signal", async () => {
    const queue = new Queue<number>();
    const task = spawn(async (signal) => {
      for await (const item of queue.items({ signal })) expect(item).toBe(1);
    });
    await settled();
    queue.putNoWait(1);
    await settled();
    task.cancel("enough");
    expect(await rejection(task)).toMatchObject({ message: "enough" });
  });
});

test("the article's ninth program: three producers, two consumers, join, cancel", async () => {
  const queue = new Queue<string>();
  const consumed: string[] = [];
  const consumers = range(2).map(() =>
    spawn(async (signal) => {
      for (;;) {
        consumed.push(await queue.get({ signal }));
        queue.taskDone();
      }
    }),
  );
  await taskGroup(async (group) => {
    for (const producer of range(3)) {
      group.spawn(async () => {
        for (const item of range(5)) await queue.put(`${producer}.${item}`);
      });
    }
  });
  await queue.join();
  for (const consumer of consumers) consumer.cancel();
  for (const consumer of consumers) await rejection(consumer);
  expect(consumed.toSorted()).toEqual(range(3).flatMap((producer) => range(5).map((item) => `${producer}.${item}`)));
});
