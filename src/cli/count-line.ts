/** How far something has come that takes long: one line on a terminal that rewrites itself, gone at its end. Elsewhere nothing. */
import { startTicker } from "../concurrency/timer.ts";
import type { ProgressStream } from "./progress-line.ts";

/** What is over before that shows nothing. */
const EVERY_MS = 500;
const ERASE_LINE = "\r\u001b[2K";

/**
 * @param text  where it stands now
 * @returns what `work` gives
 */
export async function showingCount<T>(text: () => string, work: Promise<T>, stream: ProgressStream = process.stderr, everyMs = EVERY_MS): Promise<T> {
  if (stream.isTTY !== true) return work;
  let isShown = false;
  const callOff = startTicker(everyMs, () => {
    isShown = true;
    stream.write(`${ERASE_LINE}${text().slice(0, (stream.columns ?? 80) - 1)}`);
  });
  try {
    return await work;
  } finally {
    callOff();
    if (isShown) stream.write(ERASE_LINE);
  }
}
