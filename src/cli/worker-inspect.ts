/** What the commands `worker list`, `worker dump` and `worker profile` print and write. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { dumpWorkers, profileWorkers } from "../admin/worker-verbs.ts";
import { listStockWorkers, listWorkers, type WorkerRow } from "../admin/workers.ts";
import type { PoolDump } from "../control/verbs.ts";
import { check } from "../options.ts";
import { openOperator, type Context } from "./context.ts";
import { count, seconds, size, span } from "./quantity.ts";
import { waitPlace } from "./stack.ts";
import { tellOfStock } from "./stock-workers.ts";
import { painted, printable, tableLines, type Column } from "./table.ts";
import { printOthers, workersOf, type WorkersFlags } from "./worker-answers.ts";

export interface ProfileFlags extends WorkersFlags {
  readonly seconds?: string;
  readonly out?: string;
}

const STATE_STYLES: Readonly<Record<WorkerRow["state"], "green" | "yellow" | "dim">> = { ready: "green", quiet: "yellow", starting: "dim", draining: "yellow" };
/** What a loop may be late before it is worth a look. */
const LATE_MS = 100;
const SILENT_MS = 5000;

const COLUMNS: readonly Column<WorkerRow>[] = [
  { title: "WORKER", of: ({ id }) => id },
  { title: "NAME", of: ({ name }) => name, cuts: true },
  { title: "STATE", of: (row) => (isSilent(row) ? `silent ${span(row.silentMs)}` : row.state), style: (row) => (isSilent(row) ? "red" : STATE_STYLES[row.state]) },
  { title: "BUSY", of: ({ running, slots }) => `${running}/${slots}`, align: "right", style: ({ running, slots }) => (running >= slots ? "bold" : undefined) },
  { title: "MEMORY", of: ({ rssBytes }) => size(rssBytes), align: "right" },
  { title: "LOOP", of: ({ loopDelayMs: { max } }) => (max < 1000 ? `${max} ms` : seconds(max)), align: "right", style: ({ loopDelayMs: { max } }) => (max >= LATE_MS ? "red" : undefined) },
  { title: "UP", of: ({ upMs }) => span(upMs), align: "right" },
  { title: "QUEUES", of: ({ queues }) => queues.join(", "), cuts: true },
  { title: "NOTE", of: noteOf, cuts: true, style: () => "red" },
];

/** Its event loop is blocked: it would have told of itself twice. */
function isSilent({ silentMs }: WorkerRow): boolean {
  return silentMs >= SILENT_MS;
}

function noteOf({ stuck, lastError }: WorkerRow): string | undefined {
  const notes = [...(stuck > 0 ? [`${stuck} stuck`] : []), ...(lastError === null ? [] : [lastError.message])];
  return notes.length === 0 ? undefined : notes.join(", ");
}

export async function list(context: Context): Promise<void> {
  await using operator = await openOperator(context);
  const [workers, stock] = await Promise.all([listWorkers(operator), listStockWorkers(operator)]);
  await context.output.rows(workers, COLUMNS, `no worker${stock.length === 0 ? "" : " of Millrace"} runs under the prefix ${JSON.stringify(operator.prefix)}`);
  tellOfStock(context.output, stock);
}

type DumpRow = PoolDump["tasks"][number] & { readonly ageMs: number };

const TASKS: readonly Column<DumpRow>[] = [
  { title: "TASK", of: ({ id }) => id },
  { title: "NAME", of: ({ name }) => name, cuts: true },
  { title: "TRY", of: ({ attempt }) => attempt },
  { title: "AGE", of: ({ ageMs }) => span(ageMs), align: "right" },
  { title: "PROGRESS", of: ({ progress }) => progress ?? undefined, cuts: true },
  { title: "NOTE", of: ({ stuck, interruption }) => (stuck ? "stuck" : interruption === null ? undefined : `is to end: ${interruption}`), cuts: true },
];

const UNKNOWN_PLACE = "Where the others wait is not known: they wait since before debug mode was on, or run on threads of their own";

export async function dump(context: Context, names: readonly string[], flags: WorkersFlags): Promise<number | void> {
  const workers = workersOf(names, flags);
  await using operator = await openOperator(context);
  const dumped = await dumpWorkers(operator, workers);
  for (const { value } of dumped.answers) await context.output.result(await shown(value), value);
  return printOthers(context, operator, dumped);
}

async function shown({ pool, at, uptimeMs, node, debug, tasks, eventLoop, memory, resources }: PoolDump): Promise<string> {
  const { id, name, host, pid, version, place, supervisor, state, running, slots, stuck, ended, queues, lastError } = pool;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["state", `${state}, ${running} of ${slots} slots run a task, ${count(ended)} ended${stuck > 0 ? `, ${stuck} stuck` : ""}`],
    ["queues", queues.join(", ")],
    ["process", `${host}:${pid}, up ${seconds(uptimeMs)}, Millrace ${version}, Node ${node}`],
    ["supervisor", supervisor === null ? undefined : `pid ${supervisor}, place ${place}`],
    ["event loop", `up to ${eventLoop.delayMs.max} ms late, ${Math.round(eventLoop.utilization * 100)}% busy`],
    ["memory", `${size(memory.rssBytes)} resident, heap ${size(memory.heapUsedBytes)} of at most ${size(memory.heapLimitBytes)}`],
    ["resources", Object.entries(resources).map(([kind, open]) => `${open} ${kind}`).join(", ")],
    ["last error", lastError === null ? undefined : `${seconds(at - lastError.at)} ago${lastError.job === null ? "" : `, ${lastError.job.name} ${lastError.job.id}`}: ${lastError.message}`],
  ];
  const lines = [`${painted("bold", id, process.stdout)}  ${printable(name)}`, ...facts.flatMap(([label, text]) => (text === undefined ? [] : [`  ${label.padEnd(10)}  ${printable(text)}`]))];
  for await (const line of tableLines(tasks.map((task) => ({ ...task, ageMs: at - task.startedAt })), TASKS, process.stdout, ({ waitsAt }) => waitPlace(waitsAt))) lines.push(line);
  if (tasks.length < running + stuck) lines.push(`and ${running + stuck - tasks.length} more`);
  if (tasks.some(({ waitsAt }) => waitsAt === null)) lines.push(debug ? UNKNOWN_PLACE : `Where they wait is told in debug mode, of what begins or resumes to wait from then on: millrace worker debug ${id} on`);
  return `${lines.join("\n")}\n`;
}

export async function profile({ output, ...context }: Context, names: readonly string[], flags: ProfileFlags): Promise<number | void> {
  const workers = workersOf(names, flags);
  const length = check.number({ min: 0.1, max: 60 })(flags.seconds === undefined ? 10 : Number(flags.seconds), "--seconds");
  await using operator = await openOperator({ output, ...context });
  const folder = flags.out ?? ".";
  await mkdir(folder, { recursive: true });
  const profiled = await profileWorkers(operator, workers, length);
  for (const { id, name, value } of profiled.answers) {
    const file = join(folder, `millrace-${id}-${new Date().toISOString().replaceAll(/[-:]|\.\d+/g, "")}.cpuprofile`);
    await writeFile(file, value);
    await output.result(`${file}: ${seconds(length * 1000)} of ${id} (${printable(name)}), ${size(value.length)}; Chrome's developer tools and editors open it`, { id, name, file, seconds: length, bytes: value.length });
  }
  return printOthers({ output, ...context }, operator, profiled);
}
