/** Puts that are on their way to Redis: so many that it has work while more are made, and so few that memory stays constant. */

/** One chunk flies while the next is gathered. */
const CHUNK = { jobs: 500, bytes: 2 << 20 };

export class Flight {
  /** Of those that have landed. */
  added = 0;
  #failure: { readonly error: unknown } | undefined;
  #flying: Promise<unknown> = Promise.resolve();
  #gathered: Promise<void>[] = [];
  #gatheredBytes = 0;

  /**
   * Takes a put along; waits while enough are in the air.
   *
   * @param onAdded  called when it has landed, unless the job was there before
   * @throws the first error of any put
   */
  async add(put: Promise<boolean>, bytes: number, onAdded?: () => void): Promise<void> {
    // Each is looked at from the start: one that fails while the next payload is awaited must not count as unhandled.
    this.#gathered.push(put.then((added) => this.#land(added, onAdded), (error: unknown) => this.#fail(error)));
    this.#gatheredBytes += bytes;
    if (this.#gathered.length >= CHUNK.jobs || this.#gatheredBytes >= CHUNK.bytes) {
      const chunk = Promise.all(this.#gathered);
      this.#gathered = [];
      this.#gatheredBytes = 0;
      await this.#flying;
      this.#flying = chunk;
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Waits for all of them. @throws the first error of any */
  async landed(): Promise<void> {
    await Promise.all([this.#flying, ...this.#gathered]);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #land(added: boolean, onAdded: (() => void) | undefined): void {
    if (!added) return;
    this.added += 1;
    onAdded?.();
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
  }
}
