import { expect, onTestFinished, test, vi } from "vitest";
import { PutNumbers } from "../../src/store/put-numbers.ts";

test("gives every batch a number of its own, also when others have been closed", () => {
  const numbers = new PutNumbers();
  const [first, second] = [numbers.take(), numbers.take()];
  numbers.close(first);
  numbers.close(second);
  expect(new Set([first, second, numbers.take()]).size).toBe(3);
});

test("the lowest open number is that of the oldest batch that may still be sent", () => {
  const numbers = new PutNumbers();
  const [first, second, third] = [numbers.take(), numbers.take(), numbers.take()];
  expect(numbers.lowestOpen()).toBe(first);
  numbers.close(second);
  expect(numbers.lowestOpen()).toBe(first);
  numbers.close(first);
  expect(numbers.lowestOpen()).toBe(third);
  numbers.close(third);
  expect(numbers.lowestOpen()).toBe(third + 1);
});

test("a number is given up after an hour, when the server may have forgotten it", () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  const numbers = new PutNumbers();
  const old = numbers.take();
  vi.advanceTimersByTime(3_000_000);
  const younger = numbers.take();
  expect(numbers.isOpen(old)).toBe(true);
  vi.advanceTimersByTime(700_000);
  expect(numbers.isOpen(old)).toBe(false);
  expect(numbers.isOpen(younger)).toBe(true);
  expect(numbers.lowestOpen()).toBe(younger);
});

test("each kept answer is named once as heard", () => {
  const numbers = new PutNumbers();
  const [first, second, third] = [numbers.take(), numbers.take(), numbers.take()];
  numbers.close(first, true);
  numbers.close(second);
  numbers.close(third, true);
  expect(numbers.heard()).toEqual([first, third]);
  expect(numbers.heard()).toEqual([]);
});
