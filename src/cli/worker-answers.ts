/** How the answers of workers are printed: a row each; then who refused, and who did not answer. */
import type { Operator } from "../admin/operator.ts";
import type { WorkerAnswers } from "../admin/worker-verbs.ts";
import type { Workers } from "../admin/workers.ts";
import { OptionError, TimeoutError } from "../errors.ts";
import type { Context } from "./context.ts";
import { EXIT } from "./exit-code.ts";
import { counted } from "./quantity.ts";
import type { Column } from "./table.ts";

export interface WorkersFlags {
  readonly all?: true;
}

/** @throws OptionError where neither is given, or both */
export function workersOf(names: readonly string[], { all }: WorkersFlags): Workers {
  if ((names.length > 0) === (all === true)) throw new OptionError(`expected ids or names of workers, or --all, got ${all === true ? "both" : "neither"}; worker list shows them`);
  return all === true ? "all" : names;
}

/** One answer, with the worker that gave it. */
export type Answered<T> = { readonly id: string; readonly name: string } & T;

export function workerColumns<T extends object>(): readonly Column<Answered<T>>[] {
  return [
    { title: "WORKER", of: ({ id }) => id },
    { title: "NAME", of: ({ name }) => name, cuts: true },
  ];
}

/** @returns the exit code: 3 when one did not answer, else 1 when one refused */
export async function printAnswers<T extends object>(context: Context, operator: Operator, told: WorkerAnswers<T>, columns: readonly Column<Answered<T>>[]): Promise<number | void> {
  const rows = told.answers.map(({ id, name, value }) => ({ id, name, ...value }));
  if (rows.length > 0) await context.output.rows(rows, [...workerColumns<T>(), ...columns], "");
  return printOthers(context, operator, told);
}

/** Who gave no answer that can be shown, and whether there was anybody. */
export async function printOthers({ output }: Context, { prefix }: Operator, { answers, refused, unanswered }: WorkerAnswers<unknown>): Promise<number | void> {
  if (answers.length + refused.length + unanswered.length === 0 && !output.json) process.stderr.write(`no worker runs under the prefix ${JSON.stringify(prefix)}: nothing was done\n`);
  for (const { id, name, error } of refused) {
    await output.result(undefined, { id, name, error });
    if (!output.json) process.stderr.write(`error: ${id} (${name}) refused: ${error.message}\n`);
  }
  for (const { id, name } of unanswered) await output.result(undefined, { id, name, unanswered: true });
  if (unanswered.length > 0) {
    const named = unanswered.map(({ id, name }) => `${id} (${name})`).join(", ");
    output.error(new TimeoutError(`no answer within 1 s from ${counted(unanswered.length, "worker")}: ${named}; an event loop is blocked, or a process is stopped or dead: nothing is done later`));
    return EXIT.timedOut;
  }
  return refused.length > 0 ? EXIT.failed : undefined;
}
