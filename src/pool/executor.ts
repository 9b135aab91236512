/**
 * Runs one delivery to one outcome, top to bottom: may it run, run the handler under its limit, take the result. It
 * never throws and never settles: what it calls back with says what is to become of the delivery.
 */
import { startTimer } from "../concurrency/timer.ts";
import { instant } from "../concurrency/thread-clock.ts";
import { LeaseLostError, TimeoutError } from "../errors.ts";
import { encodeResult } from "../job/codec.ts";
import type { JobDefinition } from "../job/definition.ts";
import type { Handler } from "../job/handler.ts";
import { admit, type AdmissionRules } from "../queue/admission.ts";
import type { DeliveredTask } from "../queue/delivered-task.ts";
import { failure, forGood, keepOf } from "../queue/ending.ts";
import { attemptLimit, type AttemptLimit } from "../queue/lateness.ts";
import type { Leased } from "../store/reserve.ts";
import type { Settlement } from "../store/settle.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import type { StuckTasks } from "./stuck-tasks.ts";

/** What a pool runs for one job name; `run` may go to a thread. */
export interface Runnable {
  readonly handler: Pick<Handler, "concurrency"> & { run(payload: unknown, task: DeliveredTask): Promise<unknown> };
  readonly definition: JobDefinition;
}

export interface ExecutionRules extends AdmissionRules {
  /** How long a handler that was told to end is waited for. */
  readonly graceMs: number;
  readonly stuck: StuckTasks;
}

/**
 * @param end  called once, at the end of the handler or when it is not waited for any longer: with `undefined` when there is
 * nothing to settle, since the lease was lost. Called back, and not awaited: a promise costs every job
 */
export function execute(queue: StoredQueue, task: DeliveredTask, runnable: Runnable | undefined, rules: ExecutionRules, end: (settlement: Settlement | undefined) => void): void {
  const performed = perform(queue, task, runnable, rules);
  task.onAbandoned(() => {
    if (task.hasEnded) return;
    end(interrupted(queue, task, runnable?.definition));
    rules.stuck.add(task, queue.name, performed);
  });
  const ended = (settlement: Settlement | undefined): void => {
    if (!task.hasEnded) end(settlement);
  };
  performed.then(ended, (error: unknown) => ended(failed(queue, task.leased, runnable?.definition, error)));
}

async function perform(queue: StoredQueue, task: DeliveredTask, runnable: Runnable | undefined, rules: ExecutionRules): Promise<Settlement | undefined> {
  const { leased } = task;
  // Here and below only what is a promise is waited for: each wait costs every job.
  const admitted = admit(queue, leased, runnable?.definition, rules);
  const admission = admitted instanceof Promise ? await admitted : admitted;
  if (runnable === undefined || "settlement" in admission) return "settlement" in admission ? admission.settlement : undefined;
  const { handler, definition } = runnable;
  if (task.interruption !== undefined) return interrupted(queue, task, definition);

  let returned: unknown;
  try {
    const limit = attemptLimit(leased.job, definition, () => queue.connections.clock.now());
    returned = await (limit === undefined ? handler.run(admission.payload, task) : runWithin(limit, task, handler, admission.payload, rules.graceMs));
  } catch (error) {
    if (task.ending !== undefined) return task.ending ?? undefined;
    return task.interruption === undefined ? failed(queue, leased, definition, error) : interrupted(queue, task, definition, error);
  }
  if (isLost(task)) return undefined;

  try {
    const encoded = encodeResult(definition, returned);
    const result = typeof encoded === "string" ? encoded : await encoded;
    return { leased, kind: "ack", result, keep: keepOf(leased.job, definition, "completed"), isUnsure: task.interruption !== undefined || definition.stock !== undefined };
  } catch (error) {
    // The work is done: running it again would do it twice, so the operator has to look.
    return forGood(leased, definition, error);
  }
}

async function runWithin(limit: AttemptLimit, task: DeliveredTask, handler: Runnable["handler"], payload: unknown, graceMs: number): Promise<unknown> {
  // Should this process hang, the job is not to hang with it.
  task.lease?.endAt(instant() + limit.ms + graceMs);
  let callOff = task.endAfter(limit, () => {
    callOff = startTimer(graceMs, () => task.abandon());
  });
  try {
    return await handler.run(payload, task);
  } finally {
    callOff();
    task.lease?.endAt(Infinity);
  }
}

/**
 * What becomes of a delivery whose handler was told to end, and ended by an error or was not waited for any longer. A
 * timeout has failed the attempt. A worker that stops gives back, whatever the handler throws.
 */
function interrupted(queue: StoredQueue, task: DeliveredTask, definition: JobDefinition | undefined, thrown?: unknown): Settlement | undefined {
  const { leased, interruption } = task;
  if (isLost(task)) return undefined;
  if (interruption instanceof TimeoutError) return failed(queue, leased, definition, thrown === undefined || isAbort(thrown) ? interruption : thrown);
  return { leased, kind: "release", delayMs: 0 };
}

function failed(queue: StoredQueue, leased: Leased, definition: JobDefinition | undefined, thrown: unknown): Settlement {
  return failure(leased, definition, thrown, queue.connections.clock.now());
}

function isLost({ interruption }: DeliveredTask): boolean {
  return interruption instanceof LeaseLostError;
}

/** How Node's and the web's own functions end when their signal fires: what fired it says more. */
function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}
