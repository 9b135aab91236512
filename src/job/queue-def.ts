/** The settings of a queue, as contracts that share it name it. */
import { check, checkOptions, shown } from "../options.ts";
import { checkQueueName } from "./name.ts";

/** Settings of a queue. They belong to the queue, not to the jobs that share it. */
export interface QueueOptions {
  /** Jobs that may wait before `put` waits for room; at least 1. @default unbounded */
  readonly maxSize?: number;
}

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
  return Object.freeze({ name, options: checkOptions(`queue ${shown(name)}`, options, { maxSize: check.integer({ min: 1 }) }) as QueueOptions });
}
