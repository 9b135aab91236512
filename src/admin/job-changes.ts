/** What an operator does to jobs, one or many: retry, cancel, promote, remove. */
import { definitionOf, defineJob } from "../job/contract.ts";
import type { JobState } from "../job/state.ts";
import { check } from "../options.ts";
import { promoteJobs as promoteStored } from "../store/promote.ts";
import { removeOrphans } from "../store/remove-orphans.ts";
import { REMOVABLE, removeJobs as removeStored, type RemovableState } from "../store/remove.ts";
import { retryEnded } from "../store/retry.ts";
import { inBulk, type BulkResult, type JobSelection, type Verb } from "./bulk.ts";
import type { Operator } from "./operator.ts";

const always = (): boolean => true;

export const RETRY: Verb = {
  command: "job retry",
  states: ["failed", "completed"],
  byDefault: ["failed"],
  sparesCancelled: true,
  takes: always,
  apply: (queue, state, ids) => retryEnded(queue, state as "failed" | "completed", ids),
};

const PROMOTE: Verb = { command: "job promote", states: ["delayed"], takes: always, apply: (queue, _, ids) => promoteStored(queue, ids) };

export const REMOVE: Verb = { command: "job remove", states: REMOVABLE, takes: always, apply: (queue, state, ids, place) => removeStored(queue, state as RemovableState, ids, place) };

/**
 * Lets failed jobs run again, with all of their attempts; completed ones where their state, or an id, says so. Cancelled
 * ones only by their ids. A deadline or an expiry that is over ends a job again at once.
 *
 * @throws OptionError, ReadOnlyError before any I/O; NotFoundError, StateError where no job of `ids` is there, or in such a
 *   state; BackendError; the signal's reason
 */
export function retryJobs(operator: Operator, queue: string, selection: JobSelection): Promise<BulkResult> {
  return inBulk(operator, RETRY, queue, selection);
}

/** Lets delayed jobs run now. @throws as `retryJobs` */
export function promoteJobs(operator: Operator, queue: string, selection: JobSelection): Promise<BulkResult> {
  return inBulk(operator, PROMOTE, queue, selection);
}

/**
 * Removes jobs that do not run, with all that is kept of them; those of a flow with the children that they wait for.
 * The next run of a schedule is left: remove the schedule. By its id also a job that is in no state, and what is left of one that is gone.
 *
 * @throws as `retryJobs`
 */
export function removeJobs(operator: Operator, queue: string, selection: JobSelection): Promise<BulkResult> {
  return inBulk(operator, { ...REMOVE, applyToOrphans: removeOrphans }, queue, selection);
}

/** Removes all jobs of these states. @throws as `retryJobs` */
export function purgeQueue(operator: Operator, queue: string, selection: Omit<JobSelection, "ids" | "all"> & Required<Pick<JobSelection, "state">>): Promise<BulkResult> {
  return inBulk(operator, { ...REMOVE, command: "queue purge" }, queue, selection);
}

/** No contract says how long its jobs are kept: what they carry does, or the default. */
const ANY = definitionOf(defineJob("any"));
/** Of one page, so many are cancelled at once: each is several commands. */
const AT_ONCE = 50;
const CANCELLABLE: readonly JobState[] = ["waiting", "prioritized", "delayed", "waiting-children", "active"];

/** What came of a cancel. */
export interface CancelResult extends BulkResult {
  /** Of those that were changed, so many run, and were asked to end: a worker of Millrace hears of it, a stock BullMQ one does not. */
  readonly asked: number;
}

/**
 * Cancels jobs: what waits ends at once; what runs is asked to.
 *
 * @param reason  1 to 1000 characters, stored with them
 * @throws as `retryJobs`
 */
export async function cancelJobs(operator: Operator, name: string, selection: JobSelection & { readonly reason?: string }): Promise<CancelResult> {
  const { reason: given, ...which } = selection;
  const reason = given === undefined ? `by ${operator.who}` : check.string({ max: 1000 })(given, "reason of job cancel");
  let asked = 0;
  const verb: Verb = {
    command: "job cancel",
    states: CANCELLABLE,
    takes: (state) => state !== "active",
    details: { reason },
    async apply({ prefix }, _, ids) {
      const { cancelJob } = await import("../queue/cancel.ts"); // with all that ends a job: the other verbs do without
      const queue = (await operator.open(name)).all.find(({ stored }) => stored.prefix === prefix)!;
      const done = new Set<string>();
      for (let from = 0; from < ids.length; from += AT_ONCE) {
        const cancel = async (id: string): Promise<void> => {
          const how = await cancelJob(queue, ANY, id, reason);
          if (how !== undefined) done.add(id);
          if (how === "asked") asked += 1;
        };
        await Promise.all(ids.slice(from, from + AT_ONCE).map(cancel));
      }
      return done;
    },
  };
  const result = await inBulk(operator, verb, name, which);
  return { ...result, asked };
}
