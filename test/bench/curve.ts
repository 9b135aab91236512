/** Makes plots of the measures that are points of curves. */
import type { Plot, Series } from "../support/plot.ts";
import type { Taken } from "./report.ts";
import { spread } from "./statistics.ts";

const colours = ["#1f5fa8", "#a83232"];

/** One for each curve of which there are points enough: the median rates of each subject. */
export function curvesOf(taken: readonly Taken[]): Plot[] {
  const curves = Map.groupBy(
    taken.filter(({ measure }) => measure.point !== undefined),
    ({ measure }) => measure.point!.curve,
  );
  return [...curves].filter(([, points]) => points.length > 1).map(([title, points]): Plot => ({
    title: `jobs/s by ${title}`,
    series: seriesOf(points),
    x: { ticks: points.map(({ measure }) => measure.point!.x), shown: String, logarithmic: true },
    y: { shown: (rate) => `${rate / 1000}k` },
  }));
}

function seriesOf(taken: readonly Taken[]): Series[] {
  const points = taken.flatMap(({ measure, readings }) =>
    [...readings].map(([{ label }, all]) => ({ label, x: measure.point!.x, y: spread(all.map(({ jobsPerSecond }) => jobsPerSecond ?? Number.NaN)).median })),
  );
  const named = Map.groupBy(points, ({ label }) => label);
  return [...named].map(([name, all], at): Series => ({ name, colour: colours[at] ?? "black", points: all.map(({ x, y }) => [x, y] as const) }));
}
