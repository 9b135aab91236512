/**
 * Renews what is kept in sheets of leases, whichever thread it runs in: each when a quarter of its length has passed,
 * so that short work never reaches Redis.
 */
import { startTicker } from "../concurrency/timer.ts";
import { instant } from "../concurrency/thread-clock.ts";
import type { LeasedIn } from "../store/extend.ts";
import { type FoundLease, type Position, SheetReader, type Sheet } from "./lease-table.ts";

/** A queue whose leases are kept; it stands in the records by its number, from 1. */
export interface LeasedQueue {
  readonly keys: LeasedIn["keys"];
  readonly name: string;
  /** On a cluster it tells where they are. */
  readonly prefix: string;
  readonly leaseMs: number;
}

/** Renews in Redis, and gives those that are lost. */
export type Extend = (queue: LeasedQueue, leases: readonly FoundLease[]) => Promise<readonly FoundLease[]>;

export interface RenewalOptions {
  /** Called once, when something has been held for a while: it may soon have to be renewed. */
  readonly connect: () => Promise<Extend>;
  /** When the thread that works on the jobs was last seen alive: an `instant`. */
  readonly aliveAt: () => number;
  readonly onLost: (leases: readonly Position[]) => void;
  /** Renewing failed, and is tried again soon. */
  readonly onFailure: (queue: string, error: unknown) => void;
  /** Without a sign of life for so long, nothing is renewed: a process that hangs must not hold its jobs for ever. @default 5 min */
  readonly silenceMs?: number;
}

const LOOK_MS = 250;
/** What it looks so late by was no busy machine: it was stopped. */
const GAP_MS = 1000;
const SILENCE_MS = 300_000;
/** The thread that works on the jobs lets as much pass between two signs of life. */
export const BEAT_MS = 1000;
/** A script holds Redis while it runs. */
const BATCH = 250;

export class LeaseRenewal implements Disposable {
  readonly #options: RenewalOptions;
  readonly #readers: SheetReader[] = [];
  readonly #queues: LeasedQueue[] = [];
  /** Of queues, by number, whose renewal is under way. */
  readonly #underWay = new Set<number>();
  readonly #end: () => void;
  #connected: Promise<Extend> | undefined;
  #looked = clocks();
  #wokeAt = 0;

  constructor(options: RenewalOptions) {
    this.#options = options;
    this.#end = startTicker(LOOK_MS, () => this.#look(), { keepsAlive: false });
  }

  addSheet(sheet: Sheet): void {
    this.#readers.push(new SheetReader(sheet, this.#readers.length));
  }

  addQueue(queue: LeasedQueue): void {
    this.#queues.push(queue);
  }

  [Symbol.dispose](): void {
    this.#end();
  }

  #look(): void {
    const looked = clocks();
    const last = this.#looked;
    this.#looked = looked;
    const { now } = looked;
    // The clock of the day goes on while a machine sleeps.
    const slept = Math.max(now - last.now, looked.ofDay - last.ofDay) > LOOK_MS + GAP_MS;
    if (slept) this.#wokeAt = now;
    const { aliveAt, silenceMs = SILENCE_MS } = this.#options;
    if (now - Math.max(aliveAt(), this.#wokeAt) > silenceMs) return;

    const isDue = ({ queue, renewedAt, endsAt }: Pick<FoundLease, "queue" | "renewedAt" | "endsAt">): boolean => {
      const stands = renewedAt === Infinity;
      // The answer to a request that stands was read, unless the other thread gives no sign of life.
      const heldMs = now - (stands ? aliveAt() + BEAT_MS : renewedAt);
      if (heldMs > LOOK_MS) this.#connected ??= this.#options.connect();
      if (endsAt <= now || this.#underWay.has(queue)) return false;
      if (stands) return heldMs > LOOK_MS;
      return slept ? renewedAt < Infinity : heldMs >= (this.#queues[queue - 1]?.leaseMs ?? Infinity) / 4;
    };
    const due = Map.groupBy(this.#readers.flatMap((reader) => [...reader.find(isDue)]), ({ queue }) => queue);
    for (const [queue, leases] of due) void this.#renew(queue, leases, now);
  }

  async #renew(number: number, leases: readonly FoundLease[], now: number): Promise<void> {
    const { connect, onFailure, onLost } = this.#options;
    const queue = this.#queues[number - 1];
    if (queue === undefined) return;
    this.#underWay.add(number);
    try {
      const extend = await (this.#connected ??= connect());
      for (let from = 0; from < leases.length; from += BATCH) {
        const batch = leases.slice(from, from + BATCH);
        const lost = new Set(await extend(queue, batch));
        for (const lease of batch) this.#readers[lease.sheet]?.renewed(lease, lost.has(lease) ? NaN : now);
        if (lost.size > 0) onLost([...lost].map(({ sheet, index, version }) => ({ sheet, index, version })));
      }
    } catch (error) {
      onFailure(queue.name, error);
    } finally {
      this.#underWay.delete(number);
    }
  }
}

function clocks(): { readonly now: number; readonly ofDay: number } {
  return { now: instant(), ofDay: Date.now() };
}
