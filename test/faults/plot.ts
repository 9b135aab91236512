/** Draws figures over time as an SVG: no more than a soak needs. */

export interface Series {
  readonly name: string;
  readonly colour: string;
  /** Seconds and megabytes. */
  readonly points: readonly (readonly [seconds: number, megabytes: number])[];
}

const WIDTH = 900;
const HEIGHT = 360;
const MARGIN = { left: 60, right: 20, top: 40, bottom: 40 };

/** @param marks  seconds at which something was broken */
export function plot(title: string, series: readonly Series[], marks: readonly number[]): string {
  const all = series.flatMap(({ points }) => points);
  const mostSeconds = Math.max(1, ...all.map(([seconds]) => seconds));
  const most = round(Math.max(1, ...all.map(([, megabytes]) => megabytes)));
  const x = (seconds: number): string => (MARGIN.left + (seconds / mostSeconds) * (WIDTH - MARGIN.left - MARGIN.right)).toFixed(1);
  const y = (megabytes: number): string => (HEIGHT - MARGIN.bottom - (megabytes / most) * (HEIGHT - MARGIN.top - MARGIN.bottom)).toFixed(1);
  const steps = [0, 0.25, 0.5, 0.75, 1];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/><text x="${MARGIN.left}" y="20" font-size="14">${escaped(title)}</text>`,
    ...marks.map((at) => `<line x1="${x(at)}" x2="${x(at)}" y1="${y(0)}" y2="${y(most)}" stroke="#f2c9c9"/>`),
    ...steps.map((part) => `<line x1="${x(0)}" x2="${x(mostSeconds)}" y1="${y(part * most)}" y2="${y(part * most)}" stroke="#ddd"/><text x="${MARGIN.left - 6}" y="${y(part * most)}" text-anchor="end">${part * most} MB</text>`),
    ...steps.map((part) => `<text x="${x(part * mostSeconds)}" y="${HEIGHT - MARGIN.bottom + 18}" text-anchor="middle">${((part * mostSeconds) / 60).toFixed(1)} min</text>`),
    ...series.map(({ colour, points }) => `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${points.map(([seconds, megabytes]) => `${x(seconds)},${y(megabytes)}`).join(" ")}"/>`),
    ...series.map(({ name, colour }, i) => `<text x="${WIDTH - MARGIN.right}" y="${MARGIN.top - 20 + i * 16}" text-anchor="end" fill="${colour}">${escaped(name)}</text>`),
    "</svg>\n",
  ].join("\n");
}

/** Up to the next figure whose quarters are whole. */
function round(most: number): number {
  const step = most > 200 ? 100 : 20;
  return Math.ceil(most / step) * step;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
