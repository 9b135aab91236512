/** Limits in time, as asyncio's `timeout`, `timeout_at` and `wait_for`. */
import { CancelledError, OptionError, StateError, TimeoutError } from "../errors.ts";
import { check, durationMs, type Duration } from "../options.ts";
import { type Awaitable, checkAwaitable, isPromiseLike, type ResultHandle } from "./awaitable.ts";
import { unlessAborted } from "./limit.ts";
import { Scope } from "./scope.ts";
import { OwnedTask } from "./task.ts";
import { startTimer } from "./timer.ts";

/** The limit that a body runs under. */
export interface Deadline {
  /** Fires when the limit is reached, or what encloses it is cancelled. */
  readonly signal: AbortSignal;
  /** When the limit is reached; undefined when there is none. */
  readonly at: Date | undefined;
  /** The limit was reached. */
  readonly expired: boolean;
  /**
   * Sets the limit anew, `limit` from now; undefined takes it away.
   *
   * @throws StateError when the limit was reached, or the body has ended
   */
  reschedule(limit: Duration | undefined): void;
  /** As `reschedule`, with an instant: a Date, or milliseconds since 1970. */
  rescheduleAt(at: Date | number | undefined): void;
}

/**
 * Runs `body` for at most `limit`. At the limit its signal fires; when the body has ended by that, TimeoutError is
 * thrown. A body that ends otherwise, even late, has its say: its value or error is handed on.
 *
 * ```ts
 * await timeout("5s", (signal) => fetch(url, { signal }));
 * ```
 *
 * @param limit  undefined for none as yet; 0 or less never starts the body
 * @throws TimeoutError only when this very limit was reached; of nested limits reached together, the outermost throws it
 */
export async function timeout<T>(limit: Duration | undefined, body: (signal: AbortSignal, deadline: Deadline) => PromiseLike<T>): Promise<T> {
  return runWithin(dueAtAfter(limit), signalFirst(body));
}

/** As `timeout`, until an instant: a Date, or milliseconds since 1970. */
export async function timeoutAt<T>(at: Date | number | undefined, body: (signal: AbortSignal, deadline: Deadline) => PromiseLike<T>): Promise<T> {
  return runWithin(dueAtOf(at), signalFirst(body));
}

/** As `timeout`, but the body gets the deadline alone: the cheaper way, since a signal is only made when `deadline.signal` is read. */
export async function withDeadline<T>(limit: Duration | undefined, body: (deadline: Deadline) => PromiseLike<T>): Promise<T> {
  checkBody(body);
  return runWithin(dueAtAfter(limit), body);
}

/**
 * Waits for one thing for at most `limit`. A function or a task is cancelled at the limit, and its end awaited;
 * a promise cannot be cancelled and is left to itself.
 *
 * @throws TimeoutError when the limit was reached; 0 or less only takes what is there already
 */
export async function waitFor<T>(work: Awaitable<T>, limit: Duration | undefined): Promise<T> {
  checkAwaitable(work, "waitFor");
  if (!isPromiseLike(work) && typeof work === "function") return timeout(limit, work);
  const dueAt = dueAtAfter(limit);
  const task = work instanceof OwnedTask ? (work as OwnedTask<T>) : undefined;
  if (task?.done === true) return task;
  if (dueAt <= performance.now()) return takeNow(work);
  if (task !== undefined) return runWithin(dueAt, () => task, task as OwnedTask<unknown>);
  return runWithin(dueAt, ({ signal }) => unlessAborted(signal, isPromiseLike(work) ? work : work.result({ signal })));
}

/** Deadlines this near are the same one: Node's timers have a grain of a millisecond. */
const SAME_MS = 1;

const validDate = check.date();
const finiteNumber = check.number();

/** On the monotonic clock, `performance.now()`; Infinity for no limit. */
function dueAtAfter(limit: Duration | undefined): number {
  if (limit === undefined) return Infinity;
  return performance.now() + (typeof limit === "number" && limit < 0 ? 0 : durationMs(limit, "the limit of timeout"));
}

function dueAtOf(at: Date | number | undefined): number {
  if (at === undefined) return Infinity;
  const instant = at instanceof Date ? validDate(at, "the instant of timeoutAt").getTime() : finiteNumber(at, "the instant of timeoutAt");
  return performance.now() + (instant - Date.now());
}

