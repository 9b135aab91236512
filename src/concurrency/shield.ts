/** Work that goes on when whoever waits for it is cancelled, as asyncio's `shield`. */
import { type Awaitable, checkAwaitable, isPromiseLike } from "./awaitable.ts";
import { interruptibly } from "./interruption.ts";
import { spawn } from "./task.ts";
import { warnOfUnseen } from "./unseen.ts";

/**
 * Waits for `work`. When what encloses this is cancelled, the waiting ends by that, and the work runs on: for what
 * must not be left half done. A function becomes a task of its own, which starts even under a cancellation.
 *
 * ```ts
 * await shield((signal) => save(record, { signal }));
 * ```
 *
 * Keep hold of work that must end before the program does; `allTasks()` lists it. When it fails after nobody waits any
 * more, the process emits a warning of the type `UnseenTaskError`.
 */
export async function shield<T>(work: Awaitable<T>): Promise<T> {
  checkAwaitable(work, "shield");
  const running = isPromiseLike(work) ? work : typeof work === "function" ? spawn(work) : work.result();
  return interruptibly(Promise.resolve(running), (error) => warnOnce(running, error));
}

/** Work whose error was told: several may have waited for the same. */
const told = new WeakSet<PromiseLike<unknown>>();

function warnOnce(work: PromiseLike<unknown>, error: unknown): void {
  if (told.has(work)) return;
  told.add(work);
  warnOfUnseen("shielded work", error);
}
