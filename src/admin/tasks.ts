/** Everything that runs, everywhere, and how one of it is ended. */
import type { NamedPool } from "../control/ask.ts";
import { boundedTasks, MOST_TASKS, type RunningTask } from "../control/pool-entry.ts";
import { registeredTasks } from "../control/registry.ts";
import { NotFoundError, OptionError, StateError } from "../errors.ts";
import { definitionOf, defineJob } from "../job/contract.ts";
import { check, checkOptions, shown, type Duration } from "../options.ts";
import { cancelAnywhere } from "../queue/anywhere.ts";
import { connectionNames, stockWorkers } from "../store/consumers.ts";
import { stockTasks } from "../store/stock-tasks.ts";
import { eachQueue } from "./each-queue.ts";
import type { Operator } from "./operator.ts";

/** A stock BullMQ worker: no message reaches it, so it has no id; `BullMQ` is who has no name either. */
export interface StockWorker {
  readonly id: null;
  readonly name: string;
}

export interface TaskRow extends RunningTask {
  readonly ageMs: number;
  readonly worker: NamedPool | StockWorker;
}

/** Workers of ours that run more than is listed; and queues of which stock workers do, or may: of a queue's thousand oldest jobs that run it is looked whose they are. */
export type Unlisted = { readonly worker: NamedPool; readonly count: number } | { readonly queue: string; readonly count: number };

export interface TaskList {
  /** The oldest first, those that were asked for; of each worker, and of the stock workers of each queue, at most the 100 oldest are known. */
  readonly tasks: readonly TaskRow[];
  /** Of all queues, or of the one that was asked for its stock workers. */
  readonly unlisted: readonly Unlisted[];
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

/**
 * What pools have told of their tasks, which may be 2 s old, and what stock workers run of the queues that they take jobs of, where Redis
 * tells who is connected.
 *
 * @throws OptionError before any I/O; BackendError
 */
export async function listTasks(operator: Operator, filter?: TaskFilter): Promise<TaskList> {
  const { queue, name, older = -1, limit = Infinity } = checkOptions("listTasks", filter, taskFilterOptions);
  await operator.ready();
  const [found, stock] = await Promise.all([registeredTasks(operator.connections), tasksOfStock(operator, queue)]);
  const now = operator.connections.clock.now();
  const ours = found.flatMap(({ pool: { id, name }, tasks }) => tasks.map((task) => ({ ...task, worker: { id, name } })));
  // Whose lease was lost may be told of by its pool for 2 s more.
  const told = new Set(ours.map((task) => `${task.queue}/${task.id}`));
  const rows = [...ours, ...stock.flatMap(({ tasks }) => tasks).filter((task) => !told.has(`${task.queue}/${task.id}`))].map((task): TaskRow => ({ ...task, ageMs: Math.max(0, now - task.startedAt) }));
  const meant = rows.filter((row) => (queue === undefined || row.queue === queue) && (name === undefined || row.name === name) && row.ageMs > older);
  const unlisted = [
    ...found.map(({ pool: { id, name, running, stuck }, tasks }) => ({ worker: { id, name }, count: running + stuck - tasks.length })),
    ...stock.map((of) => ({ queue: of.queue, count: of.more })),
  ];
  return { tasks: meant.toSorted((one, other) => other.ageMs - one.ageMs).slice(0, limit), unlisted: unlisted.filter(({ count }) => count > 0) };
}

interface OfStock {
  readonly queue: string;
  readonly tasks: readonly (RunningTask & { readonly worker: StockWorker })[];
  readonly more: number;
}

async function tasksOfStock(operator: Operator, only: string | undefined): Promise<OfStock[]> {
  const { connections, prefix } = operator;
  const workers = stockWorkers(prefix, (await connectionNames(connections.command)) ?? []);
  const queues = [...workers.keys()].filter((queue) => only === undefined || queue === only);
  return eachQueue(queues, async (queue) => {
    const { tasks, more } = await stockTasks(operator.queue(queue), MOST_TASKS);
    const nameOf = (worker: string | undefined): string => (worker !== undefined && workers.get(queue)?.includes(worker) ? worker : "BullMQ");
    const told = tasks.map(({ worker, cancelReason = null, ...task }) => ({ ...task, queue, interruption: cancelReason, stuck: false, worker: { id: null, name: nameOf(worker) } }));
    return { queue, tasks: boundedTasks(told), more };
  });
}

export interface CancelTaskOptions {
  /** What is written down with the job, and its handler is told. @default `by <who>` */
  readonly reason?: string;
}

export interface CancelledTask {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly worker: TaskRow["worker"];
  /** `false`: it had ended by then. Of a stock worker's task it says that the request stands: that worker does not read it. */
  readonly cancelled: boolean;
}

/**
 * Asks a task to end, wherever it runs: its signal fires within some 2 s, and its job ends as cancelled, not to be retried. What a stock
 * worker runs goes on, and is cancelled where a worker of ours takes it next.
 *
 * @param id  of a job that runs, or the unique beginning of one that is no number
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
    touch(cancelled ? 1 : 0, cancelled ? {} : { missed: new StateError("it had ended by then") });
    return { id: task.id, name, queue, worker, cancelled };
  });
}

/** As BullMQ numbers jobs: 12 that has just ended is not meant by the beginning of 120. */
function isCounter(id: string): boolean {
  return /^\d+$/.test(id);
}

async function findTask(operator: Operator, id: string): Promise<TaskRow> {
  const { tasks, unlisted } = await listTasks(operator);
  const exact = tasks.filter((task) => task.id === id);
  const found = exact.length > 0 ? exact : tasks.filter((task) => !isCounter(task.id) && task.id.startsWith(id));
  const [task] = found;
  if (task === undefined) {
    const more = unlisted.length === 0 ? "task list shows those that do" : "of busy workers only the 100 oldest tasks are listed: job cancel takes any job of a queue";
    throw new NotFoundError(`no task runs whose id is, or begins with, ${shown(id)}: ${more}`);
  }
  if (new Set(found.map((one) => `${one.queue}/${one.id}`)).size > 1) {
    throw new OptionError(`expected one task whose id begins with ${shown(id)}, got ${found.slice(0, 5).map((one) => `${one.id} of ${one.queue}`).join(", ")}: job cancel takes a job by its queue and whole id`);
  }
  return task;
}
