/** How a piece of work ended, and how long it took. */
import type { EventEmitter } from "node:events";

/** What the work threw; `undefined` when it did not. Never rejects, so it may be awaited later. */
export async function failure(work: Promise<unknown>): Promise<{ error: unknown; tookMs: number }> {
  const startedAt = performance.now();
  const error = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  return { error, tookMs: performance.now() - startedAt };
}

export async function takes(work: Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work;
  return performance.now() - startedAt;
}

/** Waits for an event. Unlike `once` of node:events, an `error` on the way is not the end. */
export function event(emitter: Pick<EventEmitter, "once">, name: string): Promise<unknown> {
  return new Promise((resolve) => emitter.once(name, resolve));
}
