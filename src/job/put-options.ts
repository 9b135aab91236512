/** The options of one put, checked before any I/O. */
import { OptionError } from "../errors.ts";
import { check, checkOptions, LONGEST_MS, shown, type Duration } from "../options.ts";
import { checkId } from "./name.ts";

/** Options of one put; what it does not say, the contract says. */
export interface PutOptions {
  /** An id of the caller's choice; a second put of an id that exists adds nothing. @default a new UUIDv7 */
  readonly id?: string;
  /**
   * In a queue with partitions: jobs of one key go to one of them, and begin in the order put. Not together with `id`, which
   * tells the partition as well. @default one partition after the other
   */
  readonly partitionKey?: string;
  /** Wait this long before the job may run; not together with `runAt`. @default 0 */
  readonly delay?: Duration;
  /** The instant from which the job may run; one in the past is now. */
  readonly runAt?: Date;
  /** 1 (first) to 2,097,151, as in BullMQ: jobs of priority 0 run before all of these. @default 0 */
  readonly priority?: number;
  /** Run it before all that waits; not together with a priority. @default false */
  readonly lifo?: boolean;
  /** How often the job is tried in all, at least 1. @default the contract's */
  readonly attempts?: number;
  /** Limit of one attempt, 1 ms to 24 days. @default the contract's */
  readonly timeout?: Duration;
  /** Limit of the whole, from the put to its end, all attempts in it, at least 1 ms: no attempt starts or goes on after it. @default the contract's */
  readonly deadline?: Duration;
  /** A job that has not started by then is a dead letter. Our workers look; stock ones do not. */
  readonly expireAt?: Date;
  /** Resolves when replicas of Redis have it as well, so that a fail-over cannot lose it: see `durable` of connect(). @default false */
  readonly durable?: boolean;
  /** Ends a put that waits for room. */
  readonly signal?: AbortSignal;
}

/** `PutOptions`, checked, in milliseconds. */
export interface CheckedPut {
  readonly id?: string;
  readonly partitionKey?: string;
  readonly delayMs: number;
  /** In milliseconds since 1970; then `delayMs` is 0. */
  readonly runAtMs?: number;
  readonly priority: number;
  readonly lifo: boolean;
  readonly attempts?: number;
  readonly timeoutMs?: number;
  readonly deadlineMs?: number;
  /** In milliseconds since 1970. */
  readonly expireAtMs?: number;
  readonly durable?: true;
  readonly signal?: AbortSignal;
}

/** BullMQ packs the priority and a counter into one score; this is what it leaves room for. */
const LOWEST_PRIORITY = 2 ** 21 - 1;

/** A timer of 2^31 ms or more fires at once, in every JavaScript engine. */
export const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

const PLAIN: CheckedPut = Object.freeze({ delayMs: 0, priority: 0, lifo: false });

export const checkKey = check.string();

const putOptions = {
  id: checkId,
  partitionKey: checkKey,
  delay: check.duration(),
  runAt: check.date(),
  priority: check.integer({ min: 0, max: LOWEST_PRIORITY }),
  lifo: check.boolean(),
  attempts: check.integer({ min: 1 }),
  timeout: check.duration({ min: 1, max: LONGEST_TIMEOUT_MS }),
  deadline: check.duration({ min: 1 }),
  expireAt: check.date(),
  durable: check.boolean(),
  signal: check.signal(),
};

/**
 * The options of one put.
 *
 * @throws OptionError when one is unknown, out of range, or does not go with another
 */
export function checkPut(options?: PutOptions): CheckedPut {
  if (options === undefined) return PLAIN; // the common put: nothing to check, nothing to allocate
  const { id, partitionKey, delay, runAt, priority = 0, lifo = false, attempts, timeout, deadline, expireAt, durable, signal } = checkOptions("put", options, putOptions);
  if (delay !== undefined && runAt !== undefined) throw new OptionError("expected either delay or runAt for put, got both");
  if (id !== undefined && partitionKey !== undefined) throw new OptionError(`expected either id or partitionKey for put, got both: an id tells the partition of its job (id ${shown(id)})`);
  if (lifo && priority > 0) throw new OptionError(`expected either lifo or a priority for put, got both (priority ${priority})`);
  for (const [name, at] of [["runAt", runAt], ["expireAt", expireAt]] as const) {
    if (at !== undefined && at.getTime() > Date.now() + LONGEST_MS) throw new OptionError(`expected ${name} of put within a hundred years, got ${shown(at)}`);
  }
  return Object.freeze({
    ...(id !== undefined && { id }),
    ...(partitionKey !== undefined && { partitionKey }),
    delayMs: delay ?? 0,
    ...(runAt !== undefined && { runAtMs: Math.max(0, runAt.getTime()) }),
    priority,
    lifo,
    ...(attempts !== undefined && { attempts }),
    ...(timeout !== undefined && { timeoutMs: timeout }),
    ...(deadline !== undefined && { deadlineMs: deadline }),
    ...(expireAt !== undefined && { expireAtMs: Math.max(1, expireAt.getTime()) }),
    ...(durable === true && { durable }),
    ...(signal !== undefined && { signal }),
  });
}

/**
 * Refuses a put of which it is known already that it would be due too late.
 *
 * @param deadlineMs  its own, or the contract's
 * @throws OptionError
 */
export function checkDue({ delayMs, runAtMs, expireAtMs }: CheckedPut, deadlineMs: number | undefined): void {
  if (delayMs === 0 && runAtMs === undefined) return;
  const now = Date.now();
  const dueInMs = runAtMs === undefined ? delayMs : runAtMs - now;
  const how = runAtMs === undefined ? "a delay" : "a runAt";
  if (deadlineMs !== undefined && dueInMs >= deadlineMs) {
    throw new OptionError(`expected ${how} of put within the deadline of ${deadlineMs} ms, which counts from the put, got one in ${dueInMs} ms`);
  }
  if (expireAtMs !== undefined && now + dueInMs >= expireAtMs) {
    throw new OptionError(`expected ${how} of put before its expireAt, ${new Date(expireAtMs).toISOString()}, got ${new Date(now + dueInMs).toISOString()}`);
  }
}
