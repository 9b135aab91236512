/** Does a thing until it is done: whatever goes wrong with Redis only delays it. */
import { sleep } from "../concurrency/sleep.ts";

const PAUSE_MS = { first: 100, longest: 500 };

export interface Perseverance {
  /** Ends the attempts; one that is under way is waited for. */
  readonly signal: AbortSignal;
  /** Told of every failure before the pause that follows it; what it throws ends the attempts. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Calls `work` until it succeeds, with pauses that double up to half a second.
 *
 * @returns what `work` gave; `undefined` when the signal fired first
 */
export async function persevere<T>(work: () => Promise<T>, { signal, onFailure }: Perseverance): Promise<T | undefined> {
  for (let pauseMs = PAUSE_MS.first; !signal.aborted; pauseMs = Math.min(pauseMs * 2, PAUSE_MS.longest)) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) break;
      onFailure(error);
      await sleep(pauseMs, { signal }).catch(() => {});
    }
  }
  return undefined;
}
