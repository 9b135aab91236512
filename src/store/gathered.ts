/** Gathers what is asked for in one turn of the event loop, and sends it in batches: with nothing on its way at once. */

/** As they were when this was loaded: an application's tests may put a clock of their own in their place. */
const inTheNextTurn = setImmediate;
const afterThis = process.nextTick;

interface Entry<Row, Answer> {
  readonly row: Row;
  resolve(answer: Answer | Promise<Answer>): void;
  reject(error: unknown): void;
}

export interface GatheredOptions<Row, Answer> {
  /** Most rows of a batch, and most bytes, near enough. */
  readonly largest: number;
  readonly largestBytes: number;
  /** From so many on they go in two halves, where nothing is on its way: who asks and Redis would take turns. @default none do */
  readonly halvedFrom?: number;
  bytesOf(row: Row): number;
  /** Sends one batch before it first awaits anything; an answer a row, in order. */
  send(rows: readonly Row[]): Promise<readonly (Answer | Promise<Answer>)[]>;
}

export class Gathered<Row, Answer> {
  readonly #options: GatheredOptions<Row, Answer>;
  #entries: Entry<Row, Answer>[] = [];
  #scheduled = false;
  #onTheirWay = 0;

  constructor(options: GatheredOptions<Row, Answer>) {
    this.#options = options;
  }

  /** @throws what sending its batch throws */
  add(row: Row): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#entries.push({ row, resolve, reject });
      this.#schedule(this.#onTheirWay > 0);
    });
  }

  /** Sends all that was added, now. */
  flush(): void {
    while (this.#entries.length > 0) void this.#send(this.#nextBatch());
  }

  #schedule(later: boolean): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const sendOne = (): void => {
      this.#scheduled = false;
      if (this.#entries.length > 0) void this.#send(this.#nextBatch());
      // The next one goes when the loop has turned: while Redis works on one, whoever asked is at the other.
      if (this.#entries.length > 0) this.#schedule(true);
    };
    if (later) inTheNextTurn(sendOne);
    else afterThis(sendOne);
  }

  #nextBatch(): Entry<Row, Answer>[] {
    const { largest, largestBytes, halvedFrom = Infinity, bytesOf } = this.#options;
    const asked = this.#entries.length;
    const most = this.#onTheirWay === 0 && asked >= halvedFrom ? Math.ceil(asked / 2) : asked;
    let [count, bytes] = [0, 0];
    for (; count < Math.min(most, largest); count += 1) {
      bytes += bytesOf(this.#entries[count]!.row);
      if (count > 0 && bytes > largestBytes) break;
    }
    return this.#entries.splice(0, count);
  }

  async #send(batch: readonly Entry<Row, Answer>[]): Promise<void> {
    this.#onTheirWay += 1;
    try {
      const answers = await this.#options.send(batch.map(({ row }) => row));
      for (const [i, entry] of batch.entries()) entry.resolve(answers[i]!);
    } catch (error) {
      for (const entry of batch) entry.reject(error);
    } finally {
      this.#onTheirWay -= 1;
    }
  }
}
