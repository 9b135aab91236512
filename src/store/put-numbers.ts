/**
 * Numbers the put scripts that this process sends to one queue.
 *
 * A number belongs to one batch for ever, and is open while that batch may still be sent. The server keeps the highest
 * number it has seen, the gaps below it, and answers that say more than "put"; a gap is a number that is still open
 * here, so a batch that is sent late is put, and one that is sent twice is not. `lowestOpen` tells the server which
 * gaps it may forget, and one that has forgotten this producer where its gaps begin; `heard` which answers.
 */
export class PutNumbers {
  #next = 1;
  readonly #open = new Map<number, number>();
  #heard: number[] = [];

  /** A number for a new batch, open until it is closed. */
  take(): number {
    const number = this.#next++;
    this.#open.set(number, Date.now());
    return number;
  }

  /**
   * The batch is answered for: it is not sent again.
   *
   * @param answerKept  whether the server keeps its answer
   */
  close(number: number, answerKept = false): void {
    this.#open.delete(number);
    if (answerKept) this.#heard.push(number);
  }

  /** Closed numbers whose answers the server may forget; each is named once. */
  heard(): readonly number[] {
    const heard = this.#heard;
    if (heard.length > 0) this.#heard = [];
    return heard;
  }

  /** Whether the batch may be sent (again) under its number; if not, it needs another. */
  isOpen(number: number): boolean {
    this.#giveUpOldest();
    return this.#open.has(number);
  }

  lowestOpen(): number {
    this.#giveUpOldest();
    const [lowest = this.#next] = this.#open.keys();
    return lowest;
  }

  /** After an hour of silence the server forgets the producer, so an older gap means nothing there. */
  #giveUpOldest(): void {
    const takenBefore = Date.now() - REMEMBERED_MS;
    for (const [number, takenAt] of this.#open) {
      if (takenAt >= takenBefore) return;
      this.#open.delete(number);
    }
  }
}

/** For how long at least the server remembers a producer that puts nothing. */
export const REMEMBERED_MS = 3_600_000;
