/** At most so many at once, as asyncio's `Semaphore`: strictly first come first served, and nobody barges in. */
import { StateError } from "../errors.ts";
import { check } from "../options.ts";
import type { Interruptible } from "./sleep.ts";
import { Waiters } from "./waiters.ts";

const permitCount = check.integer({ min: 0 });
const permitChange = check.integer();

/** The right to go on. Disposing gives it back, once however often, and never throws over an error of its block. */
export class Permit implements Disposable {
  #source: { release(): void } | undefined;

  constructor(source: { release(): void }) {
    this.#source = source;
  }

  [Symbol.dispose](): void {
    const source = this.#source;
    this.#source = undefined;
    try {
      source?.release();
    } catch (error) {
      // It was given back by hand before.
      process.emitWarning(error as Error);
    }
  }
}

/**
 * ```ts
 * const connections = new Semaphore(10);
 * using permit = await connections.acquire({ signal });
 * ```
 */
export class Semaphore {
  /** Below 0 after `adjust`: so many of those that are held are kept when they come back. */
  #available: number;
  // What is handed over is a permit that is never counted as available, so nobody can take it in between.
  readonly #waiters = new Waiters<Permit>(() => this.#handBack());

  /** @param permits  how many may be held at once; a whole number of at least 0 */
  constructor(permits = 1) {
    this.#available = permitCount(permits, "the permits of a semaphore");
  }

  /** Permits that nobody holds. */
  get available(): number {
    return Math.max(this.#available, 0);
  }

  /** `acquire` would have to wait. */
  get locked(): boolean {
    return this.#available <= 0;
  }

  /**
   * Takes a permit, waiting for one behind all who came before.
   *
   * @throws the signal's reason when it fires first; no permit is taken then
   */
  acquire(options?: Interruptible): Promise<Permit> {
    const signal = options?.signal;
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    if (!this.tryAcquire()) return this.#waiters.wait(signal);
    return this.#waiters.waking ? this.#waiters.follow(new Permit(this), signal) : Promise.resolve(new Permit(this));
  }

  /** Takes a permit if there is one now. Whoever does calls `release`. */
  tryAcquire(): boolean {
    if (this.#available <= 0) return false;
    this.#available -= 1;
    return true;
  }

  /** Gives a permit back; it goes straight to the one who has waited longest. */
  release(): void {
    this.#handBack();
  }

  /**
   * Makes so many permits more, or fewer: of those that are held then, as many as it takes are not handed out again once
   * they are given back.
   *
   * @param by  a whole number; who takes away more than there are locks it
   */
  adjust(by: number): void {
    permitChange(by, "the change of a semaphore");
    this.#available += Math.min(by, 0);
    for (let given = 0; given < by; given += 1) this.#handBack();
  }

  #handBack(): void {
    if (this.#available >= 0 && this.#waiters.length > 0) this.#waiters.wake(new Permit(this));
    else this.#available += 1;
  }
}

/** A semaphore for which one release too many is an error. */
export class BoundedSemaphore extends Semaphore {
  #permits: number;

  constructor(permits = 1) {
    super(permits);
    this.#permits = permits;
  }

  override adjust(by: number): void {
    super.adjust(by);
    this.#permits += by;
  }

  /** @throws StateError when every permit is back already */
  override release(): void {
    if (this.available >= this.#permits) throw new StateError(`expected at most ${this.#permits} releases, one for each acquire, got one more`);
    super.release();
  }
}
