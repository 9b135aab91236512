/** `millrace/concurrency`: asyncio's toolkit in one process. */
export type { Awaitable, ResultHandle, ResultOf } from "./awaitable.ts";
export { gather } from "./gather.ts";
export { range } from "./range.ts";
export { BoundedSemaphore, Semaphore, type Permit } from "./semaphore.ts";
export { sleep, type Interruptible } from "./sleep.ts";
export { allTasks, currentTask, spawn, startTask, type SpawnOptions, type Task } from "./task.ts";
export { taskGroup, type TaskGroup } from "./task-group.ts";
export { timeout, timeoutAt, waitFor, withDeadline, type Deadline } from "./timeout.ts";
