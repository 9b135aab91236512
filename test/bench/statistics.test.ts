import { expect, test } from "vitest";
import { percentile, ratios, spread } from "./statistics.ts";

test("a percentile lies between the values around it", () => {
  expect(percentile([3, 1, 2], 0.5)).toBe(2);
  expect(percentile([4, 1, 3, 2], 0.5)).toBe(2.5);
  expect(percentile([1, 2, 3, 4, 5], 0.99)).toBeCloseTo(4.96);
  expect(percentile([7], 0.99)).toBe(7);
});

test("a spread is the median, and the least and the most", () => {
  expect(spread([10, 30, 20])).toEqual({ median: 20, min: 10, max: 30 });
});

test("ratios are taken round by round, so that a slow hour cancels out", () => {
  expect(ratios([200, 20, 2], [100, 10, 1])).toEqual({ median: 2, min: 2, max: 2 });
});
