/** How long a caller waits: its timeout and its signal as one signal. */
import { startTimer } from "./timer.ts";

/** What a caller says: a timeout in milliseconds, a signal, both or neither. */
export interface Patience {
  readonly timeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Fires when the caller's signal does, when the timeout is over, or when it is told to. Dispose it. */
export class Limit implements Disposable {
  readonly #controller = new AbortController();
  readonly #callersSignal: AbortSignal | undefined;
  readonly #callOff: (() => void) | undefined;

  /** @param tooLate  the reason when the timeout is over */
  constructor({ timeout, signal }: Patience, tooLate: () => Error) {
    this.#callersSignal = signal;
    if (signal?.aborted) this.reach(signal.reason);
    else signal?.addEventListener("abort", this.#pass, { once: true });
    if (timeout !== undefined) this.#callOff = startTimer(timeout, () => this.reach(tooLate()));
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  reach(reason: unknown): void {
    this.#controller.abort(reason);
  }

  /** What the work gives; but when the limit is reached first, its reason is thrown, and the work left to itself. */
  around<T>(work: PromiseLike<T>): Promise<T> {
    return unlessAborted(this.signal, work);
  }

  [Symbol.dispose](): void {
    this.#callOff?.();
    this.#callersSignal?.removeEventListener("abort", this.#pass);
  }

  readonly #pass = (): void => this.reach(this.#callersSignal?.reason);
}

/** What the work gives, unless the signal fires first: then its reason is thrown, and the work left to itself. */
export function unlessAborted<T>(signal: AbortSignal, work: PromiseLike<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const giveUp = (): void => reject(signal.reason as Error);
    if (signal.aborted) giveUp();
    else signal.addEventListener("abort", giveUp, { once: true });
    work.then(resolve, reject).then(() => signal.removeEventListener("abort", giveUp));
  });
}

/** Whether the work ends within so many milliseconds, well or badly; what takes longer is left to itself. */
export async function endsWithin(ms: number, work: PromiseLike<unknown>): Promise<boolean> {
  return new Promise<boolean>((resolve) => {
    const callOff = startTimer(ms, () => resolve(false));
    const ended = (): void => {
      callOff();
      resolve(true);
    };
    work.then(ended, ended);
  });
}
