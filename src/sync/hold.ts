/** A lock or a permit that is held: its lease is renewed until it is given back, and its loss told at once. */
import { startTimer } from "../concurrency/timer.ts";
import { BackendError, LeaseLostError } from "../errors.ts";
import { shown } from "../options.ts";
import type { Gate } from "./gate.ts";
import type { Ongoing } from "./hub.ts";
import { RENEWALS_A_LEASE, type Place } from "./place.ts";

/** What `acquire` gives. Disposing it gives it back, once however often, and never throws. */
export interface Hold extends AsyncDisposable {
  /**
   * Grows with every acquisition of the same key. Hand it on with each write to what the lock guards, and let that
   * refuse a smaller one than it has seen: a process that was stopped for longer than its lease cannot know it yet.
   */
  readonly fence: number;
  /** Fires with LeaseLostError when somebody else may hold it by now. */
  readonly signal: AbortSignal;
  /** For how long it is certainly held still if nothing renews it, in milliseconds; 0 when it is lost or given back. */
  readonly remainingMs: number;
}

/** A renewal that failed is repeated after so many milliseconds. */
const RETRY_MS = 100;

/** Held from now on, and kept. @throws BackendError when the app is closed */
export function hold(gate: Gate, place: Place): Hold {
  return new KeptHold(gate, place);
}

class KeptHold implements Hold, Ongoing {
  readonly fence: number;
  readonly #gate: Gate;
  readonly #place: Place;
  readonly #lost = new AbortController();
  readonly #timers: Record<"renewal" | "expiry", () => void> = { renewal: () => {}, expiry: () => {} };
  #released: Promise<void> | undefined;

  constructor(gate: Gate, place: Place) {
    this.#gate = gate;
    this.#place = place;
    this.fence = place.fence;
    gate.add(this);
    this.#watchExpiry();
    this.#renewIn(place.line.leaseMs / RENEWALS_A_LEASE);
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  get remainingMs(): number {
    return this.#ended ? 0 : Math.max(0, this.#place.validUntil - performance.now());
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#released ??= this.#release();
    return this.#released;
  }

  end(reason: Error): Promise<void> {
    this.#lose(`it was given back: ${reason.message}`, reason);
    return this[Symbol.asyncDispose]();
  }

  get #ended(): boolean {
    return this.#released !== undefined || this.signal.aborted;
  }

  #renewIn(ms: number): void {
    this.#timers.renewal = startTimer(ms, () => void this.#renew());
  }

  async #renew(): Promise<void> {
    const { leaseMs } = this.#place.line;
    try {
      const standing = await this.#place.renew();
      if (this.#ended) return;
      if (standing === "lost") return this.#lose("its lease had run out when it was to be renewed");
      this.#watchExpiry();
      this.#renewIn(leaseMs / RENEWALS_A_LEASE);
    } catch (error) {
      if (this.#ended) return;
      if (!(error instanceof BackendError)) return this.#lose("its lease could not be renewed", error);
      this.#renewIn(Math.min(RETRY_MS, leaseMs / RENEWALS_A_LEASE));
    }
  }

  /** A timer may fire early by a fraction of a millisecond, and a renewal may have come meanwhile. */
  #watchExpiry(): void {
    this.#timers.expiry();
    this.#timers.expiry = startTimer(Math.ceil(this.#place.validUntil - performance.now()), () => {
      if (this.remainingMs > 0) this.#watchExpiry();
      else this.#lose("its lease could not be renewed before it ran out");
    });
  }

  #lose(why: string, cause?: unknown): void {
    if (this.#ended) return;
    this.#stopTimers();
    const { kind, key } = this.#place.line;
    this.#lost.abort(new LeaseLostError(`the ${kind} ${shown(key)} is lost, and somebody else may hold it: ${why}`, { cause }));
  }

  async #release(): Promise<void> {
    this.#stopTimers();
    await this.#place.leave();
    this.#gate.delete(this);
  }

  #stopTimers(): void {
    this.#timers.renewal();
    this.#timers.expiry();
  }
}
