/** One at a time, across processes and machines: strictly first come first served. */
import { checkOptions, shown } from "../options.ts";
import { Gate } from "./gate.ts";
import type { Hold } from "./hold.ts";
import type { Hub } from "./hub.ts";
import { checkKey } from "./keys.ts";
import { acquire, DEFAULT_LEASE_MS, leaseOption, type LeaseOptions } from "./semaphore.ts";
import { waitOptions, type Wait } from "./wait.ts";

export interface LockOptions extends Wait, LeaseOptions {}

/**
 * Takes the lock of a key, waiting for it behind all who came before, wherever they are. Once it stands in line, an
 * outage of Redis only prolongs the wait; one that is longer than the lease costs the place. Not re-entrant.
 *
 * ```ts
 * await using held = await app.lock("account:42");
 * await write(row, { fence: held.fence, signal: held.signal });
 * ```
 *
 * @param key  any text of 1 to 200 characters
 * @throws OptionError before any I/O; TimeoutError; the signal's reason; BackendError
 */
export async function lock(hub: Hub, key: string, options?: LockOptions): Promise<Hold> {
  const what = `lock ${shown(checkKey(key, "lock"))}`;
  const { lease = DEFAULT_LEASE_MS, ...wait } = checkOptions(what, options, { ...waitOptions, lease: leaseOption });
  return acquire(new Gate(hub, what), { hub, kind: "lock", key, permits: 1, leaseMs: lease }, wait);
}
