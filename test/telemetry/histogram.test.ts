import { array, assert, constantFrom, double, property } from "fast-check";
import { expect, test } from "vitest";
import { bucketOf, BUCKETS, bucketStartMs, Histogram } from "../../src/telemetry/histogram.ts";

const duration = double({ min: 0, max: 2 ** 35, noNaN: true });

test("a duration is in the bucket that begins before it and ends after it", () => {
  assert(
    property(duration, (ms) => {
      const bucket = bucketOf(ms);
      expect(bucketStartMs(bucket)).toBeLessThanOrEqual(ms);
      expect(bucketStartMs(bucket + 1)).toBeGreaterThan(ms);
    }),
  );
});

test("buckets begin where they begin, to the last", () => {
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) expect(bucketOf(bucketStartMs(bucket))).toBe(bucket);
  expect([-1, Number.NaN, 0].map(bucketOf)).toEqual([0, 0, 0]);
  expect([2 ** 60, Infinity].map(bucketOf)).toEqual([BUCKETS - 1, BUCKETS - 1]);
});

test("percentiles are within 12 % of what was recorded, and within 1/16 ms below a quarter of one", () => {
  assert(
    property(array(duration, { minLength: 1, maxLength: 200 }), constantFrom(0.5, 0.95, 0.99, 1), (recorded, share) => {
      const histogram = new Histogram();
      for (const ms of recorded) histogram.record(ms);
      const exact = recorded.toSorted((one, other) => one - other)[Math.max(1, Math.ceil(share * recorded.length)) - 1]!;
      const told = histogram.percentile(share)!;
      expect(Math.abs(told - exact)).toBeLessThanOrEqual(Math.max(exact * 0.12, 1 / 16));
    }),
  );
});

test("a mean is off by no more than its durations are, each by itself", () => {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const check = (recorded: readonly number[]) => {
    const histogram = new Histogram();
    for (const ms of recorded) histogram.record(ms);
    expect(Math.abs(histogram.mean! - mean(recorded))).toBeLessThanOrEqual(mean(recorded.map((ms) => Math.max(ms * 0.12, 1 / 16))));
  };
  // 4 ms are read as 4.44, and 0 as 1/32: of the mean these are more than 12 %.
  check([4, 0, 0]);
  assert(property(array(duration, { minLength: 1, maxLength: 200 }), check));
});

test("what two have recorded is, added up, what one would have recorded", () => {
  assert(
    property(array(duration), array(duration), (some, others) => {
      const [one, other, all] = [new Histogram(), new Histogram(), new Histogram()];
      for (const ms of some) one.record(ms);
      for (const ms of others) other.record(ms);
      for (const ms of [...some, ...others]) all.record(ms);
      for (const [bucket, count] of other.buckets()) one.add(bucket, count);
      expect([...one.buckets()]).toEqual([...all.buckets()]);
      expect(one.count).toBe(some.length + others.length);
    }),
  );
});

test("an empty one has no percentile and no mean", () => expect([new Histogram().percentile(0.5), new Histogram().mean]).toEqual([undefined, undefined]));
