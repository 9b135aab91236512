/** Waiting for tasks without taking part in how they end, as asyncio's `wait`. */
import { OptionError } from "../errors.ts";
import { check, checkOptions, type Duration, shown } from "../options.ts";
import { interruptibly } from "./interruption.ts";
import { OwnedTask, type Task } from "./task.ts";
import { startTimer } from "./timer.ts";

export interface WaitOptions {
  /** Comes back after this long, with whatever is done by then. Default: never. */
  readonly timeout?: Duration | undefined;
  /** Whether to come back with all, with the first that is done in whatever way, or with the first that failed. Default: `"allCompleted"`. */
  readonly returnWhen?: ReturnWhen | undefined;
}

type ReturnWhen = "allCompleted" | "firstCompleted" | "firstException";

const KNOWN_OPTIONS = { timeout: check.duration(), returnWhen: check.oneOf("allCompleted", "firstCompleted", "firstException") } as const;

/**
 * Which of the tasks are done and which are not. Throws none of their errors, nothing at the timeout, and never
 * cancels one.
 *
 * @throws OptionError for no tasks at all, or something that is no task
 */
export async function wait<T extends Task>(tasks: Iterable<T>, options?: WaitOptions): Promise<{ readonly done: Set<T>; readonly pending: Set<T> }> {
  const { timeout, returnWhen = "allCompleted" } = checkOptions("wait", options, KNOWN_OPTIONS);
  const all = taskSet(tasks, "wait");
  if (all.size === 0) throw new OptionError("expected at least one task for wait, got none");
  await interruptibly(untilEnough(all, returnWhen, timeout));
  return { done: new Set([...all].filter((task) => task.done)), pending: new Set([...all].filter((task) => !task.done)) };
}

/** @throws OptionError unless it is an iterable of tasks */
export function taskSet<T extends Task>(tasks: Iterable<T>, where: string): Set<T> {
  if (typeof tasks !== "object" || tasks === null || !(Symbol.iterator in tasks)) {
    throw new OptionError(`expected tasks for ${where}, in an array or another iterable, got ${shown(tasks)}`);
  }
  const set = new Set(tasks);
  for (const task of set) if (!(task instanceof OwnedTask)) throw new OptionError(`expected tasks for ${where}, got ${shown(task)}: spawn makes a task of a function`);
  return set;
}

function untilEnough(tasks: ReadonlySet<Task>, returnWhen: ReturnWhen, timeoutMs: number | undefined): Promise<void> {
  return new Promise<void>((resolve) => {
    let unfinished = tasks.size;
    const callOff = timeoutMs === undefined ? undefined : startTimer(timeoutMs, resolve);
    const ended = (task: Task): void => {
      unfinished -= 1;
      const enough = unfinished === 0 || returnWhen === "firstCompleted" || (returnWhen === "firstException" && (task as OwnedTask<unknown>).failed);
      if (!enough) return;
      callOff?.();
      resolve();
    };
    for (const task of tasks) task.onDone(ended);
  });
}
