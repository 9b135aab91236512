/**
 * `npm run bench -- concurrency`: the in-process primitives beside p-queue, async-mutex and effection.
 *
 * Every reading is taken in a fresh process. The subjects take turns, and another begins with every round; a ratio is
 * taken within a round, by the fastest of the others in that round.
 */
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { availableParallelism, cpus } from "node:os";
import { promisify } from "node:util";
import { type MeasureName, measures, open, type SubjectName, subjects } from "./primitives.ts";
import { ratios, spread, type Spread } from "./statistics.ts";

const run = promisify(execFile);
const turnMs = 400;

export interface ConcurrencyOptions {
  readonly rounds: number;
  /** Turns of a twentieth of the time: shows that it runs, not how fast. */
  readonly quick: boolean;
}

interface Row {
  readonly measure: MeasureName;
  /** In a second of CPU; undefined for a library that has no such thing. */
  readonly rates: Readonly<Record<SubjectName, Spread | undefined>>;
  /** Millrace by the fastest of the others. */
  readonly ratio: Spread;
}

/** Prints a Markdown table. */
export async function benchConcurrency({ rounds, quick }: ConcurrencyOptions): Promise<void> {
  const rows: Row[] = [];
  for (const measure of measures) rows.push(await compare(measure, rounds, quick ? turnMs / 20 : turnMs));
  console.log(`${table(rows)}\n\n${conditions(rounds)}`);
}

async function compare(measure: MeasureName, rounds: number, runMs: number): Promise<Row> {
  const having = await those(measure);
  const readings = new Map(having.map((subject): [SubjectName, number[]] => [subject, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const at of having.keys()) {
      const subject = having[(at + round) % having.length] as SubjectName;
      const reading = await take(subject, measure, runMs);
      console.error(`${measure}, round ${round + 1}, ${subject}: ${whole.format(reading)} a second of CPU`);
      readings.get(subject)?.push(reading);
    }
  }
  const ours = readings.get("millrace") ?? [];
  const others = [...readings].filter(([subject]) => subject !== "millrace").map(([, rates]) => rates);
  const fastest = ours.map((_, round) => Math.max(...others.map((rates) => rates[round] ?? Number.NaN)));
  const rates = Object.fromEntries(subjects.map((subject) => [subject, readings.has(subject) ? spread(readings.get(subject) ?? []) : undefined]));
  return { measure, rates: rates as Row["rates"], ratio: ratios(ours, fastest) };
}

async function those(measure: MeasureName): Promise<SubjectName[]> {
  const has = await Promise.all(subjects.map(async (subject) => measure in (await open[subject]())));
  return subjects.filter((_, at) => has[at]);
}

async function take(subject: SubjectName, measure: MeasureName, runMs: number): Promise<number> {
  const turn = new URL("primitives-turn.ts", import.meta.url).pathname;
  const { stdout } = await run(process.execPath, ["--conditions=millrace-source", turn, subject, measure, String(runMs)], {
    env: { ...process.env, NODE_ENV: "production" },
    timeout: 60_000,
  });
  return Number(stdout);
}

function table(rows: readonly Row[]): string {
  const lines = rows.map(({ measure, rates, ratio }) => [measure, ...subjects.map((subject) => shown(rates[subject])), shown(ratio, hundredths)]);
  const head = ["a second of CPU", ...subjects, "ratio"];
  return [head, head.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const hundredths = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** `1,234 (1,100-1,300)` */
function shown(rate: Spread | undefined, format = whole): string {
  return rate === undefined ? "-" : `${format.format(rate.median)} (${format.format(rate.min)}-${format.format(rate.max)})`;
}

function conditions(rounds: number): string {
  const require = createRequire(import.meta.url);
  const versionOf = (name: string): string => `${name} ${(require(`../../node_modules/${name}/package.json`) as { version: string }).version}`;
  const others = subjects.filter((subject) => subject !== "millrace").map(versionOf);
  return `Median (least-most) of ${rounds} round${rounds === 1 ? "" : "s"}; the ratio is Millrace by the fastest of the others within one round.
${others.join(", ")}, Node ${process.version}, ${availableParallelism()} cores of ${cpus()[0]?.model ?? "unknown"}.

- A dash: the library has no such thing. p-queue has neither tasks nor permits: what stands there is add() and its end,
  without a limit beside spawn and gather, with a limit of 10 beside the semaphores.
- semaphore: 10 permits; free is one user after the other, in line a hundred who come back again and again.
- queue: effection's has no bound and takes items at once, as our putNoWait; put, which can wait, is a promise and awaited.
- gather: each of its thousand functions counts.`;
}
