/**
 * Consuming by hand: deliveries as an async iterable, each to be ended once by `ack`, `fail` or `release`.
 *
 * ```ts
 * for await (const delivery of queue.deliveries()) {
 *   await using _ = delivery;              // released, should the body throw
 *   await delivery.ack(await work(delivery.payload, delivery.task));
 * }
 * ```
 */
import { Semaphore } from "../concurrency/index.ts";
import { definitionOf, type Job, type JobDefinition, type JobTypes } from "../job/contract.ts";
import { check, checkOptions } from "../options.ts";
import { sharedMarkers } from "../store/marker-wait.ts";
import { HandSource } from "./hand-source.ts";
import type { Delivery } from "./open-delivery.ts";
import type { OpenQueue } from "./open-queue.ts";
import type { Partitions } from "./partitions.ts";
import { persevere } from "./persevere.ts";

export type { Delivery } from "./open-delivery.ts";

export interface DeliveriesOptions {
  /** Deliveries that may be open at once, at least 1. @default 1 */
  readonly concurrency?: number;
  /** Ends the iteration; open deliveries stay open. */
  readonly signal?: AbortSignal;
}

const known = { concurrency: check.integer({ min: 1 }), signal: check.signal() };

/**
 * The signal of a delivery's task fires at its timeout or deadline, when its job is cancelled, and when its lease is lost.
 * Jobs of another name, or of a newer version, are given back for a consumer that knows them. An outage of Redis only
 * delays the next delivery. Whoever leaves the loop early gives back the delivery of that turn; others stay open.
 *
 * @throws OptionError; at the first delivery BackendError or PreflightError when it cannot connect
 */
export function deliveries<T extends JobTypes>(queue: Partitions, job: Job<T>, options?: DeliveriesOptions): AsyncGenerator<Delivery<T>, void> {
  const { concurrency = 1, signal } = checkOptions("deliveries", options, known);
  return new HandConsumer<T>(queue, definitionOf(job as Job), concurrency).deliveries(signal);
}

/** Lives until the iteration is over and the last of its deliveries has ended, or the app is closed. */
class HandConsumer<T extends JobTypes> implements AsyncDisposable {
  readonly #queue: Partitions;
  readonly #slots: Semaphore;
  /** One a partition, in the order in which they are asked next. */
  #sources: readonly HandSource<T>[];
  /** Nothing more is taken. */
  readonly #quiet = new AbortController();
  /** And nothing is open any more. */
  readonly #ended = new AbortController();

  constructor(queue: Partitions, definition: JobDefinition, concurrency: number) {
    this.#queue = queue;
    this.#slots = new Semaphore(concurrency);
    const markersOf = sharedMarkers();
    const onLetGo = (): void => {
      this.#slots.release();
      this.#endWhenIdle();
    };
    this.#sources = queue.all.map((partition) => new HandSource<T>(partition, definition, markersOf(partition.stored), onLetGo));
  }

  async *deliveries(signal: AbortSignal | undefined): AsyncGenerator<Delivery<T>, void> {
    await this.#queue.ready();
    const quiet = signal === undefined ? this.#quiet.signal : AbortSignal.any([this.#quiet.signal, signal]);
    const onFailure = (error: unknown): void => this.#queue.log.warn({ queue: this.#queue.name, err: error }, "cannot reserve from Redis, trying again");
    let handedOut: Delivery<T> | undefined;
    this.#begin();
    try {
      while (await this.#slotComes(quiet)) {
        handedOut = await persevere(() => this.#next(quiet), { signal: quiet, onFailure });
        if (handedOut === undefined) return;
        yield handedOut;
        handedOut = undefined;
      }
    } finally {
      this.#quiet.abort();
      // The loop was left by a break or an error, with this one in its hands.
      await handedOut?.[Symbol.asyncDispose]();
      await Promise.all(this.#sources.map(({ reserver }) => reserver.close().catch(() => {})));
      this.#endWhenIdle();
    }
  }

  /** The app is closed: what is open is given back. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#quiet.abort();
    await Promise.all(this.#sources.flatMap(({ open }) => [...open]).map((delivery) => delivery[Symbol.asyncDispose]()));
    this.#ended.abort();
  }

  #begin(): void {
    const { signal } = this.#ended;
    const [{ consumers }] = this.#queue.all as readonly [OpenQueue];
    consumers.add(this);
    signal.addEventListener("abort", () => consumers.delete(this), { once: true });
    for (const source of this.#sources) source.begin(signal);
  }

  #endWhenIdle(): void {
    if (this.#quiet.signal.aborted && this.#sources.every(({ open }) => open.size === 0)) this.#ended.abort();
  }

  #slotComes(quiet: AbortSignal): Promise<boolean> {
    return this.#slots.acquire({ signal: quiet }).then(
      () => true,
      () => false,
    );
  }

  /** The next delivery; `undefined` once it is quiet. */
  async #next(quiet: AbortSignal): Promise<Delivery<T> | undefined> {
    while (!quiet.aborted) {
      const sources = this.#reachable();
      for (const source of sources) {
        const delivery = await source.take(quiet);
        if (delivery === undefined) continue;
        this.#sources = [...this.#sources.filter((other) => other !== source), source];
        return delivery;
      }
      await this.#wait(sources, quiet);
    }
    return undefined;
  }

  /** Nobody waits for a server that is away while there are others. */
  #reachable(): readonly HandSource<T>[] {
    const connected = this.#sources.filter(({ isConnected }) => isConnected);
    return connected.length === 0 ? this.#sources : connected;
  }

  /** Waits for any of them. Who comes first is asked first, and others' markers are passed on: they may not be asked soon. */
  async #wait(sources: readonly HandSource<T>[], quiet: AbortSignal): Promise<void> {
    const woken = new AbortController();
    const signal = AbortSignal.any([quiet, woken.signal]);
    const came: HandSource<T>[] = [];
    const waits = sources.map(async (source) => {
      try {
        if (await source.reserver.wait(signal)) came.push(source);
      } finally {
        woken.abort();
      }
    });
    const failed = (await Promise.allSettled(waits)).find(({ status }) => status === "rejected");
    const [first, ...others] = came;
    for (const { reserver } of others) reserver.passOn().catch(() => {});
    if (first !== undefined) this.#sources = [first, ...this.#sources.filter((source) => source !== first)];
    else if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
  }
}
