/** Everything that runs, everywhere, and how one of it is ended. */
import type { RunningTask } from "../control/pool-entry.ts";
import { registeredTasks } from "../control/registry.ts";
import type { NamedPool } from "../control/ask.ts";
import { NotFoundError, OptionError } from "../errors.ts";
import { definitionOf, defineJob } from "../job/contract.ts";
import { check, checkOptions, shown, type Duration } from "../options.ts";
import { cancelAnywhere } from "../queue/anywhere.ts";
import type { Operator } from "./operator.ts";

export interface TaskRow extends RunningTask {
  readonly ageMs: number;
  readonly worker: NamedPool;
}

export interface TaskList {
  /** The oldest first, those that were asked for; of each worker at most its 100 oldest are known. */
  readonly tasks: readonly TaskRow[];
  /** Workers that run more than is listed, and how many more. */
  readonly unlisted: readonly { readonly worker: NamedPool; readonly count: number }[];
}

/** What is said of a task must hold altogether; what is not said holds. */
export interface TaskFilter {
  /** The whole name. */
  readonly queue?: string;
  /** Of the job; the whole name. */
  readonly name?: string;
  /** Runs for longer. */
  readonly older?: Duration;
  /** At most so many, the oldest, at least 1. @default no limit */
  readonly limit?: number;
}

export const taskFilterOptions = { queue: check.string(), name: check.string(), older: check.duration(), limit: check.integer({ min: 1 }) };

/** What pools have told of their tasks; it may be 2 s old. @throws OptionError before any I/O; BackendError */
export async function listTasks(operator: Operator, filter?: TaskFilter): Promise<TaskList> {
  const { queue, name, older = -1, limit = Infinity } = checkOptions("listTasks", filter, taskFilterOptions);
  await operator.ready();
  const found = await registeredTasks(operator.connections);
  const now = operator.connections.clock.now();
  const rows = found.flatMap(({ pool, tasks }) => tasks.map((task): TaskRow => ({ ...task, ageMs: Math.max(0, now - task.startedAt), worker: { id: pool.id, name: pool.name } })));
  const meant = rows.filter((row) => (queue === undefined || row.queue === queue) && (name === undefined || row.name === name) && row.ageMs > older);
  const unlisted = found.map(({ pool: { id, name, running, stuck }, tasks }) => ({ worker: { id, name }, count: running + stuck - tasks.length })).filter(({ count }) => count > 0);
  return { tasks: meant.toSorted((one, other) => other.ageMs - one.ageMs).slice(0, limit), unlisted };
}

export interface CancelTaskOptions {
  /** What is written down with the job, and its handler is told. @default `by <who>` */
  readonly reason?: string;
}

export interface CancelledTask {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly worker: NamedPool;
  /** `false`: it had ended by then. */
  readonly cancelled: boolean;
}

/**
 * Asks a task to end, wherever it runs: its signal fires within some 2 s, and its job ends as cancelled, not to be retried.
 *
 * @param id  of a job that runs, or the unique beginning of one
 * @throws ReadOnlyError, OptionError before any I/O; NotFoundError where no such task is listed; BackendError
 */
export async function cancelTask(operator: Operator, id: string, options?: CancelTaskOptions): Promise<CancelledTask> {
  const { reason = `by ${operator.who}` } = checkOptions("cancelTask", options, { reason: check.string({ max: 1000 }) });
  check.string()(id, "the id of a task");
  operator.assertMayChange("task cancel");
  const task = await findTask(operator, id);
  const { name, queue, worker } = task;
  return operator.change({ command: "task cancel", target: `${queue}/${task.id}`, details: { reason } }, async (touch) => {
    // What a queue's jobs of that name are kept by stands with each of them.
    const definition = definitionOf(defineJob(name, { queue }));
    const cancelled = await cancelAnywhere((await operator.open(queue)).at(task.id), definition, task.id, reason);
    touch(cancelled ? 1 : 0);
    return { id: task.id, name, queue, worker, cancelled };
  });
}

async function findTask(operator: Operator, id: string): Promise<TaskRow> {
  const { tasks, unlisted } = await listTasks(operator);
  const exact = tasks.filter((task) => task.id === id);
  const found = exact.length > 0 ? exact : tasks.filter((task) => task.id.startsWith(id));
  const [task] = found;
  if (task === undefined) {
    const more = unlisted.length === 0 ? "task list shows those that do" : "of busy workers only the 100 oldest tasks are listed: job cancel takes any job of a queue";
    throw new NotFoundError(`no task runs whose id is, or begins with, ${shown(id)}: ${more}`);
  }
  if (new Set(found.map((one) => `${one.queue}/${one.id}`)).size > 1) {
    throw new OptionError(`expected one task whose id begins with ${shown(id)}, got ${found.slice(0, 5).map((one) => `${one.id} of ${one.queue}`).join(", ")}`);
  }
  return task;
}
