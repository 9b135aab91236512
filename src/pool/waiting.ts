/**
 * How a consumer waits. While something runs it hears of work, and asks for it then: it may be long until it can. While nothing
 * does, what it asks for stands in Redis and comes by itself, a round trip sooner.
 */
import { startTimer } from "../concurrency/timer.ts";

/** Nothing has run for so long: it may go on like that. */
const CALM_MS = 2;

export interface Ways {
  /** Waits until there may be something to take; whether it has heard of any. */
  hear(signal: AbortSignal): Promise<boolean>;
  /** Takes what comes; whether there may be more. */
  take(signal: AbortSignal): Promise<boolean>;
}

export class Waiting {
  readonly #isCalm: () => boolean;
  /** Ends what it does while something runs. */
  #hearing: AbortController | undefined;

  /** @param isCalm  whether nothing runs; then it is told by `calmedDown` */
  constructor(isCalm: () => boolean) {
    this.#isCalm = isCalm;
  }

  /** Waits, and takes what comes, until there may be more to take or the signal fires. @throws what the ways do */
  async forWork(quiet: AbortSignal, { hear, take }: Ways): Promise<void> {
    while (!quiet.aborted) {
      // What is over soon is over by then.
      await new Promise((resolve) => void setImmediate(resolve));
      if (this.#isCalm() ? await take(quiet) : !(await this.#isVain(hear, quiet))) return;
    }
  }

  /** Whether it was ended since nothing runs any more, and has heard nothing. */
  async #isVain(hear: Ways["hear"], quiet: AbortSignal): Promise<boolean> {
    const hearing = new AbortController();
    this.#hearing = hearing;
    try {
      return !(await hear(AbortSignal.any([quiet, hearing.signal]))) && hearing.signal.aborted;
    } finally {
      this.#hearing = undefined;
    }
  }

  /** Nothing runs any more: to hear of work is not enough. */
  calmedDown(): void {
    if (this.#hearing === undefined) return;
    startTimer(CALM_MS, () => void (this.#isCalm() && this.#hearing?.abort()), { keepsAlive: false });
  }
}
