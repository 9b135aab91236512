import * as fc from "fast-check";
import { expect, test } from "vitest";
import { FifoItems, LifoItems, type QueueItems, SortedItems } from "../../src/concurrency/queue-items.ts";

/** Adds, takes and puts back, and a plain array that says what should come. */
const steps = fc.array(fc.oneof(fc.record({ add: fc.integer({ min: 0, max: 9 }) }), fc.constant("take" as const), fc.constant("take and put back" as const)), {
  maxLength: 200,
});

function follow(items: QueueItems<{ value: number }>, nextOf: (model: { value: number }[]) => number, program: readonly (string | { add: number })[]): void {
  const model: { value: number }[] = [];
  for (const step of program) {
    if (typeof step === "object") {
      const item = { value: step.add };
      items.add(item);
      model.push(item);
    } else if (model.length > 0) {
      const next = nextOf(model);
      const taken = items.take();
      expect(taken).toBe(model[next]);
      if (step === "take") model.splice(next, 1);
      else items.putBack(taken);
    }
    expect(items.size).toBe(model.length);
  }
}

test("FifoItems gives what was added first, and what was put back before all else", () => {
  fc.assert(fc.property(steps, (program) => follow(new FifoItems(), () => 0, program)));
});

test("LifoItems gives what was added last", () => {
  fc.assert(fc.property(steps, (program) => follow(new LifoItems(), (model) => model.length - 1, program)));
});

test("SortedItems gives the smallest, of equals the one added first", () => {
  fc.assert(fc.property(steps, (program) => follow(new SortedItems((a, b) => a.value - b.value), firstOfSmallest, program)));
});

function firstOfSmallest(model: { value: number }[]): number {
  const least = Math.min(...model.map(({ value }) => value));
  return model.findIndex(({ value }) => value === least);
}

test("FifoItems keeps the order over many more items than it holds at a time", () => {
  const items = new FifoItems<number>();
  let next = 0;
  for (let added = 0; added < 10_000; added += 1) {
    items.add(added);
    if (added % 3 !== 0) expect(items.take()).toBe(next++);
  }
  while (items.size > 0) expect(items.take()).toBe(next++);
  expect(next).toBe(10_000);
});

test("FifoItems takes one back when all its places are taken meanwhile, and shrinks when it has held many", () => {
  const items = new FifoItems<number>();
  for (const many of [16, 5000, 16, 1]) {
    for (let item = 0; item < many; item += 1) items.add(item);
    const first = items.take();
    items.add(many);
    items.putBack(first);
    const got: number[] = [];
    while (items.size > 0) got.push(items.take());
    expect(got).toEqual(Array.from({ length: many + 1 }, (_, item) => item));
  }
});
