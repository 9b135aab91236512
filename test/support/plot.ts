/** Draws figures as lines, as an SVG: no more than a report needs. */

export interface Series {
  readonly name: string;
  readonly colour: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Axis {
  /** Where it is marked, and ends. @default quarters of the most, from zero */
  readonly ticks?: readonly number[];
  readonly shown: (value: number) => string;
  readonly logarithmic?: boolean;
}

export interface Plot {
  readonly title: string;
  readonly series: readonly Series[];
  readonly x: Axis;
  /** From zero. */
  readonly y: Pick<Axis, "shown">;
  /** Places of x at which something happened. */
  readonly marks?: readonly number[];
}

const WIDTH = 900;
const HEIGHT = 360;
const MARGIN = { left: 70, right: 20, top: 40, bottom: 40 };
const QUARTERS = [0, 0.25, 0.5, 0.75, 1];

/** One below the other. */
export function drawn(plots: readonly Plot[]): string {
  const height = HEIGHT * plots.length;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="white"/>`,
    ...plots.flatMap((plot, at) => [`<g transform="translate(0 ${at * HEIGHT})">`, ...linesOf(plot), "</g>"]),
    "</svg>\n",
  ].join("\n");
}

function linesOf({ title, series, x: across, y: up, marks = [] }: Plot): string[] {
  const all = series.flatMap(({ points }) => points);
  const most = round(Math.max(1, ...all.map(([, y]) => y)));
  const longest = Math.max(1, ...all.map(([x]) => x));
  const ticks = across.ticks ?? QUARTERS.map((part) => part * longest);
  const place = across.logarithmic === true ? Math.log : (value: number) => value;
  const [from, to] = [place(Math.min(...ticks)), place(Math.max(...ticks))];
  const x = (value: number): string => (MARGIN.left + ((place(value) - from) / (to - from)) * (WIDTH - MARGIN.left - MARGIN.right)).toFixed(1);
  const y = (value: number): string => (HEIGHT - MARGIN.bottom - (value / most) * (HEIGHT - MARGIN.top - MARGIN.bottom)).toFixed(1);
  const [left, right] = [MARGIN.left, WIDTH - MARGIN.right];
  return [
    `<text x="${left}" y="20" font-size="14">${escaped(title)}</text>`,
    ...marks.map((at) => `<line x1="${x(at)}" x2="${x(at)}" y1="${y(0)}" y2="${y(most)}" stroke="#f2c9c9"/>`),
    ...QUARTERS.map((part) => part * most).map(
      (value) => `<line x1="${left}" x2="${right}" y1="${y(value)}" y2="${y(value)}" stroke="#ddd"/><text x="${left - 6}" y="${y(value)}" text-anchor="end">${escaped(up.shown(value))}</text>`,
    ),
    ...ticks.map((value) => `<text x="${x(value)}" y="${HEIGHT - MARGIN.bottom + 18}" text-anchor="middle">${escaped(across.shown(value))}</text>`),
    ...series.map(({ colour, points }) => `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${points.map(([at, value]) => `${x(at)},${y(value)}`).join(" ")}"/>`),
    ...series.map(({ name, colour }, at) => `<text x="${right}" y="${MARGIN.top - 20 + at * 16}" text-anchor="end" fill="${colour}">${escaped(name)}</text>`),
  ];
}

/** Up to the next figure of two digits whose quarters are whole, or, of a small one, have two places. */
function round(most: number): number {
  const step = 4 * 10 ** (Math.floor(Math.log10(most)) - 1);
  return Math.ceil(most / step) * step;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
