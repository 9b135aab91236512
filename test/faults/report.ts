/** What the suite found, as lines for a terminal, as a Markdown table and as JSON. */
import { holds, meets, worst, type Phase, type Scenario, type Target } from "./scenario.ts";

/** One row as it was played. */
export interface Played {
  readonly scenario: Scenario;
  readonly phases: readonly Phase[];
  readonly tookMs: number;
}

export interface Row {
  readonly row: string;
  readonly title: string;
  readonly phases: number;
  readonly figures: readonly { readonly name: string; readonly worst: string; readonly target: string; readonly met: boolean }[];
  readonly contradictions: readonly string[];
  /** Of the phases that broke. */
  readonly seeds: readonly number[];
  readonly verdict: "holds" | "broken";
  readonly seconds: number;
}

export function rowOf({ scenario, phases, tookMs }: Played): Row {
  const { row, title, targets } = scenario;
  const figures = Object.entries(targets).map(([name, target]) => {
    const measured = phases.flatMap(({ figures }) => figures[name] ?? []);
    const figure = measured.length === 0 ? Number.NaN : worst(measured, target);
    return { name: target.label, worst: shown(name, figure), target: shownTarget(name, target), met: meets(figure, target) };
  });
  const broken = phases.filter((phase) => !holds(scenario, phase));
  return {
    row,
    title,
    phases: phases.length,
    figures,
    contradictions: phases.flatMap(({ contradictions }) => contradictions),
    seeds: broken.map(({ seed }) => seed),
    verdict: broken.length === 0 ? "holds" : "broken",
    seconds: Math.round(tookMs / 1000),
  };
}

/** A row as it is printed when it has been played. */
export function lines(row: Row): string {
  const figures = row.figures.map(({ name, worst, target, met }) => `    ${met ? " " : "!"} ${name} ${worst} (${target})`);
  const found = row.contradictions.slice(0, 10).map((line) => `    ! ${line}`);
  const more = row.contradictions.length > 10 ? [`    ! and ${row.contradictions.length - 10} more`] : [];
  const repeat = row.seeds.length === 0 ? [] : [`    repeat it: npm run test:faults -- ${row.row} --phases 1 --seed ${row.seeds[0]}`];
  const title = `${row.row} ${row.title}: ${row.verdict}, ${row.phases} phase${row.phases === 1 ? "" : "s"} in ${row.seconds} s`;
  return [title, ...figures, ...found, ...more, ...repeat].join("\n");
}

export function table(rows: readonly Row[]): string {
  const body = rows.map(({ row, title, phases, figures, contradictions, verdict }) => {
    const all = [...figures.map(({ name, worst }) => `${name} ${worst}`), ...(contradictions.length === 0 ? [] : [`${contradictions.length} contradictions`])];
    return `| ${[row, title, phases, all.join("; "), figures.map(({ target }) => target).join("; "), verdict].join(" | ")} |`;
  });
  return ["| row | fault | phases | worst | target | verdict |", "| --- | --- | --- | --- | --- | --- |", ...body].join("\n");
}

function shown(name: string, figure: number): string {
  if (Number.isNaN(figure)) return "not measured";
  if (!name.endsWith("Ms")) return String(Math.round(figure * 100) / 100);
  if (figure === Infinity) return "never";
  return figure < 1000 ? `${Math.round(figure)} ms` : `${(figure / 1000).toFixed(1)} s`;
}

function shownTarget(name: string, { atMost, atLeast }: Target): string {
  if (atMost !== undefined && atLeast !== undefined) return `${shown(name, atLeast)} to ${shown(name, atMost)}`;
  if (atLeast !== undefined) return `>= ${shown(name, atLeast)}`;
  return atMost === 0 ? "0" : `<= ${shown(name, atMost ?? Number.NaN)}`;
}
