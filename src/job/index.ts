/** The entry `millrace/job`: contracts and handlers, pure. It reaches no Redis and no Node module, so that it bundles anywhere. */
export { MillraceError, OptionError, PayloadError } from "../errors.ts";
export type { Issue } from "../errors.ts";
export type { Duration } from "../options.ts";
export { defineJob, defineQueue, typed } from "./contract.ts";
export type { Backoff, Job, JobItem, JobOptions, JobTypes, Keep, PutArgs, QueueDef, QueueOptions } from "./contract.ts";
export { defineHandler } from "./handler.ts";
export type { Handler, HandlerOptions, JobTask, TaskLog } from "./handler.ts";
export type { PutOptions } from "./put-options.ts";
export type { JobState } from "./state.ts";
