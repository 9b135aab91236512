/** Runs a processor that was written for BullMQ's Worker: the handler of every job of its queue, with our leases, cancels and stops. */
import { BackendError, JobRemovedError, OptionError } from "../errors.ts";
import { definitionOf } from "../job/contract.ts";
import { queueOf, type JobDefinition } from "../job/definition.ts";
import { everyName } from "../job/every-name.ts";
import type { Handler } from "../job/handler.ts";
import type { QueueDef } from "../job/queue-def.ts";
import { check, checkOptions, shown } from "../options.ts";
import type { DeliveredTask } from "../queue/delivered-task.ts";
import { failure, forGood } from "../queue/ending.ts";
import type { Settlement } from "../store/settle.ts";
import { limitedForMs, steeringOf, stockJob, type BackoffStrategy, type StockJob, type StockProcessor } from "../store/stock-job.ts";

/** Bounds of what is kept of finished jobs, as a Worker takes them: `age` in seconds. */
export interface ProcessorKeep {
  readonly count?: number;
  readonly age?: number;
}

/** Under the names that a Worker's options have. */
export interface ProcessorOptions {
  /** How many jobs one pool runs at once, at least 1. @default the pool's */
  readonly concurrency?: number;
  /** So often may a job's worker be lost before the job fails for good. @default 1 */
  readonly maxStalledCount?: number;
  /** Of jobs that do not say it themselves. @default all are kept */
  readonly removeOnComplete?: ProcessorKeep;
  /** Of jobs that do not say it themselves. @default all are kept */
  readonly removeOnFail?: ProcessorKeep;
  /** Milliseconds before the next attempt of a job whose back-off names a type of its own; -1 fails it for good. */
  readonly backoffStrategy?: BackoffStrategy;
}

const keepOptions = check.nested({ count: check.integer({ min: 0 }), age: check.number({ min: 0 }) });
const known = {
  concurrency: check.integer({ min: 1 }),
  maxStalledCount: check.integer({ min: 0 }),
  removeOnComplete: keepOptions,
  removeOnFail: keepOptions,
  backoffStrategy: check.callback<BackoffStrategy>(),
};

/**
 * A handler for every job of the queue that no other handler of the pool takes, whoever puts it.
 *
 * The processor gets BullMQ's own `Job`, the token of its lease, and a signal that fires as a task's does. What it throws
 * means what it means to a Worker: `DelayedError`, `WaitingError`, `WaitingChildrenError`, `RateLimitError`,
 * `UnrecoverableError`. So does what the job carries, and what it lacks: one attempt, no back-off, everything kept.
 *
 * @param queue  its name, or `defineQueue` with the partitions that it is stored in
 * @throws OptionError when the processor is no function (a sandboxed one, by its path, is not), or an option is not of its form
 */
export function fromProcessor<D = any, R = any>(queue: string | QueueDef, processor: StockProcessor<D, R>, options?: ProcessorOptions): Handler {
  const definedQueue = queueOf(queue, "fromProcessor");
  const where = `the processor of queue ${shown(definedQueue.name)}`;
  if (typeof processor !== "function") throw new OptionError(`expected a function (job, token, signal) for ${where}, got ${shown(processor)}`);
  const { concurrency, maxStalledCount = 1, removeOnComplete, removeOnFail, backoffStrategy } = checkOptions(where, options, known);
  const job = everyName(definedQueue, { maxStalledCount }, { completed: kept(removeOnComplete), failed: kept(removeOnFail) });
  return Object.freeze({ job, concurrency, run: (_payload, task) => runProcessor(processor, task as DeliveredTask, definitionOf(job), backoffStrategy) } satisfies Handler);
}

function kept({ count, age }: ProcessorKeep = {}): { readonly count?: number; readonly ageMs?: number } {
  return Object.freeze({ ...(count !== undefined && { count }), ...(age !== undefined && { ageMs: age * 1000 }) });
}

/** @returns the result as the JSON that is stored */
async function runProcessor(processor: StockProcessor, task: DeliveredTask, definition: JobDefinition, strategy: BackoffStrategy | undefined): Promise<string> {
  const job = await stockJob(task.queue, task.leased).catch((error: unknown) => {
    // It has not begun: that Redis did not answer is no failure of its own.
    if (error instanceof BackendError) task.ending = { leased: task.leased, kind: "release", delayMs: 0 };
    throw error;
  });
  if (job === undefined) throw new JobRemovedError(task.id);
  try {
    return JSON.stringify(await processor(job, task.leased.token, task.signal)) ?? "null";
  } catch (error) {
    task.ending = await endingOf(error, job, task, definition, strategy);
    throw error;
  }
}

/** `undefined`: it is a failure like any other. */
async function endingOf(
  thrown: unknown,
  job: StockJob,
  task: DeliveredTask,
  definition: JobDefinition,
  strategy: BackoffStrategy | undefined,
): Promise<Settlement | null | undefined> {
  const { leased, queue } = task;
  const steering = steeringOf(thrown);
  if (steering === "moved") return null;
  if (task.interruption !== undefined) return undefined;
  if (steering === "limited") return { leased, kind: "release", delayMs: 0, limitedForMs: await limitedForMs(queue).catch(() => 0) };
  const { type } = (job.opts.backoff ?? {}) as { readonly type?: string };
  if (strategy === undefined || type === undefined || type === "fixed" || type === "exponential") return undefined;
  const failed = failure(leased, definition, thrown, queue.connections.clock.now());
  if (failed.kind !== "retry") return undefined;
  const delayMs = Number(await strategy(job.attemptsMade + 1, type, thrown as Error, job));
  return delayMs === -1 ? forGood(leased, definition, thrown) : { ...failed, delayMs };
}
