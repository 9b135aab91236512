/** Renews the leases of whatever this process holds, until it is settled; tells the holder of a lease that is lost. */
import { sleep } from "../concurrency/sleep.ts";
import { BackendError } from "../errors.ts";
import { extendLeases } from "../store/lease.ts";
import type { Leased } from "../store/reserve.ts";
import type { StoredQueue } from "../store/stored-queue.ts";

/** A delivery as its keeper sees it. */
export interface Held {
  readonly leased: Leased;
  /** Called at most once: somebody else may have the job now. */
  leaseLost(): void;
}

/** A lease is renewed when a quarter of it has passed: three renewals may fail before it runs out. */
const RENEWALS_A_LEASE = 4;

export class LeaseKeeper {
  readonly #queue: StoredQueue;
  readonly #leaseMs: number;
  readonly #held = new Map<Held, number>();

  constructor(queue: StoredQueue, leaseMs: number) {
    this.#queue = queue;
    this.#leaseMs = leaseMs;
  }

  /** Keeps the lease from now on; it was granted just now. */
  keep(held: Held): void {
    this.#held.set(held, performance.now());
  }

  letGo(held: Held): void {
    this.#held.delete(held);
  }

  /** Renews until the signal fires; an outage of Redis only makes it try again. */
  async run(signal: AbortSignal): Promise<void> {
    const everyMs = this.#leaseMs / RENEWALS_A_LEASE;
    while (!signal.aborted) {
      await sleep(everyMs, { signal }).catch(() => {});
      if (!signal.aborted) await this.#renew(performance.now() - everyMs);
    }
  }

  async #renew(grantedBefore: number): Promise<void> {
    const due = new Map<Leased, Held>();
    for (const [held, grantedAt] of this.#held) if (grantedAt <= grantedBefore) due.set(held.leased, held);
    if (due.size === 0) return;
    const renewedAt = performance.now();
    let lost: readonly Leased[];
    try {
      lost = await extendLeases(this.#queue, [...due.keys()], this.#leaseMs);
    } catch (error) {
      if (error instanceof BackendError) return;
      throw error;
    }
    for (const held of due.values()) if (this.#held.has(held)) this.#held.set(held, renewedAt);
    for (const leased of lost) {
      const held = due.get(leased)!;
      // Settled meanwhile: its lease is gone because its work is done.
      if (this.#held.delete(held)) held.leaseLost();
    }
  }
}
