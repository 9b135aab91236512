/** At most so many at once, across processes and machines: strictly first come first served. */
import { check, checkOptions, shown, type Duration } from "../options.ts";
import { Gate } from "./gate.ts";
import { hold, type Hold } from "./hold.ts";
import type { Hub } from "./hub.ts";
import { checkKey } from "./keys.ts";
import { Place, RENEWALS_A_LEASE, type Line } from "./place.ts";
import { attend, checkWait, type CheckedWait, type Look, type Wait } from "./wait.ts";

export interface LeaseOptions {
  /**
   * How long it stays held by a process that has died or lost its way to Redis, 250 ms to 10 minutes; it is renewed
   * four times in that. A process whose event loop blocks for longer loses it. @default "10s"
   */
  readonly lease?: Duration;
}

export const leaseOption = check.duration({ min: 250, max: 600_000 });
export const DEFAULT_LEASE_MS = 10_000;

/**
 * ```ts
 * const api = app.semaphore("api", 10);
 * await using permit = await api.acquire({ signal });
 * ```
 *
 * Give the same number of permits everywhere: while they differ, each caller goes by its own.
 */
export class Semaphore implements AsyncDisposable {
  readonly #gate: Gate;
  readonly #line: Line;

  /** Does no I/O. @throws OptionError */
  constructor(hub: Hub, key: string, permits: number, options?: LeaseOptions) {
    const what = `semaphore ${shown(checkKey(key, "semaphore"))}`;
    const count = check.integer({ min: 1 })(permits, `the permits of ${what}`);
    const { lease = DEFAULT_LEASE_MS } = checkOptions(what, options, { lease: leaseOption });
    this.#gate = new Gate(hub, what);
    this.#line = { hub, kind: "semaphore", key, permits: count, leaseMs: lease };
  }

  /**
   * Takes a permit, waiting for one behind all who came before, wherever they are. Once it stands in line, an outage of
   * Redis only prolongs the wait; one that is longer than the lease costs the place.
   *
   * @throws TimeoutError; the signal's reason; BackendError; OptionError
   */
  async acquire(options?: Wait): Promise<Hold> {
    return acquire(this.#gate, this.#line, checkWait(`acquire of semaphore ${shown(this.#line.key)}`, options));
  }

  /** Ends the waits that began here, and gives back what is held from here. Never throws. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#gate[Symbol.asyncDispose]();
  }
}

/** Stands in line until the place holds. */
export function acquire(gate: Gate, line: Line, wait: CheckedWait): Promise<Hold> {
  const place = new Place(line);
  const what = `${line.kind} ${shown(line.key)}`;
  const look = async (): Promise<Look<Hold>> => {
    const standing = await place.stand();
    // An answer that took longer than the lease is no ground to stand on.
    if (standing === "holds" && performance.now() < place.validUntil) return { take: () => hold(gate, place) };
    // A millisecond after that the next lease of the line has run out, unless it is renewed.
    return { lookInMs: Math.min(line.leaseMs / RENEWALS_A_LEASE, place.expiryInMs + 1) };
  };
  return attend(gate, { topic: place.id, what, look, leave: () => place.leave() }, wait);
}
