/**
 * Those who wait for the same thing, first come first served: what locks, semaphores, events and queues are made of.
 *
 * A waiter that was woken but cancelled before it could run gives what it was handed to `passOn`, so that no
 * wake-up is lost. A linked list, so that one that gives up from the middle costs no more than one at the front.
 */

interface Waiter<T> {
  readonly wakeUp: (value: T) => void;
  readonly fail: (error: Error) => void;
  previous: Waiter<T> | undefined;
  next: Waiter<T> | undefined;
}

export class Waiters<T> {
  readonly #passOn: (value: T) => void;
  #first: Waiter<T> | undefined = undefined;
  #last: Waiter<T> | undefined = undefined;
  #length = 0;
  #waking = 0;

  constructor(passOn: (value: T) => void) {
    this.#passOn = passOn;
  }

  get length(): number {
    return this.#length;
  }

  /** Some were woken and have not run yet: who is served without waiting now would overtake them. */
  get waking(): boolean {
    return this.#waking > 0;
  }

  /**
   * Waits for its turn to be woken.
   *
   * @throws the signal's reason
   */
  wait(signal: AbortSignal | undefined): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    return new Promise<T>((resolve, reject) => {
      // One microtask between being woken and running, with a signal or without, or the first would be overtaken.
      const waiter = this.#add((value) => queueMicrotask(() => run(value)), (error) => {
        signal?.removeEventListener("abort", giveUp);
        reject(error);
      });
      const giveUp = (): void => {
        if (this.#remove(waiter)) reject(signal?.reason as Error);
      };
      signal?.addEventListener("abort", giveUp, { once: true });

      const run = (value: T): void => {
        this.#waking -= 1;
        if (signal === undefined) return resolve(value);
        signal.removeEventListener("abort", giveUp);
        if (!signal.aborted) return resolve(value);
        this.#passOn(value);
        reject(signal.reason as Error);
      };
    });
  }

  /** Wakes the one that has waited longest. Returns false when nobody waits. */
  wake(value: T): boolean {
    const first = this.#first;
    if (first === undefined) return false;
    this.#remove(first);
    this.#waking += 1;
    first.wakeUp(value);
    return true;
  }

  /** Waits behind those who were woken and have not run yet. For when nobody waits in line. */
  follow(value: T, signal: AbortSignal | undefined): Promise<T> {
    const turn = this.wait(signal);
    this.wake(value);
    return turn;
  }

  /** Ends every wait with an error. */
  failAll(error: () => Error): void {
    for (let first = this.#first; first !== undefined; first = this.#first) {
      this.#remove(first);
      first.fail(error());
    }
  }

  #add(wakeUp: (value: T) => void, fail: (error: Error) => void): Waiter<T> {
    const waiter: Waiter<T> = { wakeUp, fail, previous: this.#last, next: undefined };
    if (this.#last === undefined) this.#first = waiter;
    else this.#last.next = waiter;
    this.#last = waiter;
    this.#length += 1;
    return waiter;
  }

  /** Returns false when it was taken out before. */
  #remove(waiter: Waiter<T>): boolean {
    const { previous, next } = waiter;
    if (previous === undefined && this.#first !== waiter) return false;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    waiter.previous = waiter.next = undefined;
    this.#length -= 1;
    return true;
  }
}
