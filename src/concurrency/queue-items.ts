/** How a queue keeps its items: in the order put, the last first, or the smallest first. */

export interface QueueItems<T> {
  readonly size: number;
  add(item: T): void;
  /** Puts one back that was taken but not received: it is the next to be taken among its equals. */
  putBack(item: T): void;
  /** The next item. Only called while `size` is above 0. */
  take(): T;
}

const SMALLEST_RING = 16;
/** A ring of no more places than this is kept though it is empty. */
const KEPT_RING = 1024;

/** In the order put: a ring, so that both ends are cheap, and a queue that is emptied again and again asks for no memory. */
export class FifoItems<T> implements QueueItems<T> {
  /** Its length is a power of two. */
  #ring: (T | undefined)[] = newRing(SMALLEST_RING);
  #first = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(item: T): void {
    if (this.#size === this.#ring.length) this.#resize(this.#size * 2);
    this.#ring[(this.#first + this.#size) & (this.#ring.length - 1)] = item;
    this.#size += 1;
  }

  putBack(item: T): void {
    if (this.#size === this.#ring.length) this.#resize(this.#size * 2);
    this.#first = (this.#first - 1) & (this.#ring.length - 1);
    this.#ring[this.#first] = item;
    this.#size += 1;
  }

  take(): T {
    const item = this.#ring[this.#first] as T;
    this.#ring[this.#first] = undefined;
    this.#first = (this.#first + 1) & (this.#ring.length - 1);
    this.#size -= 1;
    if (this.#size * 4 < this.#ring.length && this.#ring.length > KEPT_RING) this.#resize(this.#ring.length / 2);
    return item;
  }

  #resize(length: number): void {
    const last = this.#ring;
    const ring = newRing<T>(length);
    for (let at = 0; at < this.#size; at += 1) ring[at] = last[(this.#first + at) & (last.length - 1)];
    this.#ring = ring;
    this.#first = 0;
  }
}

function newRing<T>(length: number): (T | undefined)[] {
  return Array.from({ length }, () => undefined);
}

/** The last put first. */
export class LifoItems<T> implements QueueItems<T> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  add(item: T): void {
    this.#items.push(item);
  }

  putBack(item: T): void {
    this.#items.push(item);
  }

  take(): T {
    return this.#items.pop() as T;
  }
}

interface Ranked<T> {
  readonly item: T;
  /** Orders equals: counts up as they are put, down as they are put back. */
  readonly turn: number;
}

/** The smallest first, equals in the order put: a binary heap. */
export class SortedItems<T> implements QueueItems<T> {
  readonly #compare: (a: T, b: T) => number;
  readonly #heap: Ranked<T>[] = [];
  #lastTurn = 0;
  #firstTurn = 0;

  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  get size(): number {
    return this.#heap.length;
  }

  add(item: T): void {
    this.#push({ item, turn: (this.#lastTurn += 1) });
  }

  putBack(item: T): void {
    this.#push({ item, turn: (this.#firstTurn -= 1) });
  }

  take(): T {
    const top = this.#heap[0] as Ranked<T>;
    const last = this.#heap.pop() as Ranked<T>;
    if (this.#heap.length > 0) this.#sink(last);
    return top.item;
  }

  #push(ranked: Ranked<T>): void {
    let index = this.#heap.length;
    while (index > 0) {
      const above = (index - 1) >> 1;
      if (!this.#before(ranked, this.#at(above))) break;
      this.#heap[index] = this.#at(above);
      index = above;
    }
    this.#heap[index] = ranked;
  }

  /** Puts one at the top and lets it sink to its place. */
  #sink(ranked: Ranked<T>): void {
    const { length } = this.#heap;
    let index = 0;
    for (;;) {
      let below = index * 2 + 1;
      if (below >= length) break;
      if (below + 1 < length && this.#before(this.#at(below + 1), this.#at(below))) below += 1;
      if (!this.#before(this.#at(below), ranked)) break;
      this.#heap[index] = this.#at(below);
      index = below;
    }
    this.#heap[index] = ranked;
  }

  #at(index: number): Ranked<T> {
    return this.#heap[index] as Ranked<T>;
  }

  #before(a: Ranked<T>, b: Ranked<T>): boolean {
    const order = this.#compare(a.item, b.item);
    return order < 0 || (order === 0 && a.turn < b.turn);
  }
}
