/**
 * Queues between producers and consumers in one process, as asyncio's `Queue`, `LifoQueue` and `PriorityQueue`.
 *
 * An item goes straight to the getter that has waited longest, and a place that comes free to the putter that has
 * waited longest, so that nobody barges in. What is handed to one that was cancelled meanwhile is handed on.
 */
import { QueueEmptyError, QueueFullError, QueueShutDownError, StateError } from "../errors.ts";
import { check, checkOptions } from "../options.ts";
import { FifoItems, LifoItems, type QueueItems, SortedItems } from "./queue-items.ts";
import type { Interruptible } from "./sleep.ts";
import { Waiters } from "./waiters.ts";

export interface QueueOptions {
  /** How many items it holds before `put` waits; 0 for any number. Default: 0. */
  readonly maxSize?: number | undefined;
}

/** What every put gives that need not wait. */
const hasPut = Promise.resolve();

/**
 * ```ts
 * const queue = new Queue<string>({ maxSize: 100 });
 * await queue.put("a", { signal });
 * for await (const item of queue) { handle(item); queue.taskDone(); }
 * ```
 */
export class Queue<T> {
  readonly maxSize: number;
  readonly #items: QueueItems<T>;
  readonly #getters = new Waiters<T>((item) => this.#handOn(item));
  readonly #putters = new Waiters<undefined>(() => this.#takePlaceBack());
  readonly #joiners = new Waiters<undefined>(() => undefined);
  /** Places given to putters that have not run yet. */
  #reserved = 0;
  #unfinished = 0;
  #shutDown: "no" | "draining" | "immediate" = "no";

  /** @param items  how items are kept; in the order put unless told otherwise */
  constructor(options?: QueueOptions, items: QueueItems<T> = new FifoItems<T>()) {
    const { maxSize = 0 } = checkOptions("a queue", options, { maxSize: check.integer({ min: 0 }) });
    this.maxSize = maxSize;
    this.#items = items;
  }

  /** Items that wait to be got. */
  get size(): number {
    return this.#items.size;
  }

  get empty(): boolean {
    return this.size === 0;
  }

  /** There is no place for another item now. */
  get full(): boolean {
    return this.maxSize > 0 && this.size + this.#reserved >= this.maxSize;
  }

  /** Items put for which `taskDone` was not called yet. */
  get unfinished(): number {
    return this.#unfinished;
  }

