/** What the commands `task …` print. */
import { cancelTask, listTasks, taskFilterOptions, type TaskFilter, type TaskRow } from "../admin/tasks.ts";
import { numberOrText } from "../config.ts";
import { OptionError } from "../errors.ts";
import { openOperator, type Context } from "./context.ts";
import { EXIT } from "./exit-code.ts";
import { counted, span } from "./quantity.ts";
import { tellOfNoCancel } from "./stock-workers.ts";
import { painted, printable, tableLines, type Column } from "./table.ts";

export interface ListFlags {
  readonly tree?: true;
  readonly pid?: string;
  readonly queue?: string;
  readonly name?: string;
  readonly older?: string;
  readonly limit?: string;
}

export interface CancelFlags {
  readonly reason?: string;
}

const TASK: readonly Column<TaskRow>[] = [
  { title: "TASK", of: ({ id }) => id },
  { title: "NAME", of: ({ name }) => name, cuts: true },
  { title: "QUEUE", of: ({ queue }) => queue, cuts: true },
  { title: "TRY", of: ({ attempt }) => attempt },
  { title: "AGE", of: ({ ageMs }) => span(ageMs), align: "right" },
  { title: "PROGRESS", of: ({ progress }) => progress ?? undefined, cuts: true },
];
const NOTE: Column<TaskRow> = { title: "NOTE", of: noteOf, style: ({ stuck, worker }) => (stuck ? "red" : worker.id === null ? "dim" : "yellow") };
export const FLAT: readonly Column<TaskRow>[] = [...TASK, { title: "WORKER", of: ({ worker }) => worker.id ?? worker.name, cuts: true }, NOTE];

function noteOf({ stuck, interruption, worker }: TaskRow): string | undefined {
  if (worker.id === null) return interruption === null ? "stock" : "stock, asked";
  return stuck ? "stuck" : interruption === null ? undefined : "is to end";
}

export async function list(context: Context, { tree, pid, ...flags }: ListFlags): Promise<void> {
  const filter = filterOf(flags);
  const isFiltered = Object.keys(filter).length > 0;
  if (pid !== undefined) {
    if (isFiltered || tree === true) throw new OptionError("expected --pid by itself: it shows all that one process does, as a tree");
    return (await import("./tasks.ts")).tasks(context, { pid });
  }
  const { output } = context;
  await using operator = await openOperator(context);
  const { tasks, unlisted } = await listTasks(operator, filter);
  if (tree === true && !output.json && tasks.length > 0) await printTree(context, tasks);
  else await output.rows(tasks, FLAT, isFiltered ? "no task matches" : "nothing runs");
  for (const { count, ...of } of unlisted) {
    if ("worker" in of) output.warning(`${of.worker.id} (${printable(of.worker.name)}) runs ${counted(count, "more task")} than are listed: of each worker the oldest are`);
    else output.warning(`stock BullMQ workers may run ${counted(count, "more job")} of ${printable(of.queue)} than are listed: of each queue the oldest are`);
  }
}

/** @throws OptionError by the flag that said it */
function filterOf({ queue, name, older, limit }: ListFlags): TaskFilter {
  const filter = { ...(queue !== undefined && { queue }), ...(name !== undefined && { name }), ...(older !== undefined && { older: numberOrText(older) }), ...(limit !== undefined && { limit: numberOrText(limit) }) };
  for (const [option, value] of Object.entries(filter)) taskFilterOptions[option as keyof TaskFilter](value, `--${option}`);
  return filter as TaskFilter;
}

async function printTree({ output }: Context, tasks: readonly TaskRow[]): Promise<void> {
  const byWorker = Map.groupBy(tasks, ({ worker }) => worker.id ?? `stock ${worker.name}`);
  const stream = process.stdout;
  const inner = { isTTY: stream.isTTY, columns: (stream.columns ?? 80) - 3, hasColors: () => stream.hasColors?.() ?? false, write: () => true };
  for (const those of byWorker.values()) {
    const [{ worker }] = those as [TaskRow];
    await output.result(`${painted("bold", worker.id ?? "stock", stream)}  ${printable(worker.name)}`, {});
    const lines: string[] = [];
    for await (const line of tableLines(those, [...TASK, NOTE], inner)) lines.push(line);
    for (const [i, line] of lines.entries()) await output.result(`${i === 0 ? "   " : i === lines.length - 1 ? "└─ " : "├─ "}${line}`, {});
  }
}

/** @returns 1 when one had ended by then */
export async function cancel(context: Context, ids: readonly string[], flags: CancelFlags): Promise<number | void> {
  await using operator = await openOperator(context);
  let late = 0;
  const stock = new Set<string>();
  for (const id of ids) {
    const task = await cancelTask(operator, id, flags.reason === undefined ? {} : { reason: flags.reason });
    const what = printable(`${task.name} ${task.id} of ${task.queue}`);
    const { id: worker, name } = task.worker;
    const where = worker === null ? `is asked to end, on ${printable(name)}` : `is told to end, on ${worker} (${printable(name)})`;
    await context.output.result(`${what} ${task.cancelled ? where : "had ended by then"}`, task);
    if (!task.cancelled) late += 1;
    else if (worker === null && !stock.has(task.queue)) tellOfNoCancel(context.output, task.queue);
    if (worker === null) stock.add(task.queue);
  }
  return late > 0 ? EXIT.failed : undefined;
}
