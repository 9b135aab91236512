/**
 * Runs one delivery to one outcome, top to bottom: is it known, may it run, read the payload, run the handler under its
 * limit, take the result. It never throws and never settles: what it returns says what is to become of the delivery.
 */
import { startTimer } from "../concurrency/timer.ts";
import { LeaseLostError, TimeoutError, UnknownJobError } from "../errors.ts";
import { decodePayload, encodeResult } from "../job/codec.ts";
import type { JobDefinition } from "../job/definition.ts";
import type { Handler } from "../job/handler.ts";
import type { DeliveredTask } from "../queue/delivered-task.ts";
import { deadLetter, failure, forGood, keepOf } from "../queue/ending.ts";
import type { Settlement } from "../store/settle.ts";

/** What a pool runs for one job name. */
export interface Runnable {
  readonly handler: Handler;
  readonly definition: JobDefinition;
}

export interface ExecutionLimits {
  /** For how long a job may be given back because nobody knows it, before it becomes a dead letter. */
  readonly unknownForMs: number;
  /** How long a handler that was told to end is waited for. */
  readonly graceMs: number;
  /** The server's clock. */
  now(): number;
}

/** @returns `undefined` when there is nothing to settle: the lease was lost */
export async function execute(task: DeliveredTask, runnable: Runnable | undefined, limits: ExecutionLimits): Promise<Settlement | undefined> {
  const { leased } = task;
  const { job } = leased;
  if (runnable === undefined) return giveBackUnknown(task, undefined, limits, `no handler here knows job ${job.name}`);
  const { definition, handler } = runnable;
  // BullMQ's wish: a child has failed, or it stalled too often.
  if (job.deferredFailure !== undefined) return deadLetter(leased, definition, job.deferredFailure);

  let payload: unknown;
  try {
    payload = await decodePayload(definition, job.data, job.version);
  } catch (error) {
    if (error instanceof UnknownJobError) return giveBackUnknown(task, definition, limits, error.message);
    return forGood(leased, definition, error);
  }

  const ran = await run(task, handler, payload, job.timeoutMs ?? definition.timeoutMs, limits.graceMs);
  if (task.interruption instanceof LeaseLostError) return undefined;
  if (ran.state === "threw" || ran.state === "abandoned") {
    if (task.interruption === undefined || task.interruption instanceof TimeoutError) {
      return failure(leased, definition, ran.state === "threw" && !isAbort(ran.error) ? ran.error : (task.interruption ?? thrownBy(ran)));
    }
    // The worker stops: whatever an interrupted handler throws, no attempt is spent.
    return { leased, kind: "release", delayMs: 0 };
  }

  try {
    return { leased, kind: "ack", result: await encodeResult(definition, ran.value), keep: keepOf(job, definition, "completed") };
  } catch (error) {
    // The work is done: running it again would do it twice, so the operator has to look.
    return forGood(leased, definition, error);
  }
}

type Ran =
  | { readonly state: "returned"; readonly value: unknown }
  | { readonly state: "threw"; readonly error: unknown }
  /** It was told to end and did not, within its grace. */
  | { readonly state: "abandoned" };

function run(task: DeliveredTask, handler: Handler, payload: unknown, timeoutMs: number | undefined, graceMs: number): Promise<Ran> {
  return new Promise((resolve) => {
    let callOff: (() => void) | undefined;
    const end = (ran: Ran): void => {
      callOff?.();
      task.onAbandon = undefined;
      resolve(ran);
    };
    task.onAbandon = () => end({ state: "abandoned" });
    if (timeoutMs !== undefined) {
      task.deadline = new Date(Date.now() + timeoutMs);
      callOff = startTimer(timeoutMs, () => {
        callOff = startTimer(graceMs, () => task.abandon());
        task.interrupt(new TimeoutError(`job ${task.id} reached its timeout of ${timeoutMs} ms`));
      });
    }
    handler.run(payload, task).then(
      (value) => end({ state: "returned", value }),
      (error: unknown) => end({ state: "threw", error }),
    );
  });
}

function thrownBy(ran: Ran): unknown {
  return ran.state === "threw" ? ran.error : undefined;
}

/** How Node's and the web's own functions end when their signal fires: what fired it says more. */
function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}

const UNKNOWN_PAUSE_MS = { shortest: 1000, longest: 60_000 };

/** Given back for a newer worker, ever more slowly: it waits as long again as it has waited already. */
function giveBackUnknown(task: DeliveredTask, definition: JobDefinition | undefined, limits: ExecutionLimits, why: string): Settlement {
  const { leased } = task;
  const { unknownSince } = leased.job;
  const unknownMs = unknownSince === undefined ? 0 : limits.now() - unknownSince;
  if (unknownMs >= limits.unknownForMs) return forGood(leased, definition, new UnknownJobError(`${why}, for ${Math.round(unknownMs / 1000)} s`));
  const delayMs = Math.min(Math.max(unknownMs, UNKNOWN_PAUSE_MS.shortest), UNKNOWN_PAUSE_MS.longest);
  return { leased, kind: "release", delayMs, unknown: true };
}
