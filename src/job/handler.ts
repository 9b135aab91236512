/** What runs one job name, and what it sees of the delivery that it runs. */
import { OptionError } from "../errors.ts";
import { check, checkOptions, shown } from "../options.ts";
import { definitionOf, type Job, type JobTypes } from "./contract.ts";

/** Logs of one task; each line carries the queue, the job's name and id, the attempt and the fence. */
export type TaskLog = Readonly<Record<"debug" | "info" | "warn" | "error", (message: string, fields?: object) => void>>;

/** What a handler sees of its delivery. */
export interface JobTask<T extends JobTypes = JobTypes> {
  /** The job's id. */
  readonly id: string;
  /** The job's name. */
  readonly name: string;
  /** 1 for the first. */
  readonly attempt: number;
  /** Aborted when the lease is lost, the timeout is reached, the job is cancelled, or the worker stops. */
  readonly signal: AbortSignal;
  /** When the signal will fire: at the timeout of this attempt or the deadline of the job, whichever is sooner; undefined where it has neither. */
  readonly deadline: Date | undefined;
  /** A number that grows with every delivery of the queue, as text: lets a side effect refuse an older owner. */
  readonly fence: string;
  /** When a schedule meant this job to run; undefined for a job of none. */
  readonly scheduledAt: Date | undefined;
  readonly log: TaskLog;
  /**
   * Tells whoever follows the job how far it is.
   *
   * @throws PayloadError when the contract does not take the value
   */
  progress(value: T["progress"]): Promise<void>;
  /**
   * Asks Redis whether this delivery still holds its lease; if so, nobody else has the job for the pool's `lease` from then.
   * For the moment before what must not be done twice.
   *
   * @throws LeaseLostError, with which the signal fires too; BackendError when Redis does not answer
   */
  assertLease(): Promise<void>;
}

/** Where a handler runs that would block the loop. */
export interface HandlerThreads {
  /** `import.meta.url` of the module that exports the handler as its default. */
  readonly module: string;
  /** At least 1 in each process, each of which runs one delivery at a time. @default the cores */
  readonly count?: number;
  /**
   * MiB of JavaScript values that one of them may hold, at least 32; buffers do not count. Who needs more is ended, and its
   * attempt has failed. @default what Node gives a thread
   */
  readonly heapMb?: number;
}

export interface HandlerOptions<T extends JobTypes> {
  /** How many tasks of this handler one pool runs at once, at least 1. @default the pool's */
  readonly concurrency?: number;
  /**
   * Runs `handle` in worker threads: for work that computes. Payload and result are copied over as by `structuredClone`.
   * The task there is as everywhere; its signal can be looked at in the midst of a computation too, and a handler that does
   * not end within the grace after it fired is ended with its thread. At most as many tasks run at once as there are threads.
   */
  readonly threads?: HandlerThreads;
  /** Runs one delivery. What it returns is the job's result; when it throws, the attempt has failed. */
  handle(payload: T["payload"], task: JobTask<T>): Promise<T["returns"]>;
}

/** What a pool runs. */
export interface Handler<T extends JobTypes = JobTypes> {
  readonly job: Job<T>;
  /** undefined: as many as the pool runs. */
  readonly concurrency: number | undefined;
  /** undefined: in the thread of the pool. */
  readonly threads?: HandlerThreads | undefined;
  /** Runs one delivery, in the thread of who calls it. */
  run(payload: T["payload"], task: JobTask<T>): Promise<T["returns"]>;
}

/**
 * The handler of a job.
 *
 * `run` always hands over payload and task, whatever parameters `handle` declares: BullMQ counts them, and gives a
 * handler with rest or default parameters no signal.
 *
 * @throws OptionError when the job was not made by `defineJob`, or an option is not of its form
 */
export function defineHandler<T extends JobTypes>(job: Job<T>, options: HandlerOptions<T>): Handler<T> {
  const { name } = definitionOf(job);
  const where = `the handler of job ${shown(name)}`;
  const { concurrency, threads, handle } = checkOptions(where, options, {
    concurrency: check.integer({ min: 1 }),
    threads: checkThreads,
    handle: check.callback<HandlerOptions<T>["handle"]>(),
  });
  if (handle === undefined) throw new OptionError(`expected handle(payload, task) among the options of ${where}`);
  if (concurrency !== undefined && threads?.count !== undefined && concurrency > threads.count) {
    throw new OptionError(`expected a concurrency of at most ${threads.count}, the threads of ${where}, got ${concurrency}: each runs one task at a time`);
  }
  return Object.freeze({
    job,
    concurrency,
    threads,
    run: (payload: T["payload"], task: JobTask<T>) => {
      // One that throws before its first await rejects like any other; an async function here would cost every job.
      try {
        return handle.call(options, payload, task);
      } catch (error) {
        return Promise.reject(error as Error);
      }
    },
  });
}

function checkThreads(value: unknown, where: string): HandlerThreads {
  const { module, count, heapMb } = checkOptions(where, value, { module: check.string(), count: check.integer({ min: 1 }), heapMb: check.integer({ min: 32 }) });
  if (module === undefined || !URL.canParse(module)) throw new OptionError(`expected import.meta.url for the module of ${where}, got ${shown(module)}`);
  return Object.freeze({ module, ...(count !== undefined && { count }), ...(heapMb !== undefined && { heapMb }) });
}
