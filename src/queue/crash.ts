/** What is to become of a job whose worker was lost, and of how many it may be. */
import { WorkerLostError } from "../errors.ts";
import type { JobDefinition } from "../job/definition.ts";
import type { Claimed } from "../store/claim.ts";
import type { Settlement } from "../store/settle.ts";
import type { StoredJob } from "../store/stored-job.ts";
import { failure, forGood } from "./ending.ts";

/** So many lost workers make it a suspect, which runs alone: then no other is blamed for what it does. */
const SUSPECT_CRASHES = 2;
/** After so many it is a dead letter, whatever attempts are left: it was alone the last time. */
const MOST_CRASHES = 3;
/** As BullMQ says it. */
const STALLED = "job stalled more than allowable limit";

export function isSuspect({ crashes }: StoredJob): boolean {
  return crashes >= SUSPECT_CRASHES;
}

/**
 * One that had not begun is given back. Else its attempt has failed, by an error that says who held it, and since when.
 *
 * @param now  by the server's clock, in milliseconds
 */
export function crashed(claimed: Claimed, definition: JobDefinition | undefined, now: number): Settlement {
  const { job, hadBegun, holder = "a worker without a name", takenAt } = claimed;
  if (!hadBegun) return { leased: claimed, kind: "release", delayMs: 0 };
  const history = `${holder}, which took it at ${instantOf(takenAt)}, stopped renewing its lease`;
  const error = new WorkerLostError(`the worker that ran it was lost: ${history}`);
  // Where it was made tells nobody anything.
  error.stack = `${error.name}: ${error.message}`;
  const { maxStalledCount } = definition?.stock ?? {};
  if (maxStalledCount !== undefined) return job.crashes > maxStalledCount ? forGood(claimed, definition, error, STALLED) : { leased: claimed, kind: "release", delayMs: 0 };
  if (job.crashes < MOST_CRASHES) return failure(claimed, definition, error, now);
  return forGood(claimed, definition, error, `the worker that ran it was lost, ${job.crashes} times so far; the last one: ${history}`);
}

/** What others stored need not be an instant. */
function instantOf(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? "an unknown time" : date.toISOString();
}
