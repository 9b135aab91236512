/** A flag to wait for, as asyncio's `Event`. */
import { CancelledError } from "../errors.ts";
import type { Interruptible } from "./sleep.ts";
import { Waiters } from "./waiters.ts";

export class Event implements Disposable {
  readonly #waiters = new Waiters<undefined>(() => undefined);
  #isSet = false;
  #isDisposed = false;

  get isSet(): boolean {
    return this.#isSet;
  }

  /** Raises the flag and wakes all who wait, even when it is cleared again at once. */
  set(): void {
    this.#isSet = true;
    while (this.#waiters.wake(undefined));
  }

  clear(): void {
    this.#isSet = false;
  }

  /**
   * Resolves once the flag is up; at once when it is already.
   *
   * @throws the signal's reason when it fires first; CancelledError when the event is disposed first
   */
  async wait({ signal }: Interruptible = {}): Promise<void> {
    if (signal?.aborted) throw signal.reason;
    if (this.#isSet) return;
    if (this.#isDisposed) throw disposed();
    await this.#waiters.wait(signal);
  }

  /** Ends every wait: at the end of the block that it belongs to, nobody is left who would set it. */
  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#waiters.failAll(disposed);
  }
}

function disposed(): CancelledError {
  return new CancelledError("the event was disposed, and nobody sets it any more");
}
