import { expect, test } from "vitest";
import { bucketOf } from "../../src/telemetry/histogram.ts";
import { Tally } from "../../src/telemetry/tally.ts";

test("what is written down of several, read back, is their sum; what is not of a tally is passed over", () => {
  const [one, other, sum] = [new Tally(), new Tally(), new Tally()];
  one.counts.put = 2;
  one.wait.record(100);
  other.counts.put = 3;
  other.counts.failed = 1;
  other.run.record(7);
  for (const tally of [one, other]) sum.add(tally.fields());
  sum.add([["backlog", 9], ["w", 1], ["toString", 1], ["r999", 1]]);
  expect(Object.fromEntries(sum.fields())).toEqual({ put: 5, failed: 1, [`w${bucketOf(100)}`]: 1, [`r${bucketOf(7)}`]: 1 });
});
