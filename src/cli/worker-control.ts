/** What the commands `worker …` do that tell workers something. */
import { findWorkers, type Workers } from "../admin/workers.ts";
import { pingWorkers, quietWorkers, restartWorkers, resumeWorkers, scaleWorkers, setWorkerDebug, setWorkerLogLevel, stopWorkers, type WorkerAnswers } from "../admin/worker-verbs.ts";
import type { Operator } from "../admin/operator.ts";
import { LOG_LEVELS, numberOrText, type LogLevel } from "../config.ts";
import type { PoolEnd, PoolStand, ScaledPool } from "../control/verbs.ts";
import { check, durationMs } from "../options.ts";
import { confirm, type ConfirmFlags } from "./confirm.ts";
import { openOperator, type Context } from "./context.ts";
import { EXIT } from "./exit-code.ts";
import { counted } from "./quantity.ts";
import type { Column } from "./table.ts";
import { printAnswers, workersOf, type Answered, type WorkersFlags } from "./worker-answers.ts";

export type { WorkersFlags } from "./worker-answers.ts";
export type { ProfileFlags } from "./worker-inspect.ts";

export interface StopFlags extends WorkersFlags, ConfirmFlags {
  readonly wait?: string;
}

const STAND: readonly Column<Answered<PoolStand>>[] = [
  { title: "STATE", of: ({ state }) => state },
  { title: "RUNNING", of: ({ running }) => running },
];

const END: readonly Column<Answered<PoolEnd>>[] = [
  { title: "RUNNING", of: ({ running }) => running },
  { title: "WHAT", of: ({ ends, replacedBy }) => (replacedBy === null ? `the ${ends} ends${ends === "pool" ? ": its process goes on" : ""}` : `the ${ends} is replaced by its ${replacedBy}`) },
];

const SCALED: readonly Column<Answered<ScaledPool>>[] = [
  { title: "FROM", of: ({ from }) => from },
  { title: "TO", of: ({ to }) => to },
  { title: "NOTE", of: ({ to, usable }) => (usable < to ? `its handlers take at most ${usable}, by their own concurrency` : undefined) },
];

const LEVELS: readonly Column<Answered<{ readonly from: string; readonly to: string }>>[] = [
  { title: "FROM", of: ({ from }) => from },
  { title: "TO", of: ({ to }) => to },
];

const DEBUG: readonly Column<Answered<{ readonly from: boolean; readonly to: boolean }>>[] = [
  { title: "FROM", of: ({ from }) => (from ? "on" : "off") },
  { title: "TO", of: ({ to }) => (to ? "on" : "off") },
];

export function ping(context: Context, names: readonly string[], flags: WorkersFlags): Promise<number | void> {
  return told(context, names, flags, pingWorkers, STAND);
}

export function quiet(context: Context, names: readonly string[], flags: WorkersFlags): Promise<number | void> {
  return told(context, names, flags, quietWorkers, STAND);
}

export function resume(context: Context, names: readonly string[], flags: WorkersFlags): Promise<number | void> {
  return told(context, names, flags, resumeWorkers, STAND);
}

export function restart(context: Context, names: readonly string[], flags: WorkersFlags): Promise<number | void> {
  return told(context, names, flags, restartWorkers, END);
}

export function scale(context: Context, names: readonly string[], { concurrency, ...flags }: WorkersFlags & { readonly concurrency: string }): Promise<number | void> {
  const slots = check.integer({ min: 1 })(numberOrText(concurrency), "--concurrency");
  return told(context, names, flags, (operator, workers) => scaleWorkers(operator, workers, slots), SCALED);
}

/** The level is the last word; which workers, the others say. */
export function logLevel(context: Context, words: readonly string[], flags: WorkersFlags): Promise<number | void> {
  const level = check.oneOf<LogLevel>(...LOG_LEVELS)(words.at(-1), "the level");
  return told(context, words.slice(0, -1), flags, (operator, workers) => setWorkerLogLevel(operator, workers, level), LEVELS);
}

/** As of `log-level`. */
export function debug(context: Context, words: readonly string[], flags: WorkersFlags): Promise<number | void> {
  const on = check.oneOf("on", "off")(words.at(-1), "the debug mode") === "on";
  return told(context, words.slice(0, -1), flags, (operator, workers) => setWorkerDebug(operator, workers, on), DEBUG);
}

/** Asks before all are ended; with `--dry-run` of any. */
export async function stop(context: Context, names: readonly string[], flags: StopFlags): Promise<number | void> {
  const workers = workersOf(names, flags);
  const wait = flags.wait === undefined ? {} : { wait: durationMs(numberOrText(flags.wait), "--wait") };
  await using operator = await openOperator(context);
  if (workers === "all" || flags.dryRun === true) {
    if (flags.dryRun !== true) operator.assertMayChange("worker stop");
    const found = await findWorkers(operator, workers);
    if (found.length > 0) {
      const shown = found.map(({ id, name }) => `${id} (${name})`).join(", ");
      const answer = await confirm(context, `stop ${counted(found.length, "worker")}: ${shown}`, { workers: found.map(({ id, name, running }) => ({ id, name, running })) }, flags);
      if (answer !== "yes") return answer === "no" ? EXIT.failed : undefined;
    }
  }
  return printAnswers(context, operator, await stopWorkers(operator, workers, { ...wait, signal: context.interruption.signal }), END);
}

async function told<T extends object>(
  context: Context,
  names: readonly string[],
  flags: WorkersFlags,
  tell: (operator: Operator, workers: Workers) => Promise<WorkerAnswers<T>>,
  columns: readonly Column<Answered<T>>[],
): Promise<number | void> {
  const workers = workersOf(names, flags);
  await using operator = await openOperator(context);
  return printAnswers(context, operator, await tell(operator, workers), columns);
}
