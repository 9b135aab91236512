/** The timers of everything that waits for time, without the runtime's limit of 24.8 days. */

export interface TimerOptions {
  /** Whether the process lives on for it. @default true */
  readonly keepsAlive?: boolean;
}

/** Node fires a longer timer after one millisecond. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Calls `callback` once, after `ms` milliseconds.
 *
 * @returns a function that calls the timer off; harmless after it has fired
 */
export function startTimer(ms: number, callback: () => void, options?: TimerOptions): () => void {
  if (ms <= LONGEST_TIMER_MS) {
    const timer = setTimeout(callback, ms);
    if (options?.keepsAlive === false) timer.unref();
    return () => clearTimeout(timer);
  }
  const goOn = (): void => {
    callOff = startTimer(ms - LONGEST_TIMER_MS, callback, options);
  };
  let callOff = startTimer(LONGEST_TIMER_MS, goOn, options);
  return () => callOff();
}

/**
 * Calls `callback` every `everyMs` milliseconds, at most 24.8 days.
 *
 * @returns a function that ends it
 */
export function startTicker(everyMs: number, callback: () => void, options?: TimerOptions): () => void {
  const ticker = setInterval(callback, everyMs);
  if (options?.keepsAlive === false) ticker.unref();
  return () => clearInterval(ticker);
}
