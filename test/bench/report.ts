/** Shows readings as a Markdown table of medians, ranges, ratios and goals. */
import { type Goal, type Measure, quantities, type Reading, type Side } from "./measure.ts";
import { ratios, spread, type Spread } from "./statistics.ts";

/** The rounds of one measure, in order, of each side that was taken. */
export interface Taken {
  readonly measure: Measure;
  readonly readings: ReadonlyMap<Side, readonly Reading[]>;
}

export interface Row {
  readonly measure: string;
  readonly quantity: string;
  readonly of: string;
  readonly figure: Spread;
  readonly against?: { readonly label: string; readonly figure: Spread; readonly ratio: Spread };
  readonly goal?: string;
  readonly met?: boolean;
}

/** Each quantity beside the first of the others and wherever there is a goal for it; the first quantity beside all. */
export function rowsOf({ measure, readings }: Taken): Row[] {
  const { first, others, goals, title, point } = measure;
  const ours = readings.get(first) ?? [];
  const told = quantities[first.work.kind].slice(0, point === undefined ? undefined : 1);
  return told.flatMap(({ key, label, unit }, nth): Row[] => {
    const values = (of: readonly Reading[]) => of.map((reading) => reading[key] ?? Number.NaN);
    const figure = spread(values(ours));
    const own = goals.filter(({ quantity }) => quantity === key).map((goal) => judged(goal, figure, ` ${unit}`))[0];
    const common = { measure: title, quantity: `${label}, ${unit}`, of: first.label, figure };
    const rows = others.flatMap(({ side, goals: wanted }, at): Row[] => {
      const theirs = readings.get(side);
      const goal = wanted.find(({ quantity }) => quantity === key);
      if (theirs === undefined || (goal === undefined && at > 0 && nth > 0)) return [];
      const ratio = ratios(values(ours), values(theirs));
      return [{ ...common, against: { label: side.label, figure: spread(values(theirs)), ratio }, ...(goal === undefined ? own : judged(goal, ratio, "")) }];
    });
    return rows.length > 0 ? rows : [{ ...common, ...own }];
  });
}

/** By the median. */
function judged({ least, most }: Goal, { median }: Spread, unit: string): Pick<Row, "goal" | "met"> {
  const bounds = [least === undefined ? [] : [`≥ ${least}${unit}`], most === undefined ? [] : [`≤ ${most}${unit}`]].flat();
  return { goal: bounds.join(", "), met: median >= (least ?? -Infinity) && median <= (most ?? Infinity) };
}

export function table(rows: readonly Row[]): string {
  const lines = rows.map(({ measure, quantity, of, figure, against, goal = "", met }) => [
    measure,
    quantity,
    `${of}: ${shown(figure)}`,
    against === undefined ? "" : `${against.label}: ${shown(against.figure)}`,
    against === undefined ? "" : shown(against.ratio, 2),
    goal,
    met === undefined ? "" : met ? "met" : "**not met**",
  ]);
  const head = ["measure", "quantity", "", "beside", "ratio", "goal", ""];
  return [head, head.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** `1,234 (1,100-1,300)` */
function shown({ median, min, max }: Spread, digits?: number): string {
  const places = digits ?? (median < 100 ? 1 : 0);
  const format = new Intl.NumberFormat("en", { minimumFractionDigits: places, maximumFractionDigits: places });
  const [middle, low, high] = [median, min, max].map((value) => format.format(value));
  return min === max ? `${middle}` : `${middle} (${low}-${high})`;
}

export function said(reading: Reading): string {
  return Object.entries(reading).map(([quantity, value]) => `${quantity} ${value.toFixed(1)}`).join(", ");
}
