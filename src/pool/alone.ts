/**
 * A turn alone: a suspect waits until it has every slot of its pool. Slots are handed out strictly first come first
 * served, so it neither starves nor is overtaken, and two of them cannot lock each other out.
 */
import type { Permit, Semaphore } from "../concurrency/index.ts";
import type { Leased } from "../store/reserve.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import { noteBegun, noteWaiting } from "../store/suspect.ts";

/** The right to run. */
export interface Turn {
  release(): void;
}

/**
 * Waits with its own slot given back, and noted as one that has not begun, should this process be lost meanwhile.
 *
 * @param count  all slots that there are
 * @returns a turn that holds the other slots; `undefined` when the signal fires first, or its lease is lost
 * @throws BackendError; whenever there is no turn, it has its own slot as before, unless the signal fired
 */
export async function turnAlone(queue: StoredQueue, leased: Leased, slots: Semaphore, count: number, signal: AbortSignal): Promise<Turn | undefined> {
  if (!(await noteWaiting(queue, leased))) return undefined;
  slots.release();
  // All at once, so that they stand side by side in the line.
  const asked = await Promise.allSettled(Array.from({ length: count }, () => slots.acquire({ signal })));
  const [, ...others] = asked.flatMap((one): Permit[] => (one.status === "fulfilled" ? [one.value] : []));
  const release = (): void => {
    for (const permit of others) permit[Symbol.dispose]();
  };
  let begins = false;
  try {
    begins = !signal.aborted && (await noteBegun(queue, leased));
    return begins ? { release } : undefined;
  } finally {
    if (!begins) release();
  }
}
