import { expect, test } from "vitest";
import { curvesOf } from "./curve.ts";
import { sidesOf } from "./measure.ts";
import { measuresOf } from "./measures.ts";
import type { Taken } from "./report.ts";

/** Each side reads ten times, a hundred times, … of its place. */
const taken = (names: readonly string[]): Taken[] =>
  names.flatMap(measuresOf).map((measure) => ({ measure, readings: new Map(sidesOf(measure).map((side, at) => [side, [{ jobsPerSecond: measure.point!.x * 10 ** at }]])) }));

test("makes one plot of the points of a curve, a line for each subject", () => {
  const [plot, ...more] = curvesOf(taken(["growth-queues", "growth-slots-1"]));
  expect(more).toEqual([]);
  expect(plot?.x.ticks).toEqual([1, 10, 100]);
  expect(plot?.series.map(({ name, points }) => [name, points])).toEqual([
    ["Millrace", [[1, 1], [10, 10], [100, 100]]],
    ["BullMQ", [[1, 10], [10, 100], [100, 1000]]],
  ]);
});
