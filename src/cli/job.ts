/** What the commands `job …` print that look at jobs. */
import { inspect } from "node:util";
import { sinceOf } from "../admin/job-filter.ts";
import { jobLogs, showJob, type ShownJob } from "../admin/job-show.ts";
import { listJobs, type JobRow } from "../admin/jobs.ts";
import { openOperator, type Context } from "./context.ts";
import type { FilterFlags } from "./filter-flags.ts";
import { filterOf } from "./said-filter.ts";
import { counted, span } from "./quantity.ts";
import { stackLines } from "./stack.ts";
import { painted, printable, type Column } from "./table.ts";

const STATE_STYLES: Readonly<Record<string, "red" | "cyan" | "dim">> = { failed: "red", active: "cyan", completed: "dim" };

export function jobColumns(now: () => number): readonly Column<JobRow>[] {
  return [
    { title: "ID", of: ({ id }) => id },
    { title: "NAME", of: ({ name }) => name || "(only its id is left)", cuts: true },
    { title: "STATE", of: ({ state }) => state, style: ({ state }) => STATE_STYLES[state] },
    { title: "AGE", of: (job) => span(now() - sinceOf(job)), align: "right" },
    { title: "TRIES", of: ({ attempts }) => attempts },
    { title: "NOTE", of: (job) => noteOf(job, now()), cuts: true },
  ];
}

function noteOf({ dueAt, reason, priority }: JobRow, now: number): string {
  const notes = [
    ...(dueAt === undefined ? [] : [dueAt > now ? `due in ${span(dueAt - now)}` : `due for ${span(now - dueAt)}`]),
    ...(priority > 0 ? [`priority ${priority}`] : []),
    ...(reason === undefined ? [] : [reason]),
  ];
  return notes.join(", ");
}

export async function list(context: Context, queue: string, flags: FilterFlags): Promise<void> {
  const filter = filterOf(flags);
  await using operator = await openOperator(context);
  const isFiltered = Object.keys(filter).length > 0;
  await context.output.rows(listJobs(operator, queue, filter), jobColumns(() => operator.connections.clock.now()), isFiltered ? `no job of ${queue} matches` : `no job is in ${queue}`);
}

export async function show(context: Context, queue: string, id: string): Promise<void> {
  await using operator = await openOperator(context);
  const job = await showJob(operator, queue, id);
  await context.output.result(described(job, operator.connections.clock.now()), job);
}

export async function logs({ output, ...context }: Context, queue: string, id: string): Promise<void> {
  await using operator = await openOperator({ output, ...context });
  let lines = 0;
  for await (const line of jobLogs(operator, queue, id)) {
    lines += 1;
    await output.result(printable(line), { line });
  }
  if (lines === 0 && !output.json) process.stderr.write(`job ${id} of ${queue} has logged nothing\n`);
}

/** A job, line by line. */
export function described(job: ShownJob, now: number): string {
  const ago = (at: number | undefined): string | undefined => (at === undefined ? undefined : `${new Date(at).toISOString()} (${at > now ? `in ${span(at - now)}` : `${span(now - at)} ago`})`);
  const state = painted(STATE_STYLES[job.state] ?? "bold", job.state, process.stdout);
  const rows: readonly (readonly [string, string | undefined])[] = [
    ["state", `${state}${job.pendingChildren > 0 ? `, for ${counted(job.pendingChildren, "job")}` : ""}`],
    ["put", ago(job.putAt)],
    ["due", ago(job.dueAt)],
    ["started", ago(job.startedAt)],
    ["finished", ago(job.finishedAt)],
    ["attempts", `${job.attempts}${job.attemptsMost === undefined ? "" : ` of ${job.attemptsMost}`}, ${counted(job.deliveries, "delivery", "deliveries")}${job.crashes > 0 ? `, ${counted(job.crashes, "lost worker")}` : ""}`],
    ["priority", job.priority > 0 ? String(job.priority) : undefined],
    ["worker", job.worker === undefined ? undefined : `${job.worker}${job.leaseMs === undefined ? "" : `, leased for ${span(job.leaseMs)}`}`],
    ["schedule", job.schedule],
    ["parent", job.parent],
    ["progress", job.progress === undefined ? undefined : data(job.progress)],
    ["payload", data(job.payload)],
    ["options", data(job.options)],
    ["result", job.result === undefined ? undefined : data(job.result)],
    ["logs", job.logLines > 0 ? `${counted(job.logLines, "line")}: millrace job logs ${job.queue} ${job.id}` : undefined],
    ["reason", job.reason === undefined ? undefined : painted("red", printable(job.reason), process.stdout)],
  ];
  const stack = stackLines(job.stacks.at(-1) ?? "").map((line) => `    ${line}`);
  const lines = rows.flatMap(([label, text]) => (text === undefined ? [] : [`  ${label.padEnd(9)} ${text.replaceAll("\n", `\n${" ".repeat(12)}`)}`]));
  return [`${painted("bold", printable(job.name), process.stdout)} ${job.id}`, ...lines, ...stack].join("\n");
}

/** As Node shows values: nothing in it reaches the terminal but text. */
function data(value: unknown): string {
  return inspect(value, { depth: 8, breakLength: 66, maxStringLength: 2000, maxArrayLength: 100 });
}
