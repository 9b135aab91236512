/** What an operator does to a queue as a whole: pause, resume, delete. */
import { StateError } from "../errors.ts";
import { check, checkOptions } from "../options.ts";
import { countJobs, sumOf } from "../store/count.ts";
import { deleteQueue as deleteStored } from "../store/delete-queue.ts";
import { parkedJobs } from "../store/parked.ts";
import { setPaused } from "../store/queue-settings.ts";
import type { Operator } from "./operator.ts";

export interface PauseResult {
  readonly queue: string;
  readonly paused: boolean;
}

/** Stops deliveries from the queue, everywhere; what runs goes on. @throws ReadOnlyError, OptionError; NotFoundError; BackendError */
export function pauseQueue(operator: Operator, name: string): Promise<PauseResult> {
  return pause(operator, "queue pause", name, true);
}

/** @throws as `pauseQueue` */
export function resumeQueue(operator: Operator, name: string): Promise<PauseResult> {
  return pause(operator, "queue resume", name, false);
}

function pause(operator: Operator, command: string, name: string, paused: boolean): Promise<PauseResult> {
  operator.queue(name); // refuses a name that is none before anything is written
  return operator.change({ command, target: name }, async (touch) => {
    await Promise.all((await operator.parts(name)).map((queue) => setPaused(queue, paused)));
    touch(1);
    return { queue: name, paused };
  });
}

export interface DeleteOptions {
  /** Although jobs are active, or on their way to another queue. @default false */
  readonly force?: boolean;
  /** Ends it after the step that runs; it may be done again. */
  readonly signal?: AbortSignal;
}

export interface DeleteResult {
  readonly queue: string;
  /** Jobs that it held when it was paused, whatever their state. */
  readonly jobs: number;
}

/**
 * Deletes a queue with its jobs, settings and schedules.
 *
 * @throws ReadOnlyError, OptionError; NotFoundError; StateError while jobs are active, or where a move has some on their way: in no state, they are in no count; BackendError; the signal's reason
 */
export function deleteQueue(operator: Operator, name: string, options?: DeleteOptions): Promise<DeleteResult> {
  const { force = false, signal } = checkOptions("deleteQueue", options, { force: check.boolean(), signal: check.signal() });
  operator.queue(name);
  return operator.change({ command: "queue delete", target: name, details: { force } }, async (touch) => {
    const parts = await operator.parts(name);
    const parked = (await Promise.all(parts.map(parkedJobs))).flat().length;
    if (parked > 0 && !force) throw new StateError(`expected a queue of which no job is on its way to another one, but ${parked} are: move it again first, or give them back (queue move --give-back), or force it`);
    const { waiting, prioritized, delayed, "waiting-children": children, active, completed, failed } = sumOf(await Promise.all(parts.map(countJobs)));
    const jobs = waiting + prioritized + delayed + children + active + completed + failed + parked;
    // The first one says how many there are.
    for (const queue of parts.toReversed()) await deleteStored(queue, { force, signal });
    touch(jobs);
    return { queue: name, jobs };
  });
}
