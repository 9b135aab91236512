/** What is to become of a delivery whose attempt has failed: the retry policy, in one place. */
import { DeadLetter } from "../errors.ts";
import { JOB_DEFAULTS, type JobDefinition } from "../job/definition.ts";
import { retryDelayMs, storedBackoff } from "../job/retry.ts";
import { cancelledReason } from "../job/state.ts";
import { durationMs } from "../options.ts";
import type { Leased } from "../store/reserve.ts";
import type { Retention, Settlement } from "../store/settle.ts";
import type { StoredJob } from "../store/stored-job.ts";

/** BullMQ keeps the traces of the last attempts; so many are enough to see a pattern. */
const STACKS_KEPT = 10;

/**
 * The settlement of a failed attempt: retried while attempts are left, else a dead letter. What the job carries beats
 * the contract; what it lacks the contract fills.
 *
 * Handlers steer by what they throw, recognised by its code, since they may come with another copy of this package.
 *
 * @param definition  the job's contract; `undefined` where nobody here knows it
 * @param thrown      whatever the handler threw, an error or not
 */
export function failure(leased: Leased, definition: JobDefinition | undefined, thrown: unknown): Settlement {
  const { job } = leased;
  const code = codeOf(thrown);
  const attempts = attemptsOf(job, definition);
  if (code === "CANCEL_JOB") return forGood(leased, definition, thrown, cancelledReason(messageOf(thrown)));
  if (code === "DEAD_LETTER" || nameOf(thrown) === "UnrecoverableError" || job.attemptsMade + 1 >= attempts) return forGood(leased, definition, thrown);
  const backoff = storedBackoff(job.options.backoff, definition?.backoff ?? JOB_DEFAULTS.backoff);
  const delayMs = steeredDelayMs(thrown) ?? retryDelayMs({ backoff }, job.attemptsMade + 1);
  return { leased, kind: "retry", reason: messageOf(thrown), stack: stackOf(job, thrown), delayMs };
}

/** What the handler asked for by RetryLater; a delay that is none leaves it to the back-off. */
function steeredDelayMs(thrown: unknown): number | undefined {
  if (codeOf(thrown) !== "RETRY_LATER") return undefined;
  try {
    return durationMs((thrown as { readonly delay: unknown }).delay, "the delay of RetryLater");
  } catch {
    return undefined;
  }
}

/** Fails the job for good, whatever attempts are left. */
export function forGood(leased: Leased, definition: JobDefinition | undefined, thrown: unknown, reason = messageOf(thrown)): Settlement {
  const { job } = leased;
  return {
    leased,
    kind: "fail",
    reason,
    stack: stackOf(job, thrown),
    attempts: attemptsOf(job, definition),
    keep: keepOf(job, definition, "failed"),
  };
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
  if (stored === undefined) return definition?.keep[state] ?? JOB_DEFAULTS.keep[state];
  const { count, age } = stored as { readonly count?: number; readonly age?: number };
  return { count, ageMs: age === undefined ? undefined : age * 1000 };
}

function attemptsOf(job: StoredJob, definition: JobDefinition | undefined): number {
  const { attempts } = job.options;
  // Stock producers that do not care store 0.
  return typeof attempts === "number" && attempts > 0 ? attempts : (definition?.attempts ?? JOB_DEFAULTS.attempts);
}

function stackOf(job: StoredJob, thrown: unknown): string[] {
  const stack = thrown instanceof Error ? (thrown.stack ?? thrown.message) : messageOf(thrown);
  return [...job.stacktrace, stack].slice(-STACKS_KEPT);
}

function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message === "" ? thrown.name : thrown.message;
  return `something that is no error was thrown: ${describe(thrown)}`;
}

function describe(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return typeof thrown;
  }
}

function codeOf(thrown: unknown): unknown {
  return thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
}

function nameOf(thrown: unknown): unknown {
  return thrown instanceof Error ? thrown.name : undefined;
}
