/** `millrace/concurrency`: asyncio's toolkit in one process. */
export { asCompleted, type AsCompletedOptions } from "./as-completed.ts";
export type { Awaitable, ResultHandle, ResultOf } from "./awaitable.ts";
export { Barrier } from "./barrier.ts";
export { Condition } from "./condition.ts";
export { Event } from "./event.ts";
export { gather } from "./gather.ts";
export { Lock } from "./lock.ts";
export { LifoQueue, PriorityQueue, Queue, type PriorityQueueOptions, type QueueOptions } from "./queue.ts";
export { FifoItems, LifoItems, SortedItems, type QueueItems } from "./queue-items.ts";
export { range } from "./range.ts";
export { run } from "./run.ts";
export { BoundedSemaphore, Semaphore, type Permit } from "./semaphore.ts";
export { shield } from "./shield.ts";
export { sleep, type Interruptible } from "./sleep.ts";
export { allTasks, currentTask, spawn, startTask, type SpawnOptions, type Task } from "./task.ts";
export { taskGroup, type TaskGroup } from "./task-group.ts";
export { timeout, timeoutAt, waitFor, withDeadline, type Deadline } from "./timeout.ts";
export { wait, type WaitOptions } from "./wait.ts";
