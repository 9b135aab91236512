/** How far something has come that takes long: one line on a terminal that rewrites itself, gone at its end. Elsewhere nothing. */
import { startTicker } from "../concurrency/timer.ts";
import { ERASE_LINE, overLine, type ProgressStream } from "./progress-line.ts";

/** What is over before that shows nothing. */
const EVERY_MS = 500;

/**
 * @param text  where it stands now
 * @returns what `work` gives
 */
export async function showingCount<T>(text: () => string, work: Promise<T>, stream: ProgressStream = process.stderr, everyMs = EVERY_MS): Promise<T> {
  if (stream.isTTY !== true) return work;
  let isShown = false;
  const callOff = startTicker(everyMs, () => {
    isShown = true;
    stream.write(overLine(stream, text()));
  });
  try {
    return await work;
  } finally {
    callOff();
    if (isShown) stream.write(ERASE_LINE);
  }
}
