/** The settings of a queue, as contracts that share it name it. */
import { check, checkOptions, shown } from "../options.ts";
import { checkQueueName } from "./name.ts";

/** Settings of a queue. They belong to the queue, not to the jobs that share it. */
export interface QueueOptions {
  /** Jobs that may wait before `put` waits for room; at least 1. Partitions have an equal part of it each, rounded up. @default unbounded */
  readonly maxSize?: number;
  /**
   * So many queues of Redis, 1 to 256, that are one to everybody who uses it: on a cluster they lie on different nodes. It
   * stays as it is while jobs are stored. @default 1
   */
  readonly partitions?: number;
}

export const MOST_PARTITIONS = 256;

/** A queue by its name. Jobs of several names may share one. */
export interface QueueDef {
  readonly name: string;
  readonly options: QueueOptions;
}

/**
 * A queue with settings of its own.
 *
 * @throws OptionError when the name or an option is not of its form
 */
export function defineQueue(name: string, options?: QueueOptions): QueueDef {
  checkQueueName(name);
  return Object.freeze({ name, options: checkOptions(`queue ${shown(name)}`, options, queueOptions) as QueueOptions });
}

const queueOptions = { maxSize: check.integer({ min: 1 }), partitions: check.integer({ min: 1, max: MOST_PARTITIONS }) };
