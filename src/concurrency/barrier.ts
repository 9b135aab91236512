/** A place where so many wait for one another, as asyncio's `Barrier`. */
import { BrokenBarrierError } from "../errors.ts";
import { check } from "../options.ts";
import type { Interruptible } from "./sleep.ts";
import { Waiters } from "./waiters.ts";

const partyCount = check.integer({ min: 1 });

/** Can be passed again and again: the next `parties` to come are the next round. */
export class Barrier implements Disposable {
  readonly parties: number;
  readonly #waiters = new Waiters<number>(() => undefined);
  #broken = false;

  /** @param parties  how many have to come together; a whole number of at least 1 */
  constructor(parties: number) {
    this.parties = partyCount(parties, "the parties of a barrier");
  }

  /** How many wait now. */
  get waiting(): number {
    return this.#waiters.length;
  }

  get broken(): boolean {
    return this.#broken;
  }

  /**
   * Waits until `parties` are here; the last one lets all go on. One that is cancelled no longer counts.
   *
   * @returns a number from 0 to parties - 1, in the order of coming and different for each, so that one can be chosen
   * @throws BrokenBarrierError when the barrier is broken, or is reset meanwhile
   * @throws the signal's reason when it fires first
   */
  async wait({ signal }: Interruptible = {}): Promise<number> {
    if (signal?.aborted) throw signal.reason;
    if (this.#broken) throw new BrokenBarrierError("expected a whole barrier, but it was broken by abort(): reset() mends it");
    if (this.waiting + 1 < this.parties) return this.#waiters.wait(signal);
    for (let number = 0; this.#waiters.wake(number); number += 1);
    return this.parties - 1;
  }

  /** Empties the barrier: who waits gets BrokenBarrierError, and it can be used anew. Who was let go already has passed. */
  reset(): void {
    this.#broken = false;
    this.#waiters.failAll(() => new BrokenBarrierError("the barrier was reset while this one waited"));
  }

  /** Breaks the barrier: who waits, and who comes until the next reset, gets BrokenBarrierError. */
  abort(): void {
    this.#broken = true;
    this.#waiters.failAll(() => new BrokenBarrierError("the barrier was broken by abort() while this one waited"));
  }

  /** As `abort`: at the end of the block that it belongs to, nobody else will come. */
  [Symbol.dispose](): void {
    this.abort();
  }
}
