/** The public face of Millrace. What is not exported here, or from `millrace/job` and `millrace/concurrency`, is not public. */
export { App, connect, type ConnectOptions } from "./app.ts";
export {
  allTasks,
  currentTask,
  gather,
  offload,
  range,
  sleep,
  spawn,
  taskGroup,
  timeout,
  type Task,
  type TaskGroup,
} from "./concurrency/index.ts";
export {
  BackendError,
  BackendFullError,
  CancelJob,
  CancelledError,
  DeadLetter,
  EnqueueTimeoutError,
  JobCancelledError,
  JobFailedError,
  JobRemovedError,
  LeaseLostError,
  MillraceError,
  MissingPackageError,
  NoRedisError,
  NotFoundError,
  NotReplicatedError,
  OptionError,
  PartitionsError,
  PayloadError,
  PreflightError,
  QueueFullError,
  ReadOnlyError,
  RedisServerError,
  RetryLater,
  StateError,
  ThreadLostError,
  TimeoutError,
  UnknownJobError,
  WorkerLostError,
  type Issue,
} from "./errors.ts";
export { defineJob, defineQueue, typed } from "./job/index.ts";
export type { Backoff, Duration, Job, JobItem, JobOptions, JobTypes, Keep, PutArgs, PutOptions, QueueDef, QueueOptions } from "./job/index.ts";
export { defineHandler, type Handler, type HandlerOptions, type HandlerThreads, type JobTask, type TaskLog } from "./job/handler.ts";
export type { Logger } from "./log.ts";
export { Pool, type PoolOptions, type StopOptions } from "./pool/pool.ts";
export type { StuckTask } from "./pool/stuck-tasks.ts";
export type { DeliveriesOptions, Delivery } from "./queue/deliveries.ts";
export type { JobHandle, Outcome, Wait } from "./queue/job-handle.ts";
export { Queue, type PutManyOptions } from "./queue/queue.ts";
export type { RedisOption } from "./redis/connection.ts";
export type { Counts } from "./store/count.ts";
export type { Barrier } from "./sync/barrier.ts";
export type { Event, EventOptions } from "./sync/event.ts";
export type { Hold } from "./sync/hold.ts";
export type { LockOptions } from "./sync/lock.ts";
export type { LeaseOptions, Semaphore } from "./sync/semaphore.ts";
