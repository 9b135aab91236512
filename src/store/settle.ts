/**
 * Settles the deliveries of one queue. What ends in one turn of the event loop goes out in one script.
 *
 * A settlement that Redis did not answer is sent again while the lease may still be ours; one that had been applied
 * after all is recognised as done.
 */
import { sleep } from "../concurrency/sleep.ts";
import { BackendError } from "../errors.ts";
import { settleJobs, type Settled, type Settlement } from "./settle-script.ts";
import type { StoredQueue } from "./stored-queue.ts";

export type { Retention, Settled, Settlement } from "./settle-script.ts";

const BATCH = 100;
const RESEND_PAUSE_MS = 100;

interface Entry {
  readonly settlement: Settlement;
  readonly sent: (() => void) | undefined;
  resolve(settled: Settled): void;
  reject(error: unknown): void;
}

export class SettleLane {
  readonly #queue: StoredQueue;
  readonly #patienceMs: number;
  #entries: Entry[] = [];
  #scheduled = false;

  /** @param patienceMs  for how long a settlement without an answer is sent again: no longer than a lease lasts */
  constructor(queue: StoredQueue, patienceMs: number) {
    this.#queue = queue;
    this.#patienceMs = patienceMs;
  }

  /**
   * @param sent  called when it is on its way to Redis; whatever is sent after that finds it settled
   * @throws BackendError when Redis has not answered within the patience
   */
  settle(settlement: Settlement, sent?: () => void): Promise<Settled> {
    return new Promise((resolve, reject) => {
      this.#entries.push({ settlement, sent, resolve, reject });
      if (this.#scheduled) return;
      this.#scheduled = true;
      setImmediate(() => this.#flush());
    });
  }

  #flush(): void {
    this.#scheduled = false;
    const entries = this.#entries;
    this.#entries = [];
    for (let from = 0; from < entries.length; from += BATCH) void this.#send(entries.slice(from, from + BATCH));
  }

  async #send(batch: readonly Entry[]): Promise<void> {
    const giveUpAt = performance.now() + this.#patienceMs;
    const settlements = batch.map((entry) => entry.settlement);
    let first = true;
    for (;;) {
      try {
        const settling = settleJobs(this.#queue, settlements);
        if (first) for (const entry of batch) entry.sent?.();
        first = false;
        const settled = await settling;
        batch.forEach((entry, i) => entry.resolve(settled[i]!));
        return;
      } catch (error) {
        if (!(error instanceof BackendError) || performance.now() >= giveUpAt) {
          for (const entry of batch) entry.reject(error);
          return;
        }
        await sleep(RESEND_PAUSE_MS);
      }
    }
  }
}
