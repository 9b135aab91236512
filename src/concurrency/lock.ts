/** One at a time, as asyncio's `Lock`: strictly first come first served. */
import { StateError } from "../errors.ts";
import { BoundedSemaphore, type Permit } from "./semaphore.ts";
import type { Interruptible } from "./sleep.ts";

/**
 * ```ts
 * using held = await lock.acquire({ signal });
 * ```
 */
export class Lock {
  readonly #semaphore = new BoundedSemaphore(1);

  get locked(): boolean {
    return this.#semaphore.locked;
  }

  /**
   * Takes the lock, waiting for it behind all who came before. Disposing what it gives releases it.
   *
   * @throws the signal's reason when it fires first; the lock is not taken then
   */
  acquire(options?: Interruptible): Promise<Permit> {
    return this.#semaphore.acquire(options);
  }

  /** Takes the lock if it is free. Whoever does calls `release`. */
  tryAcquire(): boolean {
    return this.#semaphore.tryAcquire();
  }

  /** @throws StateError when nobody holds the lock */
  release(): void {
    if (!this.locked) throw new StateError("expected a lock that is held to release, but nobody holds it");
    this.#semaphore.release();
  }
}
