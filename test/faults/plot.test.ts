import { expect, test } from "vitest";
import { plot } from "./plot.ts";

test("draws each series into the frame, the largest figure below the top, and a line for each mark", () => {
  const svg = plot("a < b", [{ name: "memory", colour: "red", points: [[0, 0], [30, 60], [60, 80]] }], [30]);
  expect(svg).toContain("a &lt; b");
  expect(svg).toContain('<polyline fill="none" stroke="red" stroke-width="1.5" points="60.0,320.0 470.0,110.0 880.0,40.0"/>');
  expect(svg).toContain('<line x1="470.0" x2="470.0" y1="320.0" y2="40.0" stroke="#f2c9c9"/>');
  for (const label of ["80 MB", "20 MB", "1.0 min", "memory"]) expect(svg).toContain(`>${label}</text>`);
});
