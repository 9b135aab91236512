/** What is to become of a delivery whose attempt has failed: the retry policy, in one place. */
import { DeadLetter } from "../errors.ts";
import { JOB_DEFAULTS, type JobDefinition } from "../job/definition.ts";
import { retryDelayMs, storedBackoff } from "../job/retry.ts";
import { cancelledReason } from "../job/state.ts";
import type { Leased } from "../store/reserve.ts";
import type { Retention, Settlement } from "../store/settle.ts";
import type { StoredJob } from "../store/stored-job.ts";
import { faultOf, type Fault } from "./fault.ts";
import { deadlineAt } from "./lateness.ts";

/** BullMQ keeps the traces of the last attempts; so many are enough to see a pattern. */
const STACKS_KEPT = 10;

/**
 * The settlement of a failed attempt: retried while attempts are left and its deadline allows it, else a dead letter; where
 * it was asked for, cancelled. What the job carries beats the contract; what it lacks the contract fills.
 *
 * Handlers steer by what they throw, recognised by its code, since they may come with another copy of this package.
 *
 * @param definition  the job's contract; `undefined` where nobody here knows it
 * @param thrown      whatever the handler threw, an error or not
 * @param now         by the server's clock, in milliseconds
 */
export function failure(leased: Leased, definition: JobDefinition | undefined, thrown: unknown, now: number): Settlement {
  const { job } = leased;
  if (job.cancelReason !== undefined) return cancelled(leased, definition, job.cancelReason);
  const fault = faultOf(thrown);
  if (fault.code === "CANCEL_JOB") return forGood(leased, definition, thrown, cancelledReason(fault.reason));
  const isLast = job.attemptsMade + 1 >= attemptsOf(job, definition);
  if (isLast || fault.code === "DEAD_LETTER" || fault.name === "UnrecoverableError") return forGood(leased, definition, thrown);
  const backoff = storedBackoff(job.options.backoff, definition?.backoff ?? JOB_DEFAULTS.backoff);
  const delayMs = fault.retryDelayMs ?? retryDelayMs({ backoff }, job.attemptsMade + 1);
  if (now + delayMs >= (deadlineAt(job, definition) ?? Infinity)) return forGood(leased, definition, thrown);
  return { leased, kind: "retry", reason: fault.reason, stack: stackOf(job, fault), delayMs };
}

/** Fails the job for good, whatever attempts are left. */
export function forGood(leased: Leased, definition: JobDefinition | undefined, thrown: unknown, reason?: string): Settlement {
  const { job } = leased;
  const fault = faultOf(thrown);
  return {
    leased,
    kind: "fail",
    reason: reason ?? fault.reason,
    stack: stackOf(job, fault),
    attempts: attemptsOf(job, definition),
    keep: keepOf(job, definition, "failed"),
  };
}

/** Ends the job as cancelled: failed for good, by a reason that says so. */
export function cancelled(leased: Leased, definition: JobDefinition | undefined, reason: string): Settlement {
  const { job } = leased;
  const text = cancelledReason(reason);
  return { leased, kind: "fail", reason: text, stack: job.stacktrace, attempts: attemptsOf(job, definition), keep: keepOf(job, definition, "failed") };
}

/** Why an operator finds it among the dead letters. */
export function deadLetter(leased: Leased, definition: JobDefinition | undefined, reason: string): Settlement {
  return forGood(leased, definition, new DeadLetter(reason));
}

export function keepOf(job: StoredJob, definition: JobDefinition | undefined, state: "completed" | "failed"): Retention {
  const stored = state === "completed" ? job.options.removeOnComplete : job.options.removeOnFail;
  if (stored === true) return { count: 0 };
  // As BullMQ has it, `false` and a negative count keep everything.
  if (stored === false) return {};
  if (typeof stored === "number") return { count: stored };
  if (typeof stored !== "object" || stored === null) return definition?.keep[state] ?? JOB_DEFAULTS.keep[state];
  const { count, age } = stored as { readonly count?: number; readonly age?: number };
  return { count, ageMs: age === undefined ? undefined : age * 1000 };
}

function attemptsOf(job: StoredJob, definition: JobDefinition | undefined): number {
  const { attempts } = job.options;
  // Stock producers that do not care store 0.
  return typeof attempts === "number" && attempts > 0 ? attempts : (definition?.attempts ?? JOB_DEFAULTS.attempts);
}

function stackOf(job: StoredJob, fault: Fault): string[] {
  return [...job.stacktrace, fault.stack].slice(-STACKS_KEPT);
}
