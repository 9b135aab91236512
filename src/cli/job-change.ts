/** What the commands print that change jobs, one or many. */
import type { BulkResult, JobSelection } from "../admin/bulk.ts";
import { discardDead, retryDead } from "../admin/dead.ts";
import { cancelJobs, promoteJobs, purgeQueue, removeJobs, retryJobs, type CancelResult } from "../admin/job-changes.ts";
import { copyJobs, editJob, type JobEdit } from "../admin/job-edit.ts";
import type { Operator } from "../admin/operator.ts";
import { listStockWorkers } from "../admin/workers.ts";
import { numberOrText } from "../config.ts";
import { PayloadError } from "../errors.ts";
import { shown } from "../options.ts";
import { confirm, type ConfirmFlags } from "./confirm.ts";
import { openOperator, type Context } from "./context.ts";
import { showingCount } from "./count-line.ts";
import { EXIT } from "./exit-code.ts";
import type { FilterFlags } from "./filter-flags.ts";
import { filterOf } from "./said-filter.ts";
import { count, counted } from "./quantity.ts";
import { tellOfNoCancel } from "./stock-workers.ts";
import { printable } from "./table.ts";

export interface BulkFlags extends FilterFlags, ConfirmFlags {
  readonly all?: true;
  readonly reason?: string;
  readonly to?: string;
}

interface Words {
  /** As typed: `job retry`. */
  readonly command: string;
  /** `retry`, `retried` */
  readonly todo: string;
  readonly done: string;
  /** What cannot be undone is asked for: in bulk, or always. */
  readonly asks: "never" | "in bulk" | "always";
}

type Change = (operator: Operator, queue: string, selection: JobSelection) => Promise<BulkResult & Partial<CancelResult>>;

export const retryLetters = verb({ command: "dead retry", todo: "retry", done: "retried", asks: "never" }, () => retryDead);
export const discard = verb({ command: "dead discard", todo: "discard", done: "discarded", asks: "always" }, () => discardDead);
export const retry = verb({ command: "job retry", todo: "retry", done: "retried", asks: "never" }, () => retryJobs);
export const promote = verb({ command: "job promote", todo: "promote", done: "promoted", asks: "never" }, () => promoteJobs);
export const remove = verb({ command: "job remove", todo: "remove", done: "removed", asks: "always" }, () => removeJobs);
export const cancel = verb({ command: "job cancel", todo: "cancel", done: "cancelled", asks: "in bulk" }, ({ reason }) => (operator, queue, selection) =>
  cancelJobs(operator, queue, { ...selection, ...(reason !== undefined && { reason }) }),
);
export const copy = verb({ command: "job copy", todo: "copy", done: "copied", asks: "never" }, ({ to }) => (operator, queue, selection) => copyJobs(operator, queue, { ...selection, ...(to !== undefined && { to }) }));

/** @param flags.state  as all of the filter's; commander sees that it is there */
export function purge(context: Context, queue: string, flags: BulkFlags): Promise<number> {
  const all = verb({ command: "queue purge", todo: "purge", done: "purged", asks: "always" }, () => purgeQueue as Change);
  return all(context, queue, [], flags);
}

function verb(words: Words, changeOf: (flags: BulkFlags) => Change): (context: Context, queue: string, ids: readonly string[], flags: BulkFlags) => Promise<number> {
  return async (context, queue, ids, flags) => {
    const { interruption } = context;
    const selection: JobSelection = { ...(ids.length > 0 && { ids }), ...filterOf(flags), ...(flags.all === true && { all: true }) };
    const change = changeOf(flags);
    await using operator = await openOperator(context);
    const asks = flags.yes !== true && (words.asks === "always" || (words.asks === "in bulk" && ids.length !== 1));
    if (flags.dryRun === true || asks) {
      if (flags.dryRun !== true) operator.assertMayChange(words.command);
      const { matched, skipped } = await counting("found", (onProgress) => change(operator, queue, { ...selection, dryRun: true, onProgress }));
      if (matched === 0) return nothing(context, queue);
      const answer = await confirm(context, `${words.todo} ${counted(matched, "job")} of ${queue}`, { queue, matched, changed: 0, skipped }, flags);
      if (answer !== "yes") return answer === "no" ? EXIT.failed : EXIT.done;
    }
    const result = await counting(words.done, (onProgress) => change(operator, queue, { ...selection, signal: interruption.signal, onProgress }));
    const { asked = 0 } = result;
    if (asked > 0 && (await listStockWorkers(operator)).some((stock) => stock.queue === queue)) tellOfNoCancel(context.output, queue);
    return printed(context, words, result);
  };
}

function counting(done: string, change: (onProgress: (jobs: number) => void) => ReturnType<Change>): ReturnType<Change> {
  let jobs = 0;
  return showingCount(() => `${counted(jobs, "job")} ${done}`, change((soFar) => (jobs = soFar)));
}

async function nothing({ output }: Context, queue: string): Promise<number> {
  await output.result(undefined, { queue, matched: 0, changed: 0, skipped: [] });
  if (!output.json) process.stderr.write(`no job of ${queue} matches\n`);
  return EXIT.done;
}

async function printed(context: Context, { done }: Words, { queue, matched, changed, skipped, asked }: BulkResult & Partial<CancelResult>): Promise<number> {
  if (matched === 0 && skipped.length === 0) return nothing(context, queue);
  const of = changed === matched ? counted(changed, "job") : `${count(changed)} of ${counted(matched, "job")}`;
  const running = !asked ? "" : `; ${changed === 1 ? "it" : `${count(asked)} of them`} ${asked === 1 ? "runs, and is" : "run, and are"} asked to end`;
  await context.output.result(`${done} ${of} of ${queue}${running}`, { queue, matched, changed, skipped, asked });
  if (!context.output.json) for (const { id, reason } of skipped) context.output.warning(`job ${printable(id)}: ${reason}`);
  return skipped.length === 0 ? EXIT.done : EXIT.failed;
}

export interface EditFlags {
  readonly payload?: string;
  readonly priority?: string;
  readonly delay?: string;
  readonly attempts?: string;
}

export async function edit(context: Context, queue: string, id: string, { payload, priority, delay, attempts }: EditFlags): Promise<void> {
  const said = {
    ...(payload !== undefined && { payload: parsePayload(payload) }),
    ...(priority !== undefined && { priority: numberOrText(priority) }),
    ...(delay !== undefined && { delay: numberOrText(delay) }),
    ...(attempts !== undefined && { attempts: numberOrText(attempts) }),
  } as JobEdit; // what is no number, the function refuses
  await using operator = await openOperator(context);
  const result = await editJob(operator, queue, id, said);
  await context.output.result(`edited ${result.edited.join(", ")} of job ${printable(id)} of ${queue}`, result);
}

/** @throws PayloadError */
export function parsePayload(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new PayloadError(`expected JSON in quotes for --payload, got ${shown(text)}: ${(error as Error).message}`);
  }
}
