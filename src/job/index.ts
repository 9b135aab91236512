/** The entry `millrace/job`: contracts, pure. It reaches no Redis and no Node module, so that it bundles anywhere. */
export { OptionError, PayloadError } from "../errors.ts";
export type { Duration } from "../options.ts";
export { defineJob, defineQueue, typed } from "./contract.ts";
export type { Backoff, Job, JobItem, JobOptions, JobTypes, Keep, PutArgs, QueueDef, QueueOptions } from "./contract.ts";
export type { PutOptions } from "./put-options.ts";