  /**
   * Puts an item, waiting for a place behind all who came before.
   *
   * @throws QueueShutDownError when the queue is shut down, before or while it waits; nothing is put then
   * @throws the signal's reason when it fires first; nothing is put then
   */
  put(item: T, options?: Interruptible): Promise<void> {
    const signal = options?.signal;
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    if (this.#shutDown !== "no") return Promise.reject(shutDownError());
    if (this.full || this.#putters.waking) return this.#putInTurn(item, signal);
    this.#add(item);
    return hasPut;
  }

  /** @throws QueueFullError when there is no place now, QueueShutDownError when the queue is shut down */
  putNoWait(item: T): void {
    this.#checkOpen();
    if (this.full) throw new QueueFullError(`expected a place in the queue, but all ${this.maxSize} are taken: put waits for one`);
    this.#add(item);
  }

  /**
   * Gets the next item, waiting for one behind all who came before.
   *
   * @throws QueueShutDownError when the queue is shut down and holds nothing more
   * @throws the signal's reason when it fires first; no item is lost by that
   */
  get(options?: Interruptible): Promise<T> {
    const signal = options?.signal;
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    if (!this.empty) return this.#getters.waking ? this.#getters.follow(this.#take(), signal) : Promise.resolve(this.#take());
    if (this.#shutDown !== "no") return Promise.reject(shutDownError());
    return this.#getters.wait(signal);
  }

  /** @throws QueueEmptyError when it holds nothing now, QueueShutDownError when it is shut down besides */
  getNoWait(): T {
    if (!this.empty) return this.#take();
    if (this.#shutDown !== "no") throw shutDownError();
    throw new QueueEmptyError("expected an item in the queue, but it holds none now: get waits for one");
  }

  /** Says that the work on one item that was got is done. @throws StateError when it was said for every item already */
  taskDone(): void {
    if (this.#unfinished === 0) throw new StateError("expected one taskDone() for each item put, got one more");
    this.#finish();
  }

  /**
   * Resolves as soon as `taskDone` was called for every item put; at once when nothing is unfinished.
   *
   * @throws the signal's reason when it fires first
   */
  async join({ signal }: Interruptible = {}): Promise<void> {
    if (signal?.aborted) throw signal.reason;
    if (this.#unfinished > 0) await this.#joiners.wait(signal);
  }

  /**
   * Takes nothing more. Who waits to put gets QueueShutDownError, and so does who gets once it holds nothing more.
   *
   * @param immediate  drops what it holds now and counts it as done. Default: false
   */
  shutdown({ immediate = false }: { readonly immediate?: boolean | undefined } = {}): void {
    if (this.#shutDown === "no") this.#shutDown = "draining";
    if (immediate) this.#drop();
    this.#putters.failAll(shutDownError);
    // A getter handed an item just now may have gone: the item is handed on before those who wait are sent away.
    queueMicrotask(() => {
      if (this.empty) this.#getters.failAll(shutDownError);
    });
  }

  /** Its items as they come, until it is shut down and holds nothing more. Call `taskDone` for each. */
  async *items(options?: Interruptible): AsyncGenerator<T, void, undefined> {
    for (;;) {
      let item: T;
      try {
        item = await this.get(options);
      } catch (error) {
        if (error instanceof QueueShutDownError) return;
        throw error;
      }
      yield item;
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    return this.items();
  }

  async #putInTurn(item: T, signal: AbortSignal | undefined): Promise<void> {
    await this.#placeFor(signal);
    this.#reserved -= 1;
    this.#checkOpen();
    this.#add(item);
  }

  #add(item: T): void {
    this.#unfinished += 1;
    if (!this.#getters.wake(item)) this.#items.add(item);
    else this.#givePlace();
  }

  /** A place that is reserved when this resolves. */
  #placeFor(signal: AbortSignal | undefined): Promise<undefined> {
    if (this.full) return this.#putters.wait(signal);
    this.#reserved += 1;
    return this.#putters.follow(undefined, signal);
  }

  #take(): T {
    const item = this.#items.take();
    this.#givePlace();
    return item;
  }

  #givePlace(): void {
    if (!this.full && this.#putters.wake(undefined)) this.#reserved += 1;
  }

  /** The putter that a place was given to has gone. */
  #takePlaceBack(): void {
    this.#reserved -= 1;
    this.#givePlace();
  }

  /** The getter that this item was handed to has gone. */
  #handOn(item: T): void {
    if (this.#shutDown === "immediate") this.#finish();
    else if (!this.#getters.wake(item)) this.#items.putBack(item);
  }

  #finish(): void {
    this.#unfinished -= 1;
    if (this.#unfinished === 0) while (this.#joiners.wake(undefined));
  }

  #drop(): void {
    this.#shutDown = "immediate";
    while (!this.empty) {
      this.#items.take();
      this.#finish();
    }
  }

  #checkOpen(): void {
    if (this.#shutDown !== "no") throw shutDownError();
  }
}

/** The item put last comes first. */
export class LifoQueue<T> extends Queue<T> {
  constructor(options?: QueueOptions) {
    super(options, new LifoItems<T>());
  }
}

export interface PriorityQueueOptions<T> extends QueueOptions {
  /** Below 0 when `a` comes before `b`, as for `Array.sort`. Default: by `<`, for numbers, strings, bigints and dates. */
  readonly compare?: ((a: T, b: T) => number) | undefined;
}

/** What `<` orders. */
type Ordered = number | bigint | string | Date;

/** The smallest item comes first; equal ones in the order put. */
export class PriorityQueue<T> extends Queue<T> {
  constructor(...args: T extends Ordered ? [options?: PriorityQueueOptions<T>] : [options: PriorityQueueOptions<T> & { readonly compare: (a: T, b: T) => number }]) {
    const { compare = bySize, ...options } = args[0] ?? {};
    super(options, new SortedItems<T>(compare));
  }
}

function bySize(a: unknown, b: unknown): number {
  if ((a as number) < (b as number)) return -1;
  return (a as number) > (b as number) ? 1 : 0;
}

function shutDownError(): QueueShutDownError {
  return new QueueShutDownError("expected a queue that is open, but it was shut down");
}
