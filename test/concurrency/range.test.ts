import { expect, test } from "vitest";
import { OptionError } from "../../src/errors.ts";
import { range } from "../../src/concurrency/range.ts";

test("counts from 0 up to, not including, its argument", () => {
  expect(range(3)).toEqual([0, 1, 2]);
  expect(range(0)).toEqual([]);
});

test("refuses what is no whole number of at least 0", () => {
  for (const count of [-1, 1.5, Number.NaN, Infinity]) expect(() => range(count)).toThrow(OptionError);
});
