/** The slots of one queue: what its handlers may run at once, out of what the whole pool may. */
import { Semaphore } from "../concurrency/index.ts";
import type { Leased } from "../store/reserve.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import { isSuspect } from "../queue/crash.ts";
import { turnAlone, type Turn } from "./alone.ts";
import type { Runnable } from "./executor.ts";

/** The slots of a pool, shared by all of its queues. */
export interface PoolSlots {
  readonly semaphore: Semaphore;
  readonly count: number;
}

const LARGEST_BATCH = 100;
const AT_ONCE: Turn = { release() {} };

export class Slots {
  readonly #pool: PoolSlots;
  /** What the handlers of this queue take together, where that is less than the pool. */
  readonly #together: Semaphore;
  /** One a handler that takes less than its queue does. */
  readonly #handlers = new Map<string, Semaphore>();
  readonly #largestBatch: number;

  constructor(runnables: ReadonlyMap<string, Runnable>, pool: PoolSlots) {
    this.#pool = pool;
    const wanted = [...runnables.values()].reduce((sum, { handler }) => sum + (handler.concurrency ?? pool.count), 0);
    const together = Math.min(wanted, pool.count);
    this.#together = new Semaphore(together);
    for (const [name, { handler }] of runnables) {
      if (handler.concurrency !== undefined && handler.concurrency < together) this.#handlers.set(name, new Semaphore(handler.concurrency));
    }
    // Half of the slots, so that one batch is on its way while another runs.
    this.#largestBatch = Math.min(Math.ceil(together / 2), LARGEST_BATCH);
  }

  /** Waits for one slot, then takes what else is free, up to a batch. @returns how many; 0 when it is quiet first */
  async acquire(quiet: AbortSignal): Promise<number> {
    const { semaphore } = this.#pool;
    if (!(await isAcquired(this.#together, quiet))) return 0;
    if (!(await isAcquired(semaphore, quiet))) {
      this.#together.release();
      return 0;
    }
    let most = 1;
    while (most < this.#largestBatch && this.#together.tryAcquire()) {
      if (!semaphore.tryAcquire()) {
        this.#together.release();
        break;
      }
      most += 1;
    }
    return most;
  }

  release(): void {
    this.#pool.semaphore.release();
    this.#together.release();
  }

  /**
   * What a delivery in a slot waits for besides: its handler's turn; a suspect, until it is alone. A promise is given only
   * where it waits.
   *
   * @returns `undefined` when it is quiet first, or its lease is lost
   */
  turn(queue: StoredQueue, leased: Leased, quiet: AbortSignal): Turn | Promise<Turn | undefined> {
    const { semaphore, count } = this.#pool;
    // With every slot in its hands nobody has a turn of its handler.
    if (isSuspect(leased.job)) return turnAlone(queue, leased, semaphore, count, quiet).catch(() => undefined);
    const turns = this.#handlers.get(leased.job.name);
    return turns === undefined ? AT_ONCE : isAcquired(turns, quiet).then((acquired) => (acquired ? turns : undefined));
  }
}

/** Waits for a permit; `false` when it is quiet first. */
function isAcquired(slots: Semaphore, quiet: AbortSignal): Promise<boolean> {
  return slots.acquire({ signal: quiet }).then(
    () => true,
    () => false,
  );
}
