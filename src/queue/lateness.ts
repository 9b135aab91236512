/** When it is too late for a job: to start, where it was put with `expireAt`; to go on, where it has a total `deadline`. */
import type { JobDefinition } from "../job/definition.ts";
import type { StoredJob } from "../store/stored-job.ts";

/**
 * When the job must have ended, in milliseconds by the server's clock; `undefined` where it has no deadline. What the put
 * said beats the contract. A run of a schedule counts from when it was meant to run: it is put when the one before it starts.
 */
export function deadlineAt(job: StoredJob, definition: JobDefinition | undefined): number | undefined {
  const deadlineMs = job.deadlineMs ?? definition?.deadlineMs;
  return deadlineMs === undefined ? undefined : Math.max(job.putAt, scheduledAtMs(job) ?? 0) + deadlineMs;
}

/** Why a job that comes to be run now is not to run any more; `undefined` where it may. */
export function tooLate(job: StoredJob, definition: JobDefinition | undefined, now: () => number): string | undefined {
  const { expireAt, starts, unknownSince } = job;
  // One that was given back unseen has not started.
  if (expireAt !== undefined && (starts <= 1 || unknownSince !== undefined) && now() >= expireAt) {
    return `expired: it had not started by ${new Date(expireAt).toISOString()}`;
  }
  const deadline = deadlineAt(job, definition);
  return deadline !== undefined && now() >= deadline ? `deadline: it had not ended by ${new Date(deadline).toISOString()}` : undefined;
}

/** Until when one attempt may go on, from its start. */
export interface AttemptLimit {
  readonly ms: number;
  /** For messages: `timeout of 500 ms`. */
  readonly what: string;
}

/** The sooner of the attempt's timeout and the job's deadline; `undefined` where there is neither. */
export function attemptLimit(job: StoredJob, definition: JobDefinition | undefined, now: () => number): AttemptLimit | undefined {
  const timeoutMs = job.timeoutMs ?? definition?.timeoutMs ?? Infinity;
  const deadline = deadlineAt(job, definition);
  const leftMs = deadline === undefined ? Infinity : Math.max(deadline - now(), 0);
  if (timeoutMs === Infinity && leftMs === Infinity) return undefined;
  if (timeoutMs <= leftMs) return { ms: timeoutMs, what: `timeout of ${timeoutMs} ms` };
  return { ms: leftMs, what: `deadline, ${new Date(deadline!).toISOString()}` };
}

/**
 * How long the job had been ready when it was delivered, in milliseconds; `undefined` of one that was delivered before:
 * when it was ready again nobody wrote down.
 *
 * @param now  by the server's clock, in milliseconds
 */
export function waitedMs(job: StoredJob, now: number): number | undefined {
  if (job.starts > 1 || job.attemptsMade > 0) return undefined;
  const { delay } = job.options;
  return Math.max(0, now - Math.max(job.putAt + (typeof delay === "number" ? delay : 0), scheduledAtMs(job) ?? 0));
}

/** BullMQ names each run of a schedule by its instant, `repeat:<schedule>:<instant>`; its options do not always tell. */
export function scheduledAtMs({ id, schedulerId }: StoredJob): number | undefined {
  const run = `repeat:${schedulerId}:`;
  return schedulerId !== undefined && id.startsWith(run) ? Number(id.slice(run.length)) : undefined;
}
