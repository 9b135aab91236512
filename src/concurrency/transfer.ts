/** Handing a value to another thread without copying it. */
import type { Transferable } from "node:worker_threads";

const lists = new WeakMap<object, readonly Transferable[]>();

/**
 * Returned from a function that was offloaded, `value` goes back without its buffers being copied: they are empty in
 * the thread from then on. Gives `value` itself, so the function can be called without a thread as well.
 *
 * ```ts
 * export function noise(size: number) {
 *   const bytes = crypto.getRandomValues(new Uint8Array(size));
 *   return transfer(bytes, [bytes.buffer]);
 * }
 * ```
 *
 * @param transferables  buffers, ports and streams within the value
 */
export function transfer<T extends object>(value: T, transferables: readonly Transferable[]): T {
  lists.set(value, transferables);
  return value;
}

export function transferablesOf(value: unknown): readonly Transferable[] {
  return (typeof value === "object" && value !== null ? lists.get(value) : undefined) ?? [];
}
