/** What `doctor` prints. */
import { doctor as look, type DoctorOptions } from "../admin/doctor.ts";
import type { Finding } from "../admin/finding.ts";
import { openOperator, type Context } from "./context.ts";
import { EXIT } from "./exit-code.ts";
import { count, counted, milliseconds, size } from "./quantity.ts";
import { painted, printable } from "./table.ts";
import { wrapped } from "./wrapped.ts";

/** @returns 5 when something was found */
export async function doctor(context: Context, { deep }: { readonly deep?: true }): Promise<number> {
  const { output, interruption } = context;
  await using operator = await openOperator(context);
  const options: DoctorOptions = { deep: deep === true, signal: interruption.signal };
  const { findings, server, queues, workers } = await look(operator, options);
  for (const finding of findings) await output.result(shown(finding), finding);
  const what = `${server}, ${counted(queues, "queue")}, ${counted(workers, "worker")}`;
  if (!output.json) process.stderr.write(`${findings.length === 0 ? "nothing found" : counted(findings.length, "finding")}: looked at ${what}\n`);
  return findings.length === 0 ? EXIT.done : EXIT.findings;
}

const WIDTH = 78;

/** Three parts: what is wrong with what, how that is known, what to do. */
function shown({ severity, subject, message, evidence, remedy }: Finding): string {
  const mark = severity === "error" ? painted("red", "error", process.stdout) : painted("yellow", "warning", process.stdout);
  const facts = factsOf(evidence);
  const lines = [...wrapped(printable(message), WIDTH), ...(facts.length === 0 ? [] : wrapped(printable(facts.join(", ")), WIDTH))];
  return [`${mark} ${painted("bold", printable(subject), process.stdout)}`, ...lines.map((line) => `  ${line}`), `  > ${printable(remedy)}`].join("\n");
}

const SHOWN = 3;

/** What is not known is not told. */
function factsOf(evidence: object): string[] {
  return Object.entries(evidence).filter(([, value]) => value !== undefined).map(fact);
}

/** `oldestWaitingMs: 61000` as people say it: `oldest waiting 1 min 1 s`. */
function fact([name, value]: readonly [string, unknown]): string {
  const [words, unit] = [name.replace(/(Ms|Bytes|At)$/, ""), /(Ms|Bytes|At)$/.exec(name)?.[1]];
  return `${words.replaceAll(/(?<=[a-z])(?=[A-Z\d])|(?<=\d)(?=[A-Z])/g, " ").toLowerCase()} ${text(value, unit)}`;
}

function text(value: unknown, unit?: string): string {
  if (value === "") return '""';
  if (typeof value === "number" && unit === "At") return new Date(value).toISOString();
  if (typeof value === "number") return unit === "Ms" ? milliseconds(value) : unit === "Bytes" ? size(value) : Number.isInteger(value) ? count(value) : value.toFixed(1);
  if (Array.isArray(value)) return `${value.slice(0, SHOWN).map((each) => text(each)).join(", ")}${value.length > SHOWN ? ", …" : ""}`;
  return typeof value === "object" && value !== null ? `(${factsOf(value).join(" ")})` : String(value);
}
