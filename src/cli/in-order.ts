/** Works on many items at once, and hands on what comes of them in their order. */
import { Semaphore } from "../concurrency/semaphore.ts";

/**
 * Starts `work` on each item, at most `width` of them ahead, and gives each result to `emit` as soon as those before it
 * have been given. After an error no further item is taken; those under way end, and their results are emitted too.
 *
 * @param items   gets the signal that fires after an error, so that an input which stands still does not hold it
 * @throws the first error of an item, of `work` or of `emit`; the signal's reason
 */
export async function inOrder<T, R>(
  items: (signal: AbortSignal) => AsyncIterable<T>,
  width: number,
  work: (item: T) => Promise<R>,
  emit: (result: R) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const failed = new AbortController();
  const end = AbortSignal.any([signal, failed.signal]);
  const slots = new Semaphore(width);
  let emitted: Promise<void> = Promise.resolve();
  let error: unknown;
  const fail = (reason: unknown): void => {
    error ??= end.reason ?? reason;
    failed.abort(error);
  };
  try {
    for await (const item of items(end)) {
      await slots.acquire({ signal: end });
      const result = work(item);
      result.catch(() => undefined); // looked at below, in its turn
      emitted = emitted
        .then(() => result)
        .then(emit)
        .catch(fail)
        .then(() => slots.release());
    }
  } catch (reason) {
    fail(reason);
  }
  await emitted;
  if (error !== undefined) throw error;
}
