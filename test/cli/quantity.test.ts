import { expect, test } from "vitest";
import { count, counted, milliseconds, period, seconds, size, span } from "../../src/cli/quantity.ts";

test("writes numbers and times as people read them", () => {
  expect([0, 999, 1000, 1234567].map(count)).toEqual(["0", "999", "1,000", "1,234,567"]);
  expect([0, 1234, 9940, 9960, 59_400, 59_600, 200_000].map(seconds)).toEqual(["0.0 s", "1.2 s", "9.9 s", "10 s", "59 s", "1 min 0 s", "3 min 20 s"]);
  expect([counted(0, "job"), counted(1, "job"), counted(1234, "job"), counted(2, "entry", "entries")]).toEqual(["0 jobs", "1 job", "1,234 jobs", "2 entries"]);
});

test("milliseconds below 0 keep their sign", () => {
  expect([0.84, 12.4, 340, 999.6, 200_000, -0.84, -340, -200_000].map(milliseconds)).toEqual(["0.8 ms", "12 ms", "340 ms", "1.0 s", "3 min 20 s", "-0.8 ms", "-340 ms", "-3 min 20 s"]);
});

test("a span has one unit, and never rounds up", () => {
  expect([-5, 0, 999, 59_900, 60_000, 3_599_000, 3_600_000, 86_399_000, 86_400_000, 1e11].map(span)).toEqual(["0 s", "0 s", "0 s", "59 s", "1 min", "59 min", "1 h", "23 h", "1 d", "1,157 d"]);
});

test("a period is exact", () => {
  expect([0, 250, 1000, 90_000, 3_600_000, 172_800_000].map(period)).toEqual(["0 ms", "250 ms", "1 s", "90 s", "1 h", "2 d"]);
});

test("a size is told in the unit that leaves it short", () => {
  expect([0, 1023, 1024, 102_348, 1024 ** 2 - 1, 64 * 1024 ** 2, 2 ** 50].map(size)).toEqual(["0 B", "1023 B", "1.0 kB", "99.9 kB", "1.0 MB", "64.0 MB", "1024 TB"]);
});
