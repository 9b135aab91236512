/**
 * Tells what runs in this process that its job is to be cancelled.
 *
 * A wake-up names a job; why it is to end, and whether it still is, Redis says. One that was lost is made up for when
 * listening begins again, by a look every few seconds, and at the end of the delivery.
 */
import { startTicker, startTimer } from "../concurrency/timer.ts";
import type { Logger } from "../log.ts";
import { cancelChannel, cancelRequests } from "../store/cancel.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import { persevere } from "./persevere.ts";

/** A look at all that runs: one short script. */
const LOOK_EVERY_MS = 2000;
/** Longer than an answer of Redis may take that brings a job which was named meanwhile. */
const EARLY_MS = 5000;

export class CancelWatch<T extends { readonly id: string }> {
  readonly #queue: StoredQueue;
  readonly #running: Iterable<T>;
  readonly #cancel: (task: T, reason: string) => void;
  readonly #log: Logger;
  /** Jobs that were named before they were here: a wake-up may be faster than the answer that brings the job. */
  readonly #early = new Set<string>();
  #named = new Set<string>();
  #signal: AbortSignal = AbortSignal.abort();

  /**
   * @param running  what runs here, whenever it is asked
   * @param cancel   tells one of them; may be called more than once
   */
  constructor(queue: StoredQueue, running: Iterable<T>, cancel: (task: T, reason: string) => void, log: Logger) {
    this.#queue = queue;
    this.#running = running;
    this.#cancel = cancel;
    this.#log = log;
  }

  /** Listens until the signal fires; `connections.open()` comes first. */
  listen(signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#signal = signal;
    const stop = this.#queue.connections.subscriber.listen(cancelChannel(this.#queue), {
      message: (id) => this.#name(id),
      listening: () => this.#nameAll(),
      refused: (error) => this.#log.warn({ queue: this.#queue.name, err: error }, `cannot listen for cancelled jobs: looks every ${LOOK_EVERY_MS} ms instead`),
    });
    const stopLooking = startTicker(LOOK_EVERY_MS, () => this.#nameAll(), { keepsAlive: false });
    signal.addEventListener("abort", () => (stop(), stopLooking()), { once: true });
  }

  /** To be told of everything that begins to run here. */
  begun({ id }: T): void {
    if (this.#early.size > 0 && this.#early.has(id)) this.#name(id);
  }

  #nameAll(): void {
    for (const { id } of this.#running) this.#name(id);
  }

  /** Looks at this job together with all others that are named in this turn of the event loop. */
  #name(id: string): void {
    if (this.#named.size === 0) setImmediate(() => void this.#look());
    this.#named.add(id);
  }

  async #look(): Promise<void> {
    const named = this.#named;
    this.#named = new Set();
    const here: T[] = [];
    for (const task of this.#running) if (named.delete(task.id)) here.push(task);
    for (const id of named) this.#remember(id);
    if (here.length === 0) return;
    const onFailure = (error: unknown): void => this.#log.warn({ queue: this.#queue.name, err: error }, "cannot look for cancelled jobs, trying again");
    const reasons = await persevere(() => cancelRequests(this.#queue, here.map(({ id }) => id)), { signal: this.#signal, onFailure });
    here.forEach((task, i) => {
      const reason = reasons?.[i];
      if (reason !== undefined) this.#cancel(task, reason);
    });
  }

  #remember(id: string): void {
    this.#early.add(id);
    startTimer(EARLY_MS, () => this.#early.delete(id), { keepsAlive: false });
  }
}
