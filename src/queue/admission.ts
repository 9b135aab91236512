/** What a delivery must pass before it is worked on, by a pool's handler or by hand. */
import { BackendError, PayloadError, UnknownJobError } from "../errors.ts";
import { decodePayload } from "../job/codec.ts";
import type { JobDefinition } from "../job/definition.ts";
import type { Logger } from "../log.ts";
import type { Leased } from "../store/reserve.ts";
import { planNextRun } from "../store/schedule.ts";
import type { Settlement } from "../store/settle.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import { cancelled, deadLetter, forGood } from "./ending.ts";
import { tooLate } from "./lateness.ts";

export interface AdmissionRules {
  /** For how long a job may be given back because nobody knows it, before it becomes a dead letter. */
  readonly unknownForMs: number;
  readonly log: Logger;
}

/** What `unknownForMs` is by itself: 1 h. */
export const UNKNOWN_FOR_MS = 3_600_000;

/** Either the payload as the contract reads it, or what is to become of a delivery that nobody is to work on. */
export type Admission = { readonly payload: unknown } | { readonly settlement: Settlement };

/**
 * Plans the next run where a schedule made the job, and reads the payload.
 *
 * @param definition  the job's contract; `undefined` where nobody here knows it
 */
export function admit(queue: StoredQueue, leased: Leased, definition: JobDefinition | undefined, rules: AdmissionRules): Admission | Promise<Admission> {
  if (leased.job.schedulerId === undefined) return read(queue, leased, definition, rules);
  return isPlanned(queue, leased, rules).then((planned) =>
    planned ? read(queue, leased, definition, rules) : { settlement: { leased, kind: "release", delayMs: UNPLANNED_PAUSE_MS } },
  );
}

/** A promise only where a schema gives one: this is on the way of every job. */
function read(queue: StoredQueue, leased: Leased, definition: JobDefinition | undefined, rules: AdmissionRules): Admission | Promise<Admission> {
  const { job } = leased;
  if (job.cancelReason !== undefined) return { settlement: cancelled(leased, definition, job.cancelReason) };
  const late = tooLate(job, definition, () => queue.connections.clock.now());
  if (late !== undefined) return { settlement: deadLetter(leased, definition, late) };
  // BullMQ's wish: a child has failed, or it stalled too often.
  if (job.deferredFailure !== undefined) return { settlement: deadLetter(leased, definition, job.deferredFailure) };
  if (definition === undefined) {
    if (job.data !== undefined) return { settlement: giveBackUnknown(queue, leased, undefined, rules, `no handler here knows job ${job.name}`) };
    return { settlement: forGood(leased, undefined, new PayloadError(`the data of job ${job.id} are gone from Redis: was it evicted, or removed in part?`)) };
  }
  const refused = (error: unknown): Admission => ({
    settlement: error instanceof UnknownJobError ? giveBackUnknown(queue, leased, definition, rules, error.message) : forGood(leased, definition, error),
  });
  try {
    const payload = decodePayload(definition, job.data, job.version);
    return payload instanceof Promise ? payload.then((output: unknown) => ({ payload: output }), refused) : { payload };
  } catch (error) {
    return refused(error);
  }
}

const UNPLANNED_PAUSE_MS = 1000;

/** A run whose successor could not be planned because Redis did not answer must not start: the schedule would end with it. */
async function isPlanned(queue: StoredQueue, { job }: Leased, { log }: AdmissionRules): Promise<boolean> {
  try {
    await planNextRun(queue, job);
    return true;
  } catch (error) {
    log.error({ queue: queue.name, schedule: job.schedulerId, err: error }, "the next run of a schedule could not be planned");
    return !(error instanceof BackendError);
  }
}

const UNKNOWN_PAUSE_MS = { shortest: 1000, longest: 60_000 };

/** Given back for a newer worker, ever more slowly: it waits as long again as it has waited already. */
function giveBackUnknown(queue: StoredQueue, leased: Leased, definition: JobDefinition | undefined, rules: AdmissionRules, why: string): Settlement {
  const { unknownSince } = leased.job;
  const unknownMs = unknownSince === undefined ? 0 : queue.connections.clock.now() - unknownSince;
  if (unknownMs >= rules.unknownForMs) return forGood(leased, definition, new UnknownJobError(`${why}, for ${Math.round(unknownMs / 1000)} s`));
  const delayMs = Math.min(Math.max(unknownMs, UNKNOWN_PAUSE_MS.shortest), UNKNOWN_PAUSE_MS.longest, rules.unknownForMs - unknownMs);
  return { leased, kind: "release", delayMs, unknown: true };
}
