/** Waits until nothing of a queue is unfinished, as `join()` of a queue does, by its name alone. */
import { TimeoutError } from "../errors.ts";
import { defineJob } from "../job/contract.ts";
import { check, checkOptions, type Duration } from "../options.ts";
import type { Operator } from "./operator.ts";

export interface JoinOptions {
  /** @default none: it may wait for ever */
  readonly timeout?: Duration;
  readonly signal?: AbortSignal;
}

/** How a queue stands once it is joined. */
export interface JoinResult {
  readonly queue: string;
  readonly unfinished: 0;
  /** What is kept of those that have ended. */
  readonly completed: number;
  readonly failed: number;
}

/**
 * @throws OptionError before any I/O; NotFoundError where nobody has ever used the queue: no job, no settings; TimeoutError, with how
 *   many jobs are unfinished; BackendError; the signal's reason
 */
export async function joinQueue(operator: Operator, name: string, options?: JoinOptions): Promise<JoinResult> {
  const { timeout, signal } = checkOptions("joinQueue", options, { timeout: check.duration(), signal: check.signal() });
  await operator.existing(name);
  // Any name will do: a join looks at the queue, not at one of its jobs.
  const queue = await operator.queueNamed(defineJob("join", { queue: name }));
  try {
    await queue.join({ ...(timeout !== undefined && { timeout }), ...(signal && { signal }) });
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    // What ends it early may be that Redis is away.
    const { unfinished } = await queue.counts().catch(() => ({ unfinished: undefined }));
    if (unfinished === undefined) throw error;
    throw new TimeoutError(`${error.message}: ${unfinished} of its jobs ${unfinished === 1 ? "is" : "are"} unfinished`, { cause: error });
  }
  const { completed, failed } = await queue.counts();
  return { queue: name, unfinished: 0, completed, failed };
}
