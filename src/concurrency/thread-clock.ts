/** A clock that all threads of a process read alike. */

/** Milliseconds since some instant; nothing sets it. `performance.now()` counts from the start of each thread. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
