/**
 * Every error that Millrace throws: one base class, one class a cause, a stable `code` each.
 *
 * Callers test `instanceof` or `code`, and read fields, never the message. A message says what was expected,
 * what came, and what to do.
 *
 * ```
 * MillraceError
 * ├── OptionError           OPTION_INVALID       an argument, option, flag or definition is not of its form
 * ├── PayloadError          PAYLOAD_INVALID      a payload, result or progress fits no schema, or JSON cannot carry it
 * ├── NoRedisError          NO_REDIS             nothing says where Redis is
 * ├── PreflightError        PREFLIGHT_FAILED     the server answers, but is not fit to hold jobs
 * ├── RedisServerError      REDIS_SERVER         the embedded server could not be installed, started or stopped
 * ├── BackendError          BACKEND_UNAVAILABLE  Redis did not answer, or refused
 * │   ├── BackendFullError  BACKEND_FULL         Redis is out of memory and refuses writes
 * │   └── EnqueueTimeoutError ENQUEUE_TIMEOUT    a put was not acknowledged in time; the job may exist
 * │       └── NotReplicatedError NOT_REPLICATED  a durable put was not acknowledged by enough replicas in time
 * ├── QueueFullError        QUEUE_FULL           the queue is bounded and has no room now
 * ├── PartitionsError       PARTITIONS_DIFFER    a queue is stored in another number of partitions than it was defined with
 * ├── LeaseLostError        LEASE_LOST           the delivery, or the lock, belongs to somebody else by now
 * ├── WorkerLostError       WORKER_LOST          the process that ran the job died; counts as one attempt
 * ├── ThreadLostError       THREAD_LOST          the thread that ran it ended before it did: out of memory, an exit, an error that nobody caught
 * ├── UnknownJobError       JOB_UNKNOWN          no handler knows the name or the version, for too long
 * ├── JobFailedError        JOB_FAILED           the awaited job failed for good
 * ├── JobCancelledError     JOB_CANCELLED        the awaited job was cancelled
 * ├── JobRemovedError       JOB_REMOVED          the awaited job is gone, or never was
 * ├── ReadOnlyError         READ_ONLY            a change was asked of an operator who may only look
 * ├── StateError            STATE_INVALID        a call that the object's state does not allow, such as one release too many
 * ├── QueueEmptyError       QUEUE_EMPTY          an in-process queue holds nothing now
 * ├── QueueShutDownError    QUEUE_SHUT_DOWN      an in-process queue was shut down
 * ├── BrokenBarrierError    BARRIER_BROKEN       a barrier was broken or reset while somebody waited at it
 * ├── MissingPackageError   PACKAGE_MISSING      an optional package that this needs is not installed
 * ├── NotFoundError         NOT_FOUND            a queue, job, handler or producer of that name does not exist
 * ├── TimeoutError          TIMEOUT              a limit in time was reached
 * ├── CancelledError        CANCELLED            the task was asked to end
 * └── steering, thrown by handlers
 *     ├── CancelJob         CANCEL_JOB           end the job as cancelled
 *     ├── RetryLater        RETRY_LATER          try again after a delay of the handler's choice
 *     └── DeadLetter        DEAD_LETTER          fail for good, whatever attempts are left
 * ```
 */

/** The base of every error of Millrace. */
export abstract class MillraceError extends Error {
  /** Stable, for programs: `error.code === "QUEUE_FULL"`. */
  abstract readonly code: string;
  override get name(): string {
    return this.constructor.name;
  }
}

/** An argument, option, flag or definition is not of its form. Thrown before any I/O. */
export class OptionError extends MillraceError {
  readonly code = "OPTION_INVALID";
}

/** One thing that is wrong with a value, and where: `payload.items[3].price`. */
export interface Issue {
  readonly path: string;
  readonly message: string;
}

/** A payload, result or progress value fits no schema, or JSON cannot carry it exactly. */
export class PayloadError extends MillraceError {
  readonly code = "PAYLOAD_INVALID";
  readonly issues: readonly Issue[];
  constructor(message: string, issues: readonly Issue[] = []) {
    super(message);
    this.issues = issues;
  }
}

