/** What a producer holds of a job that it has put: its id, and the way to its outcome. Not thenable: `await put()` means that Redis has it. */
import { Limit } from "../concurrency/limit.ts";
import { JobCancelledError, JobFailedError, JobRemovedError, TimeoutError } from "../errors.ts";
import { decodeResult } from "../job/codec.ts";
import { definitionOf, type Job, type JobTypes } from "../job/contract.ts";
import { check, checkOptions, type Duration } from "../options.ts";
import type { JobReport } from "../store/inspect.ts";
import { cancelAnywhere, endingOf, stateOf } from "./anywhere.ts";
import type { Ending } from "./event-trail.ts";
import type { OpenQueue } from "./open-queue.ts";
import { progressOf } from "./progress.ts";

/** How long to wait. */
export interface Wait {
  /** Throws TimeoutError afterwards. @default for ever */
  readonly timeout?: Duration;
  /** Ends the wait; its reason is thrown. */
  readonly signal?: AbortSignal;
}

/** How a job ended. `removed`: it was, before it ended. `unknown`: it is not in Redis (any more), and nothing tells why. */
export type Outcome<R> =
  | { readonly state: "completed"; readonly result: R }
  | { readonly state: "failed"; readonly error: JobFailedError }
  | { readonly state: "cancelled"; readonly reason: string }
  | { readonly state: "removed" }
  | { readonly state: "unknown" };

export interface JobHandle<T extends JobTypes = JobTypes> {
  readonly id: string;
  /** `false`: a job of this id was there already, and was left as it is. */
  readonly added: boolean;
  /**
   * The job's result, as its schema's output. An outage of Redis only prolongs the wait.
   *
   * @throws JobFailedError, JobCancelledError, JobRemovedError by how it ended; TimeoutError; the signal's reason
   * @throws PayloadError when what is stored does not fit the contract's result
   */
  result(options?: Wait): Promise<T["result"]>;
  /** As `result()`, but a value for every way to end. */
  outcome(options?: Wait): Promise<Outcome<T["result"]>>;
  /**
   * How far the job is, as its handler tells: the latest value now, then each later one, unless a later one still comes
   * before it is asked for. Ends with the job, however that ends. An outage of Redis only prolongs it.
   *
   * @throws TimeoutError when the job has not ended in time; the signal's reason
   */
  progress(options?: Wait): AsyncIterable<T["progress"]>;
  /**
   * Cancels the job, whatever it is doing and wherever. One that runs is told by its signal, within a second, and ends as
   * cancelled unless it completes; any other ends at once.
   *
   * A stock BullMQ worker knows nothing of it: what runs there is cancelled when it comes back to us, if it does.
   *
   * @param reason  what `result()` throws: 1 to 1000 characters. @default "on request"
   * @returns `false` when it has ended already, or is not there
   * @throws OptionError; BackendError
   */
  cancel(reason?: string): Promise<boolean>;
  /** Where the job stands now. */
  state(): Promise<JobReport["state"]>;
}

export function jobHandle<T extends JobTypes>(queue: OpenQueue, job: Job<T>, id: string, added: boolean): JobHandle<T> {
  const outcome = async (options?: Wait): Promise<Outcome<T["result"]>> => {
    const ending = await waitAtMost(options, `the end of job ${id}`, (signal) => endingOf(queue, id, signal));
    return toOutcome(job, id, ending);
  };
  return {
    id,
    added,
    outcome,
    async result(options) {
      const ended = await outcome(options);
      if (ended.state === "completed") return ended.result;
      if (ended.state === "failed") throw ended.error;
      if (ended.state === "cancelled") throw new JobCancelledError(ended.reason, { jobId: id });
      throw new JobRemovedError(id);
    },
    progress(options) {
      const { timeout, signal } = checkWait(options);
      return progressOf(queue, id, timeout, signal) as AsyncIterable<T["progress"]>;
    },
    async cancel(reason) {
      return await cancelAnywhere(queue, definitionOf(job as Job), id, checkReason(reason, "the reason of cancel"));
    },
    state: () => stateOf(queue, id),
  };
}

const DEFAULT_REASON = "on request";
const text = check.string({ max: 1000 });

function checkReason(reason: unknown, where: string): string {
  return reason === undefined ? DEFAULT_REASON : text(reason, where);
}

async function toOutcome<R>(job: Job, id: string, ending: Ending): Promise<Outcome<R>> {
  switch (ending.state) {
    case "completed":
      return { state: "completed", result: (await decodeResult(definitionOf(job), ending.result)) as R };
    case "failed":
      return { state: "failed", error: new JobFailedError(ending.reason, { jobId: id, attempts: ending.attempts }) };
    case "cancelled":
      return { state: "cancelled", reason: ending.reason };
    case "removed":
    case "unknown":
      return { state: ending.state };
  }
}

const waitOptions = { timeout: check.duration(), signal: check.signal() };

function checkWait(options: Wait | undefined): { readonly timeout?: number; readonly signal?: AbortSignal } {
  return checkOptions("wait", options, waitOptions);
}

/**
 * Waits under the caller's timeout and signal.
 *
 * @throws OptionError when the options are not of their form; TimeoutError; the signal's reason
 */
export async function waitAtMost<R>(options: Wait | undefined, what: string, wait: (signal: AbortSignal | undefined) => Promise<R>): Promise<R> {
  const { timeout, signal } = checkWait(options);
  if (timeout === undefined && signal === undefined) return wait(undefined);
  signal?.throwIfAborted();
  using limit = new Limit({ timeout, signal }, () => new TimeoutError(`expected ${what} within ${timeout} ms`));
  // What waits may itself be waiting for an answer of Redis, which takes its own time.
  return await limit.around(wait(limit.signal));
}
