/**
 * Waits until nothing of a queue is unfinished. It looks, it does not listen (decision 0004).
 *
 * One script sees one queue of Redis at one instant. Partitions are seen at several, and meanwhile a handler may put into
 * one that was seen already. So they are looked at twice: where nothing is unfinished in either look, and no event came
 * to any of them in between, there was an instant between the looks at which nothing was unfinished in any.
 */
import { sleep } from "../concurrency/sleep.ts";
import { BackendError } from "../errors.ts";
import { lookAt } from "../store/count.ts";
import type { Partitions } from "./partitions.ts";

/** It looks again so soon at first, and so late at last: it returns at most that long after the truth. */
const LOOK_MS = { first: 5, last: 80 };
const OUTAGE_LOOK_MS = 250;

/** Resolves when it is joined. @throws the signal's reason; BackendError when the app is closed; what a look throws that is no outage */
export async function joinQueue(queue: Partitions, signal: AbortSignal | undefined): Promise<void> {
  for (let pauseMs = LOOK_MS.first; ; pauseMs = Math.min(pauseMs * 2, LOOK_MS.last)) {
    signal?.throwIfAborted();
    const joined = await isJoined(queue).catch((error: unknown) => {
      if (!(error instanceof BackendError) || queue.closed) throw error;
      pauseMs = OUTAGE_LOOK_MS;
      return false;
    });
    if (joined) return;
    await sleep(pauseMs, { signal });
  }
}

async function isJoined(queue: Partitions): Promise<boolean> {
  await queue.ready();
  const look = (): Promise<string | undefined> => marksIfFinished(queue);
  const marks = await look();
  return marks !== undefined && (queue.all.length === 1 || marks === (await look()));
}

/** The marks of all, where nothing is unfinished. */
async function marksIfFinished({ all }: Partitions): Promise<string | undefined> {
  const looks = await Promise.all(all.map(({ stored }) => lookAt(stored)));
  return looks.every(({ counts }) => counts.unfinished === 0) ? looks.map(({ mark }) => mark).join(" ") : undefined;
}
