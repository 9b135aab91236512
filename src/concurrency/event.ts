/** A flag to wait for, as asyncio's `Event`. */
import type { Interruptible } from "./sleep.ts";
import { Waiters } from "./waiters.ts";

export class Event {
  readonly #waiters = new Waiters<undefined>(() => undefined);
  #isSet = false;

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
   * @throws the signal's reason when it fires first
   */
  async wait({ signal }: Interruptible = {}): Promise<void> {
    if (signal?.aborted) throw signal.reason;
    if (!this.#isSet) await this.#waiters.wait(signal);
  }
}
