/** `tasks`: the tasks of a process that runs, as a tree. */
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import type { ReportedTask, TaskReport } from "../concurrency/task-report.ts";
import { taskSocketOf } from "../concurrency/task-socket.ts";
import { maskSecrets } from "../config.ts";
import { NotFoundError, StateError, TimeoutError } from "../errors.ts";
import { check } from "../options.ts";
import type { Context } from "./context.ts";
import { seconds } from "./quantity.ts";
import { waitPlace } from "./stack.ts";
import { printable } from "./table.ts";

/** Who does not answer in this time has a loop that does not turn. */
const ANSWER_MS = 3000;

/**
 * Prints every task that is not done: its age, below the task that started it, and where it waits if the process is in
 * debug mode.
 *
 * @throws NotFoundError when there is no such process, or it serves no tasks; StateError when it is another user's;
 *   TimeoutError when it does not answer; OptionError
 */
export async function tasks({ output }: Context, flags: { readonly pid: string }): Promise<void> {
  const pid = check.integer({ min: 1 })(/^\d{1,15}$/.test(flags.pid) ? Number(flags.pid) : flags.pid, "--pid");
  assertOurs(pid);
  const report = await ask(pid);
  await output.result(shown(report), report);
}

/** The system lets nobody but root send a signal to another user's process, not even none. */
function assertOurs(pid: number): void {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") throw new NotFoundError(`no process has the number ${pid}`);
    throw new StateError(`expected a process of this user, but ${pid} is another's: only they and root may ask for its tasks`);
  }
}

async function ask(pid: number): Promise<TaskReport> {
  const path = taskSocketOf(pid, ownerOf(pid));
  if (path === undefined || !existsSync(path)) {
    throw new NotFoundError(`process ${pid} does not tell its tasks: it runs no millrace command and no run(), or in another container or with another TMPDIR`);
  }
  const socket = connect(path);
  socket.setTimeout(ANSWER_MS, () => socket.destroy(new TimeoutError(`process ${pid} does not answer within ${seconds(ANSWER_MS)}: its event loop is blocked, or it is stopped`)));
  try {
    await once(socket, "connect");
    // Everybody who may list processes can read it, but not in a log that this ends up in.
    return JSON.parse(maskSecrets(await text(socket))) as TaskReport;
  } catch (error) {
    if (error instanceof TimeoutError) throw error;
    throw new NotFoundError(`process ${pid} does not answer: ${(error as Error).message}`, { cause: error });
  }
}

/** Root may ask for everybody's, where the system says whose a process is. */
function ownerOf(pid: number): number | undefined {
  return statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid ?? process.getuid?.();
}

function shown(report: TaskReport): string {
  const { pid, command, uptimeMs, debug } = report;
  const rows = rowsOf(report.tasks, null, "");
  const width = Math.max(...rows.map(({ label }) => label.length), 0);
  const lines = rows.map(({ label, task }) => `${label.padEnd(width)}  ${seconds(task.ageMs).padStart(9)}${task.cancelling ? "  is to end" : ""}${whereOf(task)}`.trimEnd());
  const hint = debug || report.tasks.length === 0 ? [] : ["", "Where they wait is known in debug mode: MILLRACE_DEBUG=1"];
  const title = `process ${pid}, up ${seconds(uptimeMs)}, ${report.tasks.length === 1 ? "1 task" : `${report.tasks.length} tasks`}: ${printable(command.join(" "))}`;
  return [title, ...lines, ...hint].join("\n");
}

function rowsOf(all: readonly ReportedTask[], parent: number | null, indent: string): { readonly label: string; readonly task: ReportedTask }[] {
  const children = all.filter((task) => task.parent === parent);
  return children.flatMap((task, at) => {
    const isLast = at === children.length - 1;
    const [branch, below] = parent === null ? ["", ""] : [isLast ? "└─ " : "├─ ", isLast ? "   " : "│  "];
    return [{ label: `${indent}${branch}${printable(task.name)}`, task }, ...rowsOf(all, task.id, `${indent}${below}`)];
  });
}

function whereOf({ waitsAt }: ReportedTask): string {
  const place = waitPlace(waitsAt);
  return place === undefined ? "" : `  ${printable(place)}`;
}
