/** Renews the leases of whatever this process holds, until it is settled; tells the holder of a lease that is lost. */
import { sleep } from "../concurrency/sleep.ts";
import type { Logger } from "../log.ts";
import { extendLeases } from "../store/lease.ts";
import type { Leased } from "../store/reserve.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import { persevere } from "./persevere.ts";

/** A delivery as its keeper sees it. */
export interface Held {
  readonly leased: Leased;
  /** Called at most once: somebody else may have the job now. */
  leaseLost(): void;
}

/** A lease is renewed when a quarter to a half of it has passed. */
const ROUNDS_A_LEASE = 4;

export class LeaseKeeper {
  readonly #queue: StoredQueue;
  readonly #leaseMs: number;
  readonly #log: Logger;
  readonly #held = new Map<Held, number>();

  constructor(queue: StoredQueue, leaseMs: number, log: Logger) {
    this.#queue = queue;
    this.#leaseMs = leaseMs;
    this.#log = log;
  }

  /** Keeps the lease from now on; it was granted just now. */
  keep(held: Held): void {
    this.#held.set(held, performance.now());
  }

  letGo(held: Held): void {
    this.#held.delete(held);
  }

  /**
   * Renews until the signal fires. After an outage of Redis it renews at once, before anybody takes a lease that ran
   * out meanwhile for that of a dead worker.
   */
  async run(signal: AbortSignal): Promise<void> {
    const everyMs = this.#leaseMs / ROUNDS_A_LEASE;
    const onFailure = (error: unknown): void => this.#log.warn({ queue: this.#queue.name, err: error }, "cannot renew leases, trying again");
    while (!signal.aborted) {
      await persevere(() => this.#renew(performance.now() - everyMs), { signal, onFailure });
      await sleep(everyMs, { signal }).catch(() => {});
    }
  }

  async #renew(grantedBefore: number): Promise<void> {
    const due = new Map<Leased, Held>();
    for (const [held, grantedAt] of this.#held) if (grantedAt <= grantedBefore) due.set(held.leased, held);
    if (due.size === 0) return;
    const renewedAt = performance.now();
    const lost = await extendLeases(this.#queue, [...due.keys()], this.#leaseMs);
    for (const held of due.values()) if (this.#held.has(held)) this.#held.set(held, renewedAt);
    for (const leased of lost) {
      const held = due.get(leased)!;
      // Settled meanwhile: its lease is gone because its work is done.
      if (this.#held.delete(held)) held.leaseLost();
    }
  }
}
