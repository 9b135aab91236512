/** Waiting at a durable primitive: it looks whenever there is reason to, until a look says that the wait is over. */
import { Limit } from "../concurrency/limit.ts";
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
  const tooLate = (): TimeoutError => new TimeoutError(`expected ${attendance.what} within ${wait.timeout} ms`);
  // A timeout of 0 ends the wait by itself, after one look.
  using limit = new Limit(wait.timeout === 0 ? { signal: wait.signal } : wait, tooLate);
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
      const found = await limit.around(attendance.look()).catch((error: unknown): Look<T> => {
        if (limit.signal.aborted || !stands || !(error instanceof BackendError)) throw error;
        return { lookInMs: OUTAGE_LOOK_MS };
      });
      limit.signal.throwIfAborted();
      if ("take" in found) return found.take();
      if (wait.timeout === 0) throw tooLate();
      stands = true;
      hub.wakeUps.listen();
      await alarm.next(hub.wakeUps.sleepMs(found.lookInMs), limit.signal);
    }
  } catch (error) {
    hub.leaveBehind(attendance.leave().then(left.resolve));
    throw error;
  } finally {
    gate.delete(listed);
  }
}
