/** One timer for sleeps and deadlines, without the runtime's limit of 24.8 days. */

/** Node fires a longer timer after one millisecond. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Calls `callback` once, after `ms` milliseconds.
 *
 * @returns a function that calls the timer off; harmless after it has fired
 */
export function startTimer(ms: number, callback: () => void): () => void {
  if (ms <= LONGEST_TIMER_MS) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  }
  let callOff = startTimer(LONGEST_TIMER_MS, () => {
    callOff = startTimer(ms - LONGEST_TIMER_MS, callback);
  });
  return () => callOff();
}
