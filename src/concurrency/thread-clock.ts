/** A clock that all threads of a process read alike. */

/** An instant in milliseconds that is the same in every thread, and that no change of the clock of the day moves. */
export function instant(): number {
  return START + performance.now();
}

/** When this thread's `performance` began to count. Its `timeOrigin` goes by the clock of the day. */
const START = Number(process.hrtime.bigint()) / 1e6 - performance.now();
