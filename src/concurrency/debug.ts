/**
 * Debug mode, as asyncio's: callbacks that block the loop, tasks that nobody awaits, tasks that nothing can end any more,
 * and for every task where it was spawned and where it waits. Told as warnings of the process.
 *
 * What it takes of Node is loaded when it is first switched on, and at once, so that no task is missed.
 */
import { TaskTraces } from "./task-traces.ts";
import { Watchdog } from "./watchdog.ts";

/** Undefined while debug mode is off. */
let traces: TaskTraces | undefined;
let watchdog: Watchdog | undefined;

/** `MILLRACE_DEBUG=1` asks for it. */
export function isDebugAsked(environment: Readonly<Record<string, string | undefined>> = process.env): boolean {
  const { MILLRACE_DEBUG: value = "" } = environment;
  return value !== "" && value !== "0";
}

/** Switches debug mode on or off; disposing switches it back. */
export function setDebug(on: boolean): Disposable {
  const was = traces !== undefined;
  change(on);
  return { [Symbol.dispose]: () => change(was) };
}

/** What is known of tasks beyond their names; undefined while debug mode is off. */
export function taskTraces(): TaskTraces | undefined {
  return traces;
}

function change(on: boolean): void {
  if (on === (traces !== undefined)) return;
  if (on) {
    const known = (traces = new TaskTraces());
    // Threads may block: that is what they are for.
    if (process.getBuiltinModule("node:worker_threads").isMainThread) watchdog = new Watchdog((task) => known.lastSeen(task));
    return;
  }
  traces?.[Symbol.dispose]();
  watchdog?.[Symbol.dispose]();
  traces = watchdog = undefined;
}
