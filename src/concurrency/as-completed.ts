/** Tasks in the order in which they end, as asyncio's `as_completed`. */
import { TimeoutError } from "../errors.ts";
import { check, checkOptions, type Duration } from "../options.ts";
import { interruptibly } from "./interruption.ts";
import type { Task } from "./task.ts";
import { startTimer } from "./timer.ts";
import { taskSet } from "./wait.ts";

export interface AsCompletedOptions {
  /** How long the whole may take, from the first step on. Default: for ever. */
  readonly timeout?: Duration | undefined;
}

/**
 * The tasks given, each as soon as it is done: the very same objects, so that a caller can tell them apart. A task
 * that failed is given too; awaiting it throws. Each comes inside an object, since `for await` would await a bare one.
 *
 * ```ts
 * for await (const { task } of asCompleted(pages)) console.log(task.name, await task);
 * ```
 *
 * @throws TimeoutError at the step during which the timeout passes; the tasks run on
 */
export async function* asCompleted<T extends Task>(tasks: Iterable<T>, options?: AsCompletedOptions): AsyncGenerator<{ readonly task: T }, void, undefined> {
  const { timeout } = checkOptions("asCompleted", options, { timeout: check.duration() });
  const all = taskSet(tasks, "asCompleted");
  const done: T[] = [];
  const clock = { ranOut: false };
  let changed = Promise.withResolvers<void>();
  for (const task of all) {
    task.onDone(() => {
      done.push(task);
      changed.resolve();
    });
  }
  const callOff = timeout === undefined ? undefined : startTimer(timeout, () => {
    clock.ranOut = true;
    changed.resolve();
  });
  try {
    for (let given = 0; given < all.size; given += 1) {
      while (done.length <= given && !clock.ranOut) {
        await interruptibly(changed.promise);
        changed = Promise.withResolvers<void>();
      }
      const task = done[given];
      if (task === undefined) throw new TimeoutError(`expected ${all.size} tasks to end within ${timeout} ms, but only ${given} had`);
      yield { task };
    }
  } finally {
    callOff?.();
  }
}
