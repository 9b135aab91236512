/** What a pool is made with, and what it is stopped with. */
import { check, checkOptions, type Duration } from "../options.ts";
import { RECOVERY } from "../queue/recoverer.ts";

export interface PoolOptions {
  /** Tasks that run at once, at least 1. @default what its handlers say, 10 for each that says nothing */
  readonly concurrency?: number;
  /** Shown with the jobs it runs, as BullMQ's `processedBy`. @default the host's name and the process id */
  readonly name?: string;
  /** How long a lease holds unless it is renewed: 2 s to 10 min. A dead worker's jobs run again soon after. @default 10 s, or 4 s by `recovery` */
  readonly lease?: Duration;
  /** "fast": a dead worker's jobs run again within 7 s, instead of 15; leases are shorter, and Redis is asked more often. @default "normal" */
  readonly recovery?: keyof typeof RECOVERY;
  /**
   * How long a handler is waited for that its signal has told to end: by its timeout, a cancel, a lost lease. Then its slot
   * is free and the task is `stuck`, unless it runs in a thread, which is ended. @default 4.5 s
   */
  readonly grace?: Duration;
  /** For how long a job may wait for a worker that knows its name and version, before it is a dead letter. @default 1 h */
  readonly unknownFor?: Duration;
}

export interface StopOptions {
  /** How long what runs may go on undisturbed. @default 25 s */
  readonly drain?: Duration;
  /** How long a handler that was told to end is waited for, before its job is given back under it. @default 5 s */
  readonly grace?: Duration;
  /** How long, when nothing runs any more, Redis is waited for. @default 1 s */
  readonly flush?: Duration;
}

export const POOL_DEFAULTS = Object.freeze({ handlerConcurrency: 10, drainMs: 25_000, stopGraceMs: 5000, graceMs: 4500, flushMs: 1000 });

export const checkConcurrency = check.integer({ min: 1 });
const poolOptions = {
  concurrency: checkConcurrency,
  name: check.string(),
  lease: check.duration({ min: 2000, max: 600_000 }),
  recovery: check.oneOf("normal", "fast"),
  unknownFor: check.duration(),
  grace: check.duration(),
};
const stopOptions = { drain: check.duration(), grace: check.duration(), flush: check.duration() };

/** @throws OptionError */
export function checkPoolOptions(options: PoolOptions | undefined) {
  return checkOptions("pool", options, poolOptions);
}

/** @throws OptionError */
export function checkStopOptions(options: StopOptions | undefined) {
  return checkOptions("stop", options, stopOptions);
}
