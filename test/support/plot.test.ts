import { expect, test } from "vitest";
import { drawn } from "./plot.ts";

test("draws each series into the frame, the largest figure below the top, and a line for each mark", () => {
  const series = [{ name: "memory", colour: "red", points: [[0, 0], [30, 60], [60, 80]] as const }];
  const svg = drawn([{ title: "a < b", series, x: { shown: (seconds) => `${seconds / 60} min` }, y: { shown: (mb) => `${mb} MB` }, marks: [30] }]);
  expect(svg).toContain("a &lt; b");
  expect(svg).toContain('<polyline fill="none" stroke="red" stroke-width="1.5" points="70.0,320.0 475.0,110.0 880.0,40.0"/>');
  expect(svg).toContain('<line x1="475.0" x2="475.0" y1="320.0" y2="40.0" stroke="#f2c9c9"/>');
  for (const label of ["80 MB", "20 MB", "1 min", "0.25 min", "memory"]) expect(svg).toContain(`>${label}</text>`);
});

test("draws logarithmic steps evenly, between the ticks, and plots one below the other", () => {
  const points = [[1, 2500], [10, 5000], [100, 10_000]] as const;
  const plot = { title: "", series: [{ name: "", colour: "red", points }], x: { ticks: [1, 10, 100], shown: String, logarithmic: true }, y: { shown: String } };
  const svg = drawn([plot, plot]);
  expect(svg.match(/points="70.0,261.7 475.0,203.3 880.0,86.7"/g)).toHaveLength(2);
  expect(svg).toContain('viewBox="0 0 900 720"');
  expect(svg).toContain(">12000</text>");
});