/** Nothing says where Redis is: neither the `redis` option nor `REDIS_URL`. */
export class NoRedisError extends MillraceError {
  readonly code = "NO_REDIS";
  constructor() {
    super('expected where Redis is: set REDIS_URL, or connect({ redis: "redis://…" }); connect({ redis: "embedded" }) starts a server of its own');
  }
}

/** The server answers, but is not fit to hold jobs; `findings` says why, one line each. */
export class PreflightError extends MillraceError {
  readonly code = "PREFLIGHT_FAILED";
  readonly findings: readonly string[];
  /** By what each of them is known: settings and facts of the server, by their names. */
  readonly evidence: readonly Readonly<Record<string, unknown>>[];
  constructor(findings: readonly string[], evidence: readonly Readonly<Record<string, unknown>>[] = []) {
    super(`Redis is not fit to hold jobs: ${findings.join("; ")}`);
    this.findings = findings;
    this.evidence = evidence;
  }
}

/** The embedded server could not be installed, started or stopped. */
export class RedisServerError extends MillraceError {
  readonly code = "REDIS_SERVER";
}

/** Redis did not answer in time, or refused. */
export class BackendError extends MillraceError {
  readonly code: string = "BACKEND_UNAVAILABLE";
  /** `false`: it certainly had no effect (never sent, or refused). `true`: it was sent and the answer is missing. */
  readonly mayHaveRun: boolean;
  constructor(message: string, options: { cause?: unknown; mayHaveRun?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.mayHaveRun = options.mayHaveRun ?? true;
  }
}

/** Redis is out of memory and refuses writes (`noeviction`). Nothing was written. */
export class BackendFullError extends BackendError {
  override readonly code = "BACKEND_FULL";
}

/** A put was not acknowledged within its deadline; at once while Redis is known to be down. */
export class EnqueueTimeoutError extends BackendError {
  override readonly code: string = "ENQUEUE_TIMEOUT";
  /** `true`: it was sent, so Redis may hold it. `false`: it never left this process. */
  readonly jobMayExist: boolean;
  /** Sends the same put again under the same number, and waits as long again: a job that exists already is not doubled. */
  readonly retry: () => Promise<void>;
  constructor(message: string, options: { jobMayExist: boolean; retry: () => Promise<void>; cause?: unknown }) {
    super(message, { cause: options.cause, mayHaveRun: options.jobMayExist });
    this.jobMayExist = options.jobMayExist;
    this.retry = options.retry;
  }
}

/**
 * A durable put was not acknowledged by enough replicas in time. With `jobMayExist` the job is in Redis and will run, unless
 * Redis fails over to a replica that lacks it; without, the server has too few replicas and nothing was put. `retry()` waits
 * for them again.
 */
export class NotReplicatedError extends EnqueueTimeoutError {
  override readonly code = "NOT_REPLICATED";
  /** So many have acknowledged it. */
  readonly replicas: number;
  constructor(message: string, options: ConstructorParameters<typeof EnqueueTimeoutError>[1] & { replicas: number }) {
    super(message, options);
    this.replicas = options.replicas;
  }
}

/** `putNoWait` on a bounded queue that has no room. Nothing was put. */
export class QueueFullError extends MillraceError {
  readonly code = "QUEUE_FULL";
}

/** A queue is stored in another number of partitions than it was defined with; 1 is none. Nothing was put or taken. */
export class PartitionsError extends MillraceError {
  readonly code = "PARTITIONS_DIFFER";
  readonly stored: number;
  readonly wanted: number;
  constructor(message: string, options: { readonly stored: number; readonly wanted: number }) {
    super(message);
    this.stored = options.stored;
    this.wanted = options.wanted;
  }
}

/** The lease of a delivery or a lock has passed to somebody else, or has run out: a delivery can no longer be acknowledged. */
export class LeaseLostError extends MillraceError {
  readonly code = "LEASE_LOST";
}

/** The process that ran the job died, or stopped renewing its lease. Counts as one attempt. */
export class WorkerLostError extends MillraceError {
  readonly code = "WORKER_LOST";
}

/** The thread that ran it ended before it did: out of memory, `process.exit()`, or an error that nobody caught there. */
export class ThreadLostError extends MillraceError {
  readonly code = "THREAD_LOST";
}

/** No handler knew the job's name, or its contract version, for longer than `unknownFor`. */
export class UnknownJobError extends MillraceError {
  readonly code = "JOB_UNKNOWN";
}

/** The awaited job failed for good: it is a dead letter. `message` is what its handler threw last. */
export class JobFailedError extends MillraceError {
  readonly code = "JOB_FAILED";
  readonly jobId: string;
  readonly attempts: number;
  constructor(reason: string, options: { jobId: string; attempts: number }) {
    super(reason);
    this.jobId = options.jobId;
    this.attempts = options.attempts;
  }
}

/** The awaited job was cancelled. */
export class JobCancelledError extends MillraceError {
  readonly code = "JOB_CANCELLED";
  readonly jobId: string;
  constructor(reason: string, options: { jobId: string }) {
    super(reason);
    this.jobId = options.jobId;
  }
}

/** The awaited job is gone (removed, or past its retention), or never was. */
export class JobRemovedError extends MillraceError {
  readonly code = "JOB_REMOVED";
  readonly jobId: string;
  constructor(jobId: string) {
    super(`job ${jobId} is gone: it was removed, its retention has passed, or it never existed`);
    this.jobId = jobId;
  }
}

/** A change was asked of an operator who was connected to look only. Nothing was sent to Redis. */
export class ReadOnlyError extends MillraceError {
  readonly code = "READ_ONLY";
}

/** A call that the object's state does not allow: one release too many, a spawn into a task group that has ended. */
export class StateError extends MillraceError {
  readonly code = "STATE_INVALID";
}

/** `getNoWait` on an in-process queue that holds nothing. */
export class QueueEmptyError extends MillraceError {
  readonly code = "QUEUE_EMPTY";
}

/** The in-process queue was shut down: it takes nothing more, and gives nothing more once it is empty. */
export class QueueShutDownError extends MillraceError {
  readonly code = "QUEUE_SHUT_DOWN";
}

/** The barrier was broken or reset while somebody waited at it, or was broken before. */
export class BrokenBarrierError extends MillraceError {
  readonly code = "BARRIER_BROKEN";
}

/** An optional package that this needs is not installed; `package` is its name. */
export class MissingPackageError extends MillraceError {
  readonly code = "PACKAGE_MISSING";
  readonly package: string;
  constructor(name: string, needs: string, options?: ErrorOptions) {
    super(`expected the package ${name}, which ${needs} needs, but it is not installed: npm install ${name}`, options);
    this.package = name;
  }
}

/** What was named does not exist: a queue, a job, a contract, a handler, a producer. The message lists what does. */
export class NotFoundError extends MillraceError {
  readonly code = "NOT_FOUND";
}

/** A limit in time was reached. */
export class TimeoutError extends MillraceError {
  readonly code = "TIMEOUT";
}

/** The task was asked to end. */
export class CancelledError extends MillraceError {
  readonly code = "CANCELLED";
}

/** Thrown by a handler: the job ends as cancelled and is never retried. */
export class CancelJob extends MillraceError {
  readonly code = "CANCEL_JOB";
  constructor(reason = "by its handler") {
    super(reason);
  }
}

/** Thrown by a handler: try again after `delay` (milliseconds, or `"30s"`). Counts as an attempt. */
export class RetryLater extends MillraceError {
  readonly code = "RETRY_LATER";
  readonly delay: number | string;
  constructor(delay: number | `${number}${"ms" | "s" | "m" | "h" | "d"}`, reason = "to be tried again later") {
    super(reason);
    this.delay = delay;
  }
}

/** Thrown by a handler: the job fails for good and is kept for the operator. */
export class DeadLetter extends MillraceError {
  readonly code = "DEAD_LETTER";
}
