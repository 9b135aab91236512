/** Waiting at a durable primitive: it looks whenever there is reason to, until a look says that the wait is over. */
import { startTimer } from "../concurrency/timer.ts";
import { BackendError, TimeoutError } from "../errors.ts";
import { check, checkOptions, type Duration } from "../options.ts";
import type { Gate } from "./gate.ts";
import type { Ongoing } from "./hub.ts";

/** How long to wait. */
export interface Wait {
  /** Throws TimeoutError afterwards; `0` takes only what is there without waiting. @default for ever */
  readonly timeout?: Duration;
  /** Ends the wait; its reason is thrown. */
  readonly signal?: AbortSignal;
}

/** What a look has found: what was waited for, for the taking; or when to look again at the latest. */
export type Look<T> = { take(): T } | { readonly lookInMs: number };

/** One who waits. */
export interface Attendance<T> {
  /** What wake-ups call it by. */
  readonly topic: string;
  /** For messages: `lock "account:42"`. */
  readonly what: string;
  /** The first look takes a place among those who wait; any look takes it again if it was lost. */
  look(): Promise<Look<T>>;
  /** Gives the place up, also when it was granted meanwhile. Never rejects. */
  leave(): Promise<void>;
}

/** An outage is not polled harder than this, in milliseconds. */
const OUTAGE_LOOK_MS = 100;

export const waitOptions = { timeout: check.duration(), signal: check.signal() };

/** @throws OptionError */
export function checkWait(what: string, options: unknown): CheckedWait {
  return checkOptions(what, options, waitOptions);
}

export interface CheckedWait {
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

/**
 * Waits. Once it stands among those who wait, an outage of Redis only prolongs it.
 *
 * @throws TimeoutError; the signal's reason; BackendError when Redis does not take it among those who wait, or the app is closed
 */
export async function attend<T>(gate: Gate, attendance: Attendance<T>, wait: CheckedWait): Promise<T> {
  const { hub } = gate;
  wait.signal?.throwIfAborted();
  const limit = new Limit(attendance.what, wait);
  const left = Promise.withResolvers<void>();
  const listed: Ongoing = {
    end(reason) {
      limit.reach(reason);
      return left.promise;
    },
  };
  using alarm = hub.wakeUps.alarm(attendance.topic);
  try {
    gate.add(listed);
    for (let stands = false; ; ) {
      limit.signal.throwIfAborted();
      const found = await unlessReached(limit, attendance.look()).catch((error: unknown): Look<T> => {
        if (limit.signal.aborted || !stands || !(error instanceof BackendError)) throw error;
        return { lookInMs: OUTAGE_LOOK_MS };
      });
      limit.signal.throwIfAborted();
      if ("take" in found) return found.take();
      if (wait.timeout === 0) throw limit.tooLate();
      stands = true;
      hub.wakeUps.listen();
      await alarm.next(hub.wakeUps.sleepMs(found.lookInMs), limit.signal);
    }
  } catch (error) {
    hub.leaveBehind(attendance.leave().then(left.resolve));
    throw error;
  } finally {
    limit.callOff();
    gate.delete(listed);
  }
}

/** Fires when the caller's signal does, when the timeout is over, or when it is told to. */
class Limit {
  readonly #controller = new AbortController();
  readonly #what: string;
  readonly #wait: CheckedWait;
  readonly #stopTimer: (() => void) | undefined;

  constructor(what: string, wait: CheckedWait) {
    this.#what = what;
    this.#wait = wait;
    const { timeout = 0 } = wait;
    if (timeout > 0) this.#stopTimer = startTimer(timeout, () => this.reach(this.tooLate()));
    wait.signal?.addEventListener("abort", this.#pass, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  reach(reason: unknown): void {
    this.#controller.abort(reason);
  }

  callOff(): void {
    this.#stopTimer?.();
    this.#wait.signal?.removeEventListener("abort", this.#pass);
  }

  tooLate(): TimeoutError {
    return new TimeoutError(`expected ${this.#what} within ${this.#wait.timeout} ms`);
  }

  readonly #pass = (): void => this.reach(this.#wait.signal?.reason);
}

/** What the look gives; but when the limit is reached first, its reason is thrown, and the look left to itself. */
function unlessReached<T>(limit: Limit, look: Promise<T>): Promise<T> {
  const { signal } = limit;
  return new Promise<T>((resolve, reject) => {
    const giveUp = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", giveUp, { once: true });
    look.then(resolve, reject).finally(() => signal.removeEventListener("abort", giveUp));
  });
}
