/**
 * How a consumer waits. While it is busy it hears of work, and asks for it then: what it asked for before, it might not get to for
 * long. While it is calm, what it asks for stands in Redis, and comes by itself, a round trip sooner.
 */
import { startTimer } from "../concurrency/timer.ts";

/** It is no moment between two jobs. */
const CALM_MS = 2;

export interface Ways {
  /** Waits until there may be something to take. */
  hear(signal: AbortSignal): Promise<unknown>;
  /** Takes what comes next. */
  take(): Promise<unknown>;
}

export class Waiting {
  readonly #isCalm: () => boolean;
  /** Ends what it does while it is busy. */
  #hearing: AbortController | undefined;

  /** @param isCalm  whether nothing keeps it from what it asks for; when that begins, it is told by `calmedDown` */
  constructor(isCalm: () => boolean) {
    this.#isCalm = isCalm;
  }

  /** Waits, by one of the ways; there may be more to take then. @throws what the way does */
  async forWork(quiet: AbortSignal, { hear, take }: Ways): Promise<void> {
    // What is over soon is over by then.
    await new Promise((resolve) => void setImmediate(resolve));
    if (quiet.aborted) return;
    if (this.#isCalm()) return void (await take());
    const hearing = new AbortController();
    this.#hearing = hearing;
    try {
      await hear(AbortSignal.any([quiet, hearing.signal]));
    } finally {
      this.#hearing = undefined;
    }
  }

  /** It is calm: if it still is when a moment is over, to hear of work is not enough. */
  calmedDown(): void {
    if (this.#hearing === undefined) return;
    startTimer(CALM_MS, () => void (this.#isCalm() && this.#hearing?.abort()), { keepsAlive: false });
  }
}
