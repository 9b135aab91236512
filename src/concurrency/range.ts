/** Python's `range`, as far as loops and `gather` need it. */
import { check } from "../options.ts";

const wholeCount = check.integer({ min: 0 });

/**
 * The whole numbers from 0 up to, not including, `count`.
 *
 * @throws OptionError when `count` is no whole number of at least 0
 */
export function range(count: number): number[] {
  return Array.from({ length: wholeCount(count, "the count of range") }, (_, index) => index);
}
