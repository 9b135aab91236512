/** Waiting, under a lock, for something to become so, as asyncio's `Condition`. */
import { StateError } from "../errors.ts";
import { check } from "../options.ts";
import { Lock } from "./lock.ts";
import type { Permit } from "./semaphore.ts";
import type { Interruptible } from "./sleep.ts";
import { Waiters } from "./waiters.ts";

const howMany = check.integer({ min: 0 });

/**
 * ```ts
 * using held = await condition.acquire({ signal });
 * await condition.waitFor(() => stock > 0, { signal });
 * ```
 */
export class Condition {
  readonly #lock: Lock;
  readonly #waiters = new Waiters<undefined>(() => this.#wake(1));

  /** @param lock  one that several conditions may share; its own unless given */
  constructor(lock: Lock = new Lock()) {
    this.#lock = lock;
  }

  get locked(): boolean {
    return this.#lock.locked;
  }

  acquire(options?: Interruptible): Promise<Permit> {
    return this.#lock.acquire(options);
  }

  tryAcquire(): boolean {
    return this.#lock.tryAcquire();
  }

  release(): void {
    this.#lock.release();
  }

  /**
   * Lets go of the lock until notified, and has it again however it ends.
   *
   * @throws StateError when the lock is not held
   * @throws the signal's reason; a notification that had come meanwhile goes to another waiter
   */
  async wait({ signal }: Interruptible = {}): Promise<void> {
    this.#checkHeld("wait");
    if (signal?.aborted) throw signal.reason;
    const notified = this.#waiters.wait(signal);
    this.#lock.release();
    try {
      await notified;
    } finally {
      await this.#lock.acquire();
    }
    if (!signal?.aborted) return;
    this.#wake(1);
    throw signal.reason;
  }

  /** Waits until `predicate` gives something true, looking anew after each notification; gives what it gave. */
  async waitFor<T>(predicate: () => T, options?: Interruptible): Promise<T> {
    for (;;) {
      const result = predicate();
      if (result) return result;
      await this.wait(options);
    }
  }

  /**
   * Wakes those who have waited longest. They run once the lock is theirs.
   *
   * @param count  how many at most
   * @throws StateError when the lock is not held
   */
  notify(count = 1): void {
    this.#checkHeld("notify");
    this.#wake(howMany(count, "the count of notify"));
  }

  notifyAll(): void {
    this.#checkHeld("notifyAll");
    this.#wake(Infinity);
  }

  #wake(count: number): void {
    for (let woken = 0; woken < count && this.#waiters.wake(undefined); woken += 1);
  }

  #checkHeld(verb: string): void {
    if (!this.#lock.locked) throw new StateError(`expected the condition's lock to be held for ${verb}: acquire it first`);
  }
}
