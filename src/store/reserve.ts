/**
 * Reserves deliveries from one queue, and waits where there are none.
 *
 * Waiting blocks on BullMQ's marker, on a connection of its own: its member `0` says that jobs are ready, `1` when
 * the next delayed job is due. Who takes a marker away answers for it, so a wait that ends early puts it back.
 */
import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import { sleep } from "../concurrency/sleep.ts";
import type { Leased } from "./reserve-script.ts";
import type { SettleLane } from "./settle.ts";
import type { StoredQueue } from "./stored-queue.ts";

export type { Leased } from "./reserve-script.ts";

/** A wait looks for itself after so long, as BullMQ's workers do, in case a marker was lost with a process. */
const LONGEST_WAIT_MS = 5000;
/** Redis rounds shorter blocks up; a job that is due sooner is simply due. */
const SHORTEST_WAIT_MS = 2;

export class Reserver {
  readonly #queue: StoredQueue;
  readonly #lane: SettleLane;
  readonly #leaseMs: number;
  readonly #worker: string;
  readonly #tokenBase = randomBytes(9).toString("base64url");
  #batches = 0;
  #blocking: Redis | undefined;
  #nextDelayedAt = 0;
  #limitedUntil = 0;

  /**
   * @param options.leaseMs  how long a lease holds unless it is renewed
   * @param options.worker   name shown with the job as `processedBy`
   */
  constructor(queue: StoredQueue, lane: SettleLane, options: { readonly leaseMs: number; readonly worker: string }) {
    this.#queue = queue;
    this.#lane = lane;
    this.#leaseMs = options.leaseMs;
    this.#worker = options.worker;
  }

  /** Takes at most `most` jobs that are ready; fewer means that no more are. */
  async take(most: number): Promise<readonly Leased[]> {
    const { clock } = this.#queue.connections;
    this.#batches += 1;
    const sentAt = performance.now();
    const reserved = await this.#lane.reserve({
      most,
      token: `${this.#tokenBase}:${this.#batches}`,
      leaseMs: this.#leaseMs,
      worker: this.#worker,
    });
    clock.observe(reserved.now, performance.now() - sentAt);
    this.#nextDelayedAt = reserved.nextDelayedAt;
    this.#limitedUntil = reserved.limitedForMs > 0 ? performance.now() + reserved.limitedForMs : 0;
    return reserved.leased;
  }

  /** Waits until there may be something to take; returns early when `signal` fires. */
  async wait(signal: AbortSignal): Promise<void> {
    const limitedMs = this.#limitedUntil - performance.now();
    if (limitedMs > 0) {
      await sleep(limitedMs, { signal }).catch(() => {});
      return;
    }
    const waitMs = this.#nextDelayedAt === 0 ? LONGEST_WAIT_MS : this.#nextDelayedAt - this.#queue.connections.clock.now();
    if (waitMs < SHORTEST_WAIT_MS) return;
    const marker = await this.#block(Math.min(waitMs, LONGEST_WAIT_MS), signal);
    const dueAt = Number(marker ?? 0);
    if (dueAt === 0) return;
    // A marker of the delayed: it is now on us to be there in time.
    this.#nextDelayedAt = this.#nextDelayedAt === 0 ? dueAt : Math.min(dueAt, this.#nextDelayedAt);
    if (!signal.aborted) await this.wait(signal);
  }

  /** Ends the connection and wakes another consumer in this one's stead. */
  async close(): Promise<void> {
    this.#blocking?.disconnect();
    this.#blocking = undefined;
    await this.#queue.client.zadd(this.#queue.keys.marker, 0, "0");
  }

  /** The score of the marker that came, if one came. */
  async #block(waitMs: number, signal: AbortSignal): Promise<string | undefined> {
    if (signal.aborted) return undefined;
    this.#blocking ??= this.#queue.connections.dedicated(`wait:${this.#queue.name}`, { blockMs: LONGEST_WAIT_MS });
    const blocking = this.#blocking;
    const interrupt = (): void => blocking.disconnect();
    signal.addEventListener("abort", interrupt, { once: true });
    try {
      const popped = await blocking.bzpopmin(this.#queue.keys.marker, waitMs / 1000);
      return popped?.[2];
    } catch (error) {
      if (!signal.aborted) throw error;
      this.#blocking = undefined;
      return undefined;
    } finally {
      signal.removeEventListener("abort", interrupt);
    }
  }
}
