import { setTimeout as sleep } from "node:timers/promises";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { inOrder } from "../../src/cli/in-order.ts";

async function* numbers(count: number): AsyncGenerator<number, void> {
  for (let i = 0; i < count; i++) yield i;
}

const never = new AbortController().signal;

test("emits in the order of the items, however the work ends, and never works on more than the width", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 30 }), fc.integer({ min: 1, max: 8 }), async (pausesMs, width) => {
      const emitted: number[] = [];
      let ahead = 0;
      let most = 0;
      const work = async (item: number): Promise<number> => {
        most = Math.max(most, ++ahead);
        await sleep(pausesMs[item]);
        return item;
      };
      await inOrder(() => numbers(pausesMs.length), width, work, async (item) => void (emitted.push(item), ahead--), never);
      expect(emitted).toEqual(pausesMs.map((_, i) => i));
      expect(most).toBeLessThanOrEqual(width);
    }),
    { numRuns: 30 },
  );
});

test("emits each result as soon as those before it are out, though the input stands still", async () => {
  const { promise: goOn, resolve } = Promise.withResolvers<void>();
  const emitted: number[] = [];
  const first = Promise.withResolvers<void>();
  async function* slow(): AsyncGenerator<number, void> {
    yield 1;
    await goOn;
    yield 2;
  }
  const all = inOrder(slow, 10, async (item) => item, async (item) => void (emitted.push(item), first.resolve()), never);
  await first.promise;
  expect(emitted).toEqual([1]);
  resolve();
  await all;
  expect(emitted).toEqual([1, 2]);
});

test("after an error it takes no more, emits what ends well all the same, and ends an input that stands still", async () => {
  const emitted: number[] = [];
  async function* open(signal: AbortSignal): AsyncGenerator<number, void> {
    yield* [0, 1, 2];
    await new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason as Error)));
  }
  const work = async (item: number): Promise<number> => {
    if (item === 1) throw new Error("the second");
    return item;
  };
  await expect(inOrder(open, 10, work, async (item) => void emitted.push(item), never)).rejects.toThrow("the second");
  expect(emitted).toEqual([0, 2]);
});

test("throws the error of the input after what came before it is out", async () => {
  const emitted: number[] = [];
  async function* torn(): AsyncGenerator<number, void> {
    yield 1;
    throw new Error("torn");
  }
  await expect(inOrder(torn, 10, (item) => sleep(5, item), async (item) => void emitted.push(item), never)).rejects.toThrow("torn");
  expect(emitted).toEqual([1]);
});

test("throws the reason of the signal", async () => {
  const controller = new AbortController();
  const endless = async function* (): AsyncGenerator<number, void> {
    for (let i = 0; ; i++) {
      yield i;
      if (i === 5) controller.abort(new Error("enough"));
    }
  };
  await expect(inOrder(endless, 2, async (item) => item, async () => undefined, controller.signal)).rejects.toThrow("enough");
});
