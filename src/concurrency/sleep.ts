/** Waiting for time to pass, as asyncio's `sleep`. */
import { durationMs, type Duration } from "../options.ts";
import { startTimer } from "./timer.ts";

/** Lets a caller give up waiting: the wait then rejects with the signal's reason. */
export interface Interruptible {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Resolves after `duration`; a duration of 0 only gives way to whatever else is ready.
 *
 * @param duration  milliseconds, or a number with its unit such as `"30s"`
 * @throws OptionError when it is no duration
 * @throws the signal's reason as soon as the signal fires
 */
export async function sleep(duration: Duration, { signal }: Interruptible = {}): Promise<void> {
  const ms = durationMs(duration, "sleep");
  if (signal?.aborted) throw signal.reason;
  await new Promise<void>((resolve, reject) => {
    const callOff = ms === 0 ? giveWay(wakeUp) : startTimer(ms, wakeUp);
    signal?.addEventListener("abort", giveUp, { once: true });

    function wakeUp(): void {
      signal?.removeEventListener("abort", giveUp);
      resolve();
    }
    function giveUp(): void {
      callOff();
      reject(signal?.reason as Error);
    }
  });
}

function giveWay(callback: () => void): () => void {
  const turn = setImmediate(callback);
  return () => clearImmediate(turn);
}
