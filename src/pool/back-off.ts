/** How long to wait before what has ended is started again. */

const FIRST_MS = 500;
const LONGEST_MS = 30_000;
/** Who has lived so long did not end for what ended those before it. */
const LONG_LIFE_MS = 60_000;

export class BackOff {
  #short = 0;

  /** None after a long life, nor after the first short one; then half a second, doubled each time, up to 30 s. */
  pauseAfterMs(livedMs: number): number {
    this.#short = livedMs >= LONG_LIFE_MS ? 0 : this.#short + 1;
    return this.#short < 2 ? 0 : Math.min(FIRST_MS * 2 ** (this.#short - 2), LONGEST_MS);
  }
}
