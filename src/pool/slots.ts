/** The slots of a pool, and those of one of its queues: what its handlers may run at once, out of what the whole pool may. */
import { Semaphore } from "../concurrency/index.ts";
import type { Leased } from "../store/reserve.ts";
import { BATCH_JOBS } from "../store/settle.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import { isSuspect } from "../queue/crash.ts";
import { turnAlone, type Turn } from "./alone.ts";
import type { Runnable } from "./executor.ts";

/** The slots of a pool, shared by all of its queues. How many there are may change while it runs. */
export class PoolSlots {
  readonly semaphore: Semaphore;
  /** Queues take a batch each in turn, not a slot each: batches would shrink with their number. */
  readonly line = new Semaphore(1);
  #count: number;
  #wanted: number;
  #held = 0;
  readonly #onChange: (() => void)[] = [];

  constructor(count: number) {
    this.semaphore = new Semaphore(count);
    this.#count = this.#wanted = count;
  }

  get count(): number {
    return this.#count;
  }

  /** What runs beyond the new number runs on, and nothing takes its place. */
  resize(count: number): void {
    this.#wanted = count;
    this.#fit();
  }

  /** The number stays as it is until what is returned is called: of those who count them. */
  hold(): () => void {
    this.#held += 1;
    return () => {
      this.#held -= 1;
      this.#fit();
    };
  }

  onChange(listener: () => void): void {
    this.#onChange.push(listener);
  }

  #fit(): void {
    const by = this.#wanted - this.#count;
    if (this.#held > 0 || by === 0) return;
    this.#count = this.#wanted;
    this.semaphore.adjust(by);
    for (const listener of this.#onChange) listener();
  }
}

const AT_ONCE: Turn = { release() {} };

export class Slots {
  readonly #runnables: ReadonlyMap<string, Runnable>;
  readonly #pool: PoolSlots;
  readonly #concurrencies: readonly (number | undefined)[];
  /** What the handlers of this queue take together, where that is less than the pool. */
  readonly #together = new Semaphore(0);
  #togetherCount = 0;
  /** Of the consumers of one queue, for the same reason. */
  readonly #line = new Semaphore(1);
  /** One a handler that may not take all that its queue does. */
  readonly #handlers = new Map<string, Semaphore>();
  #largestBatch = 1;

  constructor(runnables: ReadonlyMap<string, Runnable>, pool: PoolSlots) {
    this.#runnables = runnables;
    this.#pool = pool;
    this.#concurrencies = Array.from(runnables.values(), ({ handler }) => handler.concurrency);
    // A handler that is alone is held to its concurrency by what its queue takes.
    for (const [name, { handler }] of runnables) {
      if (handler.concurrency !== undefined && runnables.size > 1) this.#handlers.set(name, new Semaphore(handler.concurrency));
    }
    this.#fit();
    pool.onChange(() => this.#fit());
  }

  /** Waits for one slot, then takes what else is free, up to a batch, or to `limit`. @returns how many; 0 when it is quiet first */
  async acquire(quiet: AbortSignal, limit = Infinity): Promise<number> {
    return inLine(this.#line, quiet, async () => {
      if (!(await isAcquired(this.#together, quiet))) return 0;
      const most = await inLine(this.#pool.line, quiet, () => this.#acquireBatch(Math.min(limit, this.#largestBatch), quiet));
      if (most === 0) this.#together.release();
      return most;
    });
  }

  async #acquireBatch(largest: number, quiet: AbortSignal): Promise<number> {
    const { semaphore } = this.#pool;
    if (!(await isAcquired(semaphore, quiet))) return 0;
    let most = 1;
    while (most < largest && this.#together.tryAcquire()) {
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
    if (isSuspect(leased.job)) return this.#alone(queue, leased, quiet);
    const turns = this.#handlers.size === 0 ? undefined : this.#handlers.get(this.#runnables.get(leased.job.name)?.definition.name ?? leased.job.name);
    if (turns === undefined) return AT_ONCE;
    return turns.tryAcquire() ? turns : isAcquired(turns, quiet).then((acquired) => (acquired ? turns : undefined));
  }

  /** With every slot in its hands nobody has a turn of its handler. */
  async #alone(queue: StoredQueue, leased: Leased, quiet: AbortSignal): Promise<Turn | undefined> {
    const { semaphore, count } = this.#pool;
    const letGo = this.#pool.hold();
    const turn = await turnAlone(queue, leased, semaphore, count, quiet).catch(() => undefined);
    if (turn === undefined) letGo();
    return turn && { release: () => (turn.release(), letGo()) };
  }

  #fit(): void {
    const { count } = this.#pool;
    const wanted = this.#concurrencies.reduce<number>((sum, concurrency = count) => sum + concurrency, 0);
    const together = Math.min(wanted, count);
    this.#together.adjust(together - this.#togetherCount);
    this.#togetherCount = together;
    // Half of the slots, so that one batch is on its way while another runs.
    this.#largestBatch = Math.min(Math.ceil(together / 2), BATCH_JOBS);
  }
}

/** @returns 0 when it is quiet first */
async function inLine(line: Semaphore, quiet: AbortSignal, take: () => Promise<number>): Promise<number> {
  if (!line.tryAcquire() && !(await isAcquired(line, quiet))) return 0;
  try {
    return await take();
  } finally {
    line.release();
  }
}

/** Waits for a permit; `false` when it is quiet first. */
function isAcquired(slots: Semaphore, quiet: AbortSignal): Promise<boolean> {
  return slots.acquire({ signal: quiet }).then(
    () => true,
    () => false,
  );
}
