/**
 * A stretch of work that can be cancelled as a whole: a task, or a timeout, group or gather inside one.
 *
 * Scopes nest. What interrupts the outer interrupts the inner; the other way round nothing passes. As in asyncio a
 * cancellation is delivered once: to what waits on the signal at that moment, or else to what looks at the signal
 * next, or else to the next scope that is entered, which then never starts. After that, scopes can be entered again,
 * so that work which was cancelled can clean up behind itself under a timeout or in a group.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { getEventListeners } from "node:events";
import { CancelledError } from "../errors.ts";

const innermost = new AsyncLocalStorage<Scope>();

export abstract class Scope {
  /** False as soon as its work has ended. */
  open = true;
  /** Why it was interrupted, each time. */
  #reasons: Error[] | undefined = undefined;
  /** Why it was interrupted by what encloses it; undefined when only by itself, or not at all. */
  outsideReason: Error | undefined = undefined;
  /** The interruption has reached nobody yet. */
  pending = false;
  outer: Scope | undefined = undefined;
  #inner: Set<Scope> | undefined = undefined;
  #controller: AbortController | undefined = undefined;

  /** Why it was interrupted first, as its signal tells; undefined while it never was. */
  get reason(): Error | undefined {
    return this.#reasons?.[0];
  }

  /** Fires when this scope is interrupted. Made when it is first asked for, since most tasks never ask. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reasons !== undefined) this.#abort(this.#controller);
    }
    return this.#controller.signal;
  }

  /**
   * Makes this the innermost open scope of whatever is called through `inside`.
   *
   * @throws the reason for which the enclosing scope was interrupted, when that has reached nobody yet
   */
  enter(): void {
    let outer = innermost.getStore();
    while (outer !== undefined && !outer.open) outer = outer.outer;
    if (outer === undefined) return;
    if (outer.pending) {
      outer.pending = false;
      throw outer.#reasons?.at(-1) as Error;
    }
    this.outer = outer;
    outer.#inner ??= new Set();
    outer.#inner.add(this);
  }

  inside<A extends unknown[], R>(work: (...args: A) => R, ...args: A): R {
    return innermost.run(this, work, ...args);
  }

  /** The work has ended. What never reached it is left to the enclosing scope. */
  leave(): void {
    this.open = false;
    const { outer } = this;
    if (outer === undefined) return;
    outer.#inner?.delete(this);
    if (this.pending && this.outsideReason !== undefined) outer.pending = true;
  }

  interrupt(reason: Error): void {
    if (this.#reasons === undefined) this.#reasons = [reason];
    else this.#reasons.push(reason);
    this.pending = true;
    if (this.#controller?.signal.aborted === false) this.#abort(this.#controller);
    if (this.#inner === undefined) return;
    const inners = [...this.#inner];
    for (const inner of inners) {
      inner.outsideReason = reason;
      inner.interrupt(reason);
      this.pending = false;
    }
  }

  /** As if it had never been interrupted; the next signal asked for is a fresh one. */
  protected forgive(): void {
    this.pending = false;
    this.#reasons = undefined;
    if (this.#controller?.signal.aborted === true) this.#controller = undefined;
  }

  /** Whether an error is how interrupted work ends: by a reason itself, or as functions of Node and the web put it. */
  endedBy(error: unknown): boolean {
    if (error instanceof CancelledError) return true;
    return this.#reasons !== undefined && error instanceof Error && (error.name === "AbortError" || this.#reasons.includes(error));
  }

  #abort(controller: AbortController): void {
    const { signal } = controller;
    if (getEventListeners(signal, "abort").length > 0) this.pending = false;
    controller.abort(this.reason);
    if (this.pending) this.#awaitLook(signal);
  }

  /** Nothing waits on the signal: whoever first finds it fired has received the cancellation. */
  #awaitLook(signal: AbortSignal): void {
    const looked = (): void => {
      this.pending = false;
      Reflect.deleteProperty(signal, "aborted");
      Reflect.deleteProperty(signal, "throwIfAborted");
    };
    Object.defineProperties(signal, {
      aborted: {
        configurable: true,
        get() {
          looked();
          return true;
        },
      },
      throwIfAborted: {
        configurable: true,
        value() {
          looked();
          throw signal.reason;
        },
      },
    });
  }
}

/** The innermost scope of the running code, open or not. */
export function innermostScope(): Scope | undefined {
  return innermost.getStore();
}

/** What a caller gave as the reason of a cancellation, as the error that a signal carries. */
export function cancellationReason(given: unknown, fallback: () => string): Error {
  if (given instanceof Error) return given;
  return new CancelledError(given === undefined ? fallback() : String(given));
}
