/** The README's table of the faults: what the suite has written of Millrace and of stock BullMQ, side by side. */
import { readFileSync, writeFileSync } from "node:fs";
import type { Row } from "./report.ts";
import { conditionsOf, readReport, type WrittenRow } from "./written-report.ts";

const BEGIN = "<!-- faults: made by npm run test:faults -- --merge DIR -->";
const END = "<!-- /faults -->";

/** Puts the table, and under which conditions it was measured, into the README between its two marks. @throws when it lacks something */
export function mergeInto(readme: string, dir: string): void {
  const text = readFileSync(readme, "utf8");
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`expected ${BEGIN} and ${END} in ${readme}`);
  const table = merged(readReport(dir, "millrace"), readReport(dir, "bullmq"));
  writeFileSync(readme, `${text.slice(0, begin)}${BEGIN}\n${table}\n${text.slice(end)}`);
}

export function merged(own: readonly WrittenRow[], stock: readonly WrittenRow[]): string {
  const rows = own.map((row) => {
    const cells = [row.row, row.title, ownFigures(row), `${row.verdict}, ${phasesOf([row])}`, missed(stock.find((other) => other.row === row.row))];
    return `| ${cells.join(" | ")} |`;
  });
  return [
    `Millrace: ${conditionsOf(own)}.`,
    `Stock BullMQ, ${phasesOf(stock)} a row: ${conditionsOf(stock)}.`,
    "",
    "| | fault | worst figures (target) | verdict | stock BullMQ misses |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}

/** "5 phases"; "1 to 5 phases" */
function phasesOf(rows: readonly Row[]): string {
  const counts = rows.map(({ phases }) => phases);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  return `${least === most ? "" : `${least} to `}${most} phase${most === 1 ? "" : "s"}`;
}

/** What is to be 0, and is, in one breath. */
function ownFigures({ figures, contradictions }: Row): string {
  const zeros = figures.filter(({ worst, target }) => worst === "0" && target === "0").map(({ name }) => name);
  const others = figures.filter(({ name }) => !zeros.includes(name)).map(({ name, worst, target }) => `${name} ${brief(worst)} (${brief(target)})`);
  return [...others, ...(zeros.length === 0 ? [] : [`0 ${zeros.join(", ")}`]), ...found(contradictions)].join("; ");
}

function missed(row: Row | undefined): string {
  if (row === undefined) return "not played";
  const figures = row.figures.filter(({ met, worst }) => !met && worst !== "not measured").map(({ name, worst }) => `${name} ${brief(worst)}`);
  return [...figures, ...found(row.contradictions)].join("; ") || "nothing";
}

function found(contradictions: readonly string[]): string[] {
  const broken = contradictions.filter((line) => line.startsWith("could not be played")).length;
  const wrong = contradictions.length - broken;
  return [...(wrong === 0 ? [] : [`${wrong} job${wrong === 1 ? "" : "s"} lost, doubled or in a wrong state`]), ...(broken === 0 ? [] : [`${broken} phase${broken === 1 ? "" : "s"} not played to the end`])];
}

function brief(figure: string): string {
  return figure.replace("<=", "≤").replace(">=", "≥").replaceAll(".0 s", " s");
}
