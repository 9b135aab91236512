/** The main function of a program, as asyncio's `run`: signals, what is left over, and how the process ends. */
import { constants } from "node:os";
import { StateError } from "../errors.ts";
import { check, checkOptions } from "../options.ts";
import { CtrlC } from "./ctrl-c.ts";
import { isDebugAsked, setDebug, taskTraces } from "./debug.ts";
import { serveTasks } from "./task-server.ts";
import { liveTasks, type OwnedTask, spawn, taskTaker } from "./task.ts";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;
type Signal = (typeof SIGNALS)[number];

let running = false;

export interface RunOptions {
  /**
   * Tells as warnings of callbacks that block the event loop for 100 ms, and where; of tasks that nobody awaits; of tasks
   * that nothing can end any more. It makes every await slower. @default whether MILLRACE_DEBUG is set
   */
  readonly debug?: boolean;
}

/**
 * Runs `main` as a task, and gives what it gives. Tasks still running when it ends are cancelled and their end
 * awaited; their errors are told on standard error.
 *
 * The first SIGINT or SIGTERM cancels `main`; when `main` ends by that, the process exits with 130 or 143. When it
 * ends otherwise, its value or error is handed on as ever. The second signal leaves at once; that npm hands a Ctrl-C on to
 * its script, which the terminal has sent there already, is no second one.
 *
 * ```ts
 * await run(async (signal) => {
 *   console.log("Hello");
 *   await sleep("1s", { signal });
 *   console.log("World");
 * });
 * ```
 *
 * @throws what `main` throws
 * @throws StateError when a `run` is under way in this process already
 */
export async function run<T>(main: (signal: AbortSignal) => PromiseLike<T>, options?: RunOptions): Promise<T> {
  const { debug = isDebugAsked() } = checkOptions("run", options, { debug: check.boolean() });
  taskTaker(main);
  if (running) throw new StateError("expected one run() at a time, but one is under way in this process");
  running = true;
  const opened = [serveTasks()];
  try {
    opened.push(setDebug(debug));
    return await runMain(main);
  } finally {
    for (const each of opened) each[Symbol.dispose]();
    running = false;
  }
}

async function runMain<T>(main: (signal: AbortSignal) => PromiseLike<T>): Promise<T> {
  let received: Signal | undefined;
  const ctrlC = new CtrlC();
  const onSignal = (signal: Signal): void => {
    if (ctrlC.isEcho(signal)) return;
    if (received !== undefined) process.exit(exitCodeOf(signal));
    received = signal;
    task.cancel(`received ${signal}`);
  };
  const task = spawn(main, { name: "main" });
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    return await task;
  } finally {
    await cancelLeftovers();
    if (received !== undefined && task.cancelled) await leave(received);
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}

/** Round after round, since a task may start others while it cleans up. */
async function cancelLeftovers(): Promise<void> {
  for (const task of liveTasks()) if (task.parent === undefined) taskTraces()?.leftBehind(task, "main");
  for (let tasks = [...liveTasks()]; tasks.length > 0; tasks = [...liveTasks()]) {
    for (const task of tasks) task.cancel("the program has ended");
    await Promise.all(tasks.map((task) => report(task)));
  }
}

async function report(task: OwnedTask<unknown>): Promise<void> {
  try {
    await task;
  } catch (error) {
    if (!task.cancelled) console.error(`task ${task.name} failed while the program ended:`, error);
  }
}

/** Exits once what was printed has been handed to the system. */
async function leave(signal: Signal): Promise<never> {
  await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((resolve) => stream.write("", resolve))));
  process.exit(exitCodeOf(signal));
}

/** As shells count: 128 and the signal's number. */
function exitCodeOf(signal: Signal): number {
  return 128 + constants.signals[signal];
}
