/** Follows how far a job is: events wake, what is stored with the job is the truth. */
import { Limit } from "../concurrency/limit.ts";
import { TimeoutError } from "../errors.ts";
import { endingOf, progressNow } from "./anywhere.ts";
import type { OpenQueue } from "./open-queue.ts";
import { persevere } from "./persevere.ts";

/** See `JobHandle.progress`. */
export async function* progressOf(queue: OpenQueue, id: string, timeout: number | undefined, callersSignal: AbortSignal | undefined): AsyncGenerator<unknown, void> {
  using limit = new Limit({ timeout, signal: callersSignal }, () => new TimeoutError(`expected the end of job ${id} within ${timeout} ms`));
  const { signal } = limit;
  let isOver = false;
  let news = Promise.withResolvers<void>();
  const end = (): void => {
    isOver = true;
    news.resolve();
  };
  const ended = endingOf(queue, id, signal, () => news.resolve());
  ended.then(end, (reason: unknown) => (limit.reach(reason), end()));
  try {
    for (let last: string | undefined; ; ) {
      news = Promise.withResolvers();
      const isLast = isOver;
      if (isLast) await ended;
      const told = await persevere(() => progressNow(queue, id), { signal, onFailure: () => {} });
      if (told !== undefined && told !== last) {
        last = told;
        yield JSON.parse(told);
      }
      if (isLast) return;
      if (!isOver) await news.promise;
    }
  } finally {
    // Whoever left the loop waits for nothing more.
    limit.reach(undefined);
  }
}
