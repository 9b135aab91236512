/**
 * Those who wait for the same thing, first come first served: what locks, semaphores, events and queues are made of.
 *
 * A waiter that was woken but cancelled before it could run gives what it was handed to `passOn`, so that no
 * wake-up is lost. A linked list, so that one that gives up from the middle costs no more than one at the front.
 */

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
      const waiter: Waiter<T> = { resolve, reject, signal, giveUp: undefined, previous: this.#last, next: undefined };
      this.#append(waiter);
      if (signal === undefined) return;
      waiter.giveUp = () => {
        if (this.#remove(waiter)) reject(signal.reason as Error);
      };
      signal.addEventListener("abort", waiter.giveUp, { once: true });
    });
  }

  /** Wakes the one that has waited longest. Returns false when nobody waits. */
  wake(value: T): boolean {
    const first = this.#first;
    if (first === undefined) return false;
    this.#remove(first);
    this.#waking += 1;
    // One microtask between being woken and running, with a signal or without, or the first would be overtaken.
    void aMicrotaskLater.then(() => this.#run(first, value));
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
      stopListening(first);
      first.reject(error());
    }
  }

  #run(waiter: Waiter<T>, value: T): void {
    const { signal } = waiter;
    this.#waking -= 1;
    stopListening(waiter);
    if (signal?.aborted !== true) return waiter.resolve(value);
    this.#passOn(value);
    waiter.reject(signal.reason);
  }

  #append(waiter: Waiter<T>): void {
    if (this.#last === undefined) this.#first = waiter;
    else this.#last.next = waiter;
    this.#last = waiter;
    this.#length += 1;
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

interface Waiter<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
  readonly signal: AbortSignal | undefined;
  giveUp: (() => void) | undefined;
  previous: Waiter<T> | undefined;
  next: Waiter<T> | undefined;
}

/** Cheaper than `queueMicrotask`, which Node makes a resource of. */
const aMicrotaskLater = Promise.resolve();

function stopListening<T>({ signal, giveUp }: Waiter<T>): void {
  if (giveUp !== undefined) signal?.removeEventListener("abort", giveUp);
}
