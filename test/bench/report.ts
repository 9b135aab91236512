/** Shows readings as a Markdown table of medians, ranges and ratios. */
import { quantitiesOf, type Measure, type Quantity, type Reading } from "./measure.ts";
import { ratios, spread, type Spread } from "./statistics.ts";

/** The rounds of one measure, in order, of both subjects. */
export interface Taken {
  readonly measure: Measure;
  readonly stock: readonly Reading[];
  readonly millrace: readonly Reading[];
}

export interface Row {
  readonly measure: string;
  readonly quantity: string;
  readonly unit: string;
  readonly better: Quantity["better"];
  readonly stock: Spread;
  readonly millrace: Spread;
  /** Millrace by stock. */
  readonly ratio: Spread;
}

export function rowsOf({ measure, stock, millrace }: Taken): Row[] {
  return quantitiesOf(measure).map(({ key, label, unit, better }) => {
    const reference = stock.map((reading) => reading[key] ?? Number.NaN);
    const ours = millrace.map((reading) => reading[key] ?? Number.NaN);
    const spreads = { stock: spread(reference), millrace: spread(ours), ratio: ratios(ours, reference) };
    return { measure: measure.name, quantity: label, unit, better, ...spreads };
  });
}

export function table(rows: readonly Row[]): string {
  const lines = rows.map(({ measure, quantity, unit, better, stock, millrace, ratio }) => {
    const cells = [measure, `${quantity}, ${unit}`, shown(stock), shown(millrace), shown(ratio, 2), better];
    return `| ${cells.join(" | ")} |`;
  });
  return ["| measure | quantity | BullMQ | Millrace | ratio | better is |", "| --- | --- | --- | --- | --- | --- |", ...lines].join("\n");
}

/** `1,234 (1,100-1,300)` */
function shown({ median, min, max }: Spread, digits?: number): string {
  const places = digits ?? (median < 100 ? 1 : 0);
  const format = new Intl.NumberFormat("en", { minimumFractionDigits: places, maximumFractionDigits: places });
  const [middle, low, high] = [median, min, max].map((value) => format.format(value));
  return `${middle} (${low}-${high})`;
}
