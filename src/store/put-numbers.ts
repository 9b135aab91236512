/**
 * Numbers the put scripts that this process sends to one queue.
 *
 * A number belongs to one batch until Redis has answered it. The server keeps the highest number it has seen and the
 * gaps below it; a gap is a number that is still open here, so a batch that is sent late is put, and one that is sent
 * twice is not. `lowestOpen` tells a server that has forgotten this producer where its gaps begin.
 */
export class PutNumbers {
  #next = 1;
  readonly #open = new Map<number, number>();
  readonly #unused: number[] = [];

  /** A number for a new batch, open until `settle` or `giveUp`. */
  take(): number {
    const number = this.#unused.shift() ?? this.#next++;
    this.#open.set(number, Date.now());
    return number;
  }

  /** Redis has answered: the batch is put. */
  settle(number: number): void {
    this.#open.delete(number);
  }

  /** Redis has answered that it wrote nothing: the number may serve another batch. */
  reuse(number: number): void {
    this.#open.delete(number);
    this.#unused.push(number);
    this.#unused.sort((a, b) => a - b);
  }

  lowestOpen(): number {
    // After an hour of silence the server has forgotten the gap, and nobody asks for it any more.
    const forgottenAt = Date.now() - 3_600_000;
    for (const [number, takenAt] of this.#open) if (takenAt < forgottenAt) this.#open.delete(number);
    let lowest = this.#next;
    for (const number of this.#open.keys()) lowest = Math.min(lowest, number);
    for (const number of this.#unused) lowest = Math.min(lowest, number);
    return lowest;
  }
}
