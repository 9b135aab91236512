/** Whether a pool fetches: it may be told to be quiet, and to go on, until it is told to end. */
import { CancelledError, StateError } from "../errors.ts";

export class Fetching {
  readonly #over = new AbortController();
  #quiet = new AbortController();
  #resumed = Promise.withResolvers<void>();

  /** Fires when it is never to fetch again. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  get isQuiet(): boolean {
    return this.#quiet.signal.aborted;
  }

  quiet(): void {
    this.#quiet.abort(new CancelledError("the pool is quiet"));
  }

  /** @throws StateError when it is to end */
  resume(): void {
    if (this.over.aborted) throw new StateError("expected a pool that is not told to stop: only one that is quiet takes jobs again");
    if (!this.isQuiet) return;
    this.#quiet = new AbortController();
    this.#goOn();
  }

  end(): void {
    this.quiet();
    this.#over.abort();
    this.#goOn();
  }

  /**
   * Calls `fetch` whenever it is not quiet, until it is over.
   *
   * @param fetch  goes on until its signal fires
   */
  async keepOn(fetch: (quiet: AbortSignal) => Promise<void>): Promise<void> {
    while (!this.over.aborted) {
      if (this.isQuiet) await this.#resumed.promise;
      else await fetch(this.#quiet.signal);
    }
  }

  #goOn(): void {
    this.#resumed.resolve();
    this.#resumed = Promise.withResolvers();
  }
}
