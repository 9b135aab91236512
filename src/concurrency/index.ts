/** `millrace/concurrency`: asyncio's toolkit in one process. */
import { isDebugAsked, setDebug } from "./debug.ts";

export { asCompleted, type AsCompletedOptions } from "./as-completed.ts";
export type { Awaitable, ResultHandle, ResultOf } from "./awaitable.ts";
export { Barrier } from "./barrier.ts";
export { Condition } from "./condition.ts";
export { Event } from "./event.ts";
export { gather } from "./gather.ts";
export { Lock } from "./lock.ts";
export type { ErrorClass } from "./carried-error.ts";
export {
  BrokenBarrierError,
  CancelledError,
  MillraceError,
  NotFoundError,
  OptionError,
  QueueEmptyError,
  QueueFullError,
  QueueShutDownError,
  StateError,
  ThreadLostError,
  TimeoutError,
} from "../errors.ts";
export type { Duration } from "../options.ts";
export { offload, type OffloadOptions } from "./offload.ts";
export { LifoQueue, PriorityQueue, Queue, type PriorityQueueOptions, type QueueOptions } from "./queue.ts";
export { FifoItems, LifoItems, SortedItems, type QueueItems } from "./queue-items.ts";
export { range } from "./range.ts";
export { run, type RunOptions } from "./run.ts";
export { BoundedSemaphore, Semaphore, type Permit } from "./semaphore.ts";
export { shield } from "./shield.ts";
export { sleep, type Interruptible } from "./sleep.ts";
export { allTasks, currentTask, spawn, startTask, type SpawnOptions, type Task } from "./task.ts";
export { taskGroup, type TaskGroup } from "./task-group.ts";
export { timeout, timeoutAt, waitFor, withDeadline, type Deadline } from "./timeout.ts";
export { transfer } from "./transfer.ts";
export { wait, type WaitOptions } from "./wait.ts";

// Whatever program this is: without run() there is nobody else to look.
if (isDebugAsked()) setDebug(true);