function checkBody(body: unknown): void {
  if (typeof body !== "function") throw new OptionError(`expected a function for the body of timeout, got ${typeof body}: use waitFor for a promise`);
}

function signalFirst<T>(body: (signal: AbortSignal, deadline: Deadline) => PromiseLike<T>): (deadline: Deadline) => PromiseLike<T> {
  checkBody(body);
  return (deadline) => body(deadline.signal, deadline);
}

async function runWithin<T>(dueAt: number, body: (deadline: Deadline) => PromiseLike<T>, task?: OwnedTask<unknown>): Promise<T> {
  const scope = new DeadlineScope(task);
  scope.enter();
  if (dueAt <= performance.now()) {
    scope.leave();
    throw tooLate(undefined);
  }
  scope.schedule(dueAt);
  try {
    return await scope.inside(body, scope);
  } catch (error) {
    throw scope.errorFor(error);
  } finally {
    scope.leave();
  }
}

class DeadlineScope extends Scope implements Deadline {
  expired = false;
  /** A task that is waited for, and cancelled with each interruption. */
  readonly #task: OwnedTask<unknown> | undefined;
  #dueAt = Infinity;
  #callOff: (() => void) | undefined = undefined;

  constructor(task: OwnedTask<unknown> | undefined) {
    super();
    this.#task = task;
  }

  get at(): Date | undefined {
    return this.#dueAt === Infinity ? undefined : new Date(Date.now() + (this.#dueAt - performance.now()));
  }

  reschedule(limit: Duration | undefined): void {
    this.#checkRunning();
    this.schedule(dueAtAfter(limit));
  }

  rescheduleAt(at: Date | number | undefined): void {
    this.#checkRunning();
    this.schedule(dueAtOf(at));
  }

  schedule(dueAt: number): void {
    this.#callOff?.();
    this.#dueAt = dueAt;
    this.#callOff = dueAt === Infinity ? undefined : startTimer(Math.max(0, Math.ceil(dueAt - performance.now())), () => this.#fire());
  }

  override interrupt(reason: Error): void {
    super.interrupt(reason);
    if (this.#task?.cancel(reason) === true) this.pending = false;
  }

  override leave(): void {
    this.#callOff?.();
    super.leave();
  }

  /** TimeoutError when the body ended by this limit and by nothing else. */
  errorFor(error: unknown): unknown {
    if (!this.expired || !this.endedBy(error)) return error;
    return this.outsideReason ?? tooLate(error);
  }

  #fire(): void {
    this.expired = true;
    (this.#enclosingDue() ?? this).#expire();
  }

  #expire(): void {
    this.expired = true;
    this.interrupt(new CancelledError("the limit of a timeout was reached"));
  }

  /** The outermost limit around this one that is reached now as well. */
  #enclosingDue(): DeadlineScope | undefined {
    let outermost: DeadlineScope | undefined;
    for (let scope = this.outer; scope !== undefined; scope = scope.outer) {
      if (scope instanceof DeadlineScope && scope.open && !scope.expired && scope.#dueAt <= this.#dueAt + SAME_MS) outermost = scope;
    }
    return outermost;
  }

  #checkRunning(): void {
    if (this.expired) throw new StateError("expected a limit that was not reached yet: it has expired and cannot be rescheduled");
    if (!this.open) throw new StateError("expected a limit whose body still runs: it has ended and cannot be rescheduled");
  }
}

function tooLate(cause: unknown): TimeoutError {
  return new TimeoutError("expected the work to end within its limit, but the limit was reached first", { cause });
}

/** What is there without waiting. A task that is not done is cancelled, and its end awaited. */
async function takeNow<T>(work: PromiseLike<T> | ResultHandle<T>): Promise<T> {
  if (!isPromiseLike(work)) throw tooLate(undefined);
  if (!(work instanceof OwnedTask)) return Promise.race([work as PromiseLike<T>, Promise.reject(tooLate(undefined))]);
  work.cancel("the limit of waitFor was reached");
  try {
    return await (work as OwnedTask<T>);
  } catch (error) {
    throw work.cancelled ? tooLate(error) : error;
  }
}
