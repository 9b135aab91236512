/**
 * The contract of a job: its name and queue, what it carries, how it is retried and how long it is kept.
 *
 * Pure, so that a producer in a browser and a worker in a container can share it: no handler, no I/O. All of it
 * is checked here, once, when the module that defines it loads; `definitionOf` gives the rest of the system the
 * checked form, in milliseconds and with its defaults.
 */
import type { StandardSchemaV1 as Schema } from "@standard-schema/spec";
import { OptionError } from "../errors.ts";
import { check, checkOptions, shown, type Duration } from "../options.ts";
import type { Carried } from "./carried.ts";
import { checkName } from "./name.ts";
import { LONGEST_TIMEOUT_MS, type PutOptions } from "./put-options.ts";

type In<S> = S extends Schema ? Schema.InferInput<S> : undefined;
type Out<S> = S extends Schema ? Schema.InferOutput<S> : undefined;

/** The types of a job: what `put` takes, what its handler sees and returns, what the awaiting producer gets. */
export interface JobTypes {
  put: unknown;
  payload: unknown;
  returns: unknown;
  result: unknown;
  progress: unknown;
}

/** Hovers and errors show the data, not the schema library's types. */
type Shown<T> = T extends infer O extends JobTypes ? { [K in keyof O]: O[K] } : never;

type TypesOf<P, R, G> = Shown<{
  put: In<P>;
  payload: Out<P>;
  returns: R extends Schema ? In<R> : void;
  result: R extends Schema ? Out<R> : void;
  progress: G extends Schema ? In<G> : number;
}>;

/** Arguments of a put. The payload is absent where the contract has none, and optional where every field is. */
export type PutArgs<T extends JobTypes> = [T["put"]] extends [undefined]
  ? [payload?: undefined, options?: PutOptions]
  : {} extends T["put"]
    ? [payload?: T["put"], options?: PutOptions]
    : [payload: T["put"], options?: PutOptions];

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

/** Delay before attempt n + 1: `base`, doubled with each attempt made where exponential, at most `max`. */
export interface Backoff {
  readonly type: "exponential" | "fixed";
  readonly base: Duration;
  /** @default 1 h, or `base` where that is longer */
  readonly max?: Duration;
  /** Share of the delay that is random, 0 to 1: with 1 it lies anywhere between nothing and the whole. @default 1 */
  readonly jitter?: number;
}

/** How much of the finished jobs is kept: the last `count`, those younger than `age`, or what fits both. */
export interface Keep {
  /** 0 keeps none. */
  readonly count?: number;
  readonly age?: Duration;
}

/** Options of a contract. `put` takes and Redis stores a schema's input; the reading side sees its output. */
export interface JobOptions<P extends Schema | undefined, R extends Schema | undefined, G extends Schema | undefined> {
  /** @default a queue of the job's own name */
  readonly queue?: QueueDef | string;
  /** @default the job carries nothing */
  readonly payload?: (P & Carried<In<P>, "payload">) | undefined;
  /** @default the job gives nothing back */
  readonly result?: (R & Carried<In<R>, "result">) | undefined;
  /** Checks what `task.progress` is given, which is stored and read as it is: no transform. @default a number */
  readonly progress?: (G & Carried<In<G>, "progress">) | undefined;
  /** A whole number from 1. A worker whose contract is older gives the job back, no attempt spent. @default 1 */
  readonly version?: number;
  /** Reads jobs put under an older version, by that version; never offered to `put`. */
  readonly previous?: { readonly [version: number]: Schema<unknown, Out<P>> };
  /** How often the job is tried in all, at least 1. @default 3 */
  readonly attempts?: number;
  /** @default exponential from 1 s to 1 h, jitter 1 */
  readonly backoff?: Backoff;
  /** Limit of one attempt, 1 ms to 24 days. @default none */
  readonly timeout?: Duration;
  /** @default completed: 1 h where there is a `result`, else the last 1000; failed: the last 10,000 of 90 days */
  readonly keep?: { readonly completed?: Keep; readonly failed?: Keep };
}

/** A contract. It types `put` and `handle`, and carries its definition for `definitionOf`. */
export interface Job<T extends JobTypes = JobTypes> {
  readonly name: string;
  /** The queue's name. */
  readonly queue: string;
  /** Only for the compiler; never there. */
  readonly types?: T;
  /** A job that is not put yet. */
  item(...args: PutArgs<T>): JobItem<T>;
}

/** A job that is not put yet: contract, payload, options. */
export interface JobItem<T extends JobTypes = JobTypes> {
  readonly job: Job<T>;
  readonly payload: T["put"];
  readonly options?: PutOptions;
}

/** Retention of finished jobs, checked. An absent bound does not bind. */
export interface KeepDefinition {
  readonly count?: number;
  readonly ageMs?: number;
}

/** A checked back-off, in milliseconds. */
export interface BackoffDefinition {
  readonly type: "exponential" | "fixed";
  readonly baseMs: number;
  readonly maxMs: number;
  readonly jitter: number;
}

/** A contract as the system reads it: checked, frozen, defaults filled in. */
export interface JobDefinition {
  readonly name: string;
  readonly queue: QueueDef;
  readonly version: number;
  readonly payload?: Schema;
  readonly previous: Readonly<Record<number, Schema>>;
  readonly result?: Schema;
  readonly progress?: Schema;
  readonly attempts: number;
  readonly backoff: BackoffDefinition;
  readonly timeoutMs?: number;
  readonly keep: { readonly completed: KeepDefinition; readonly failed: KeepDefinition };
}

/**
 * What a contract that does not say otherwise gets.
 *
 * Three attempts, not one: the death of a worker counts as an attempt, so with one every crash or lost machine
 * would make a dead letter of the jobs it held. Whole jitter spreads the retries of jobs that failed together.
 * A job with a result is kept for an hour by age, not by count, since somebody will ask for it: with a count of
 * 1000 a `gather` of 5000 would find 1000. Dead letters are kept as asynq archives them.
 */
export const JOB_DEFAULTS = deepFreeze({
  version: 1,
  attempts: 3,
  backoff: { type: "exponential", baseMs: 1000, maxMs: 3_600_000, jitter: 1 },
  keep: {
    completedWithResult: { ageMs: 3_600_000 },
    completed: { count: 1000 },
    failed: { count: 10_000, ageMs: 90 * 86_400_000 },
  },
} as const);

/**
 * A queue with settings of its own.
 *
 * @throws OptionError when the name or an option is not of its form
 */
export function defineQueue(name: string, options?: QueueOptions): QueueDef {
  checkName(name, "queue");
  return Object.freeze({ name, options: checkOptions(`queue ${shown(name)}`, options, { maxSize: check.integer({ min: 1 }) }) as QueueOptions });
}

/**
 * The contract of a job.
 *
 * @throws OptionError when the name or an option is not of its form
 */
export function defineJob<P extends Schema | undefined = undefined, R extends Schema | undefined = undefined, G extends Schema | undefined = undefined>(
  name: string,
  options?: JobOptions<P, R, G>,
): Job<TypesOf<P, R, G>> {
  const definition = define(name, options);
  const job: Job<TypesOf<P, R, G>> = {
    name,
    queue: definition.queue.name,
    item: (...args) => itemOf(job, ...args),
  };
  Object.defineProperty(job, DEFINITION, { value: definition });
  return Object.freeze(job);
}

function itemOf<T extends JobTypes>(job: Job<T>, ...[payload, options]: PutArgs<T>): JobItem<T> {
  return Object.freeze(options === undefined ? { job, payload } : { job, payload, options });
}

/** By registry and not by a WeakMap: a contract may come from another copy of `millrace/job` than the reader's. */
const DEFINITION = Symbol.for("millrace.job.definition");

/**
 * What the system reads of a contract.
 *
 * @throws OptionError when it was not made by `defineJob`
 */
export function definitionOf(job: Job): JobDefinition {
  const definition = (job as Partial<Record<typeof DEFINITION, JobDefinition>> | null | undefined)?.[DEFINITION];
  if (definition === undefined) throw new OptionError(`expected a job made by defineJob, got ${shown(job)}`);
  return definition;
}

/** A schema that only types and checks nothing: for queues that exist already. JSON's limits still hold. */
export function typed<T>(): Schema<T, T> {
  return { "~standard": { version: 1, vendor: "millrace", validate: (value) => ({ value: value as T }) } };
}

const keepOptions = { count: check.integer({ min: 0 }), age: check.duration() };

const jobOptions = {
  queue: queueOf,
  payload: schemaOf,
  result: schemaOf,
  progress: schemaOf,
  version: check.integer({ min: 1 }),
  previous: previousOf,
  attempts: check.integer({ min: 1 }),
  backoff: check.nested({
    type: check.oneOf("exponential", "fixed"),
    base: check.duration(),
    max: check.duration(),
    jitter: check.number({ min: 0, max: 1 }),
  }),
  timeout: check.duration({ min: 1, max: LONGEST_TIMEOUT_MS }),
  keep: check.nested({ completed: check.nested(keepOptions), failed: check.nested(keepOptions) }),
};

function define(name: string, options: unknown): JobDefinition {
  checkName(name, "job");
  const where = `job ${shown(name)}`;
  const checked = checkOptions(where, options, jobOptions);
  const { version = JOB_DEFAULTS.version, payload, result, progress, previous = {}, timeout } = checked;
  for (const older of Object.keys(previous)) {
    if (Number(older) >= version) {
      throw new OptionError(`expected previous of ${where} to hold versions below its version, ${version}, got ${older}; set version: ${Number(older) + 1}`);
    }
  }
  return deepFreeze({
    name,
    queue: checked.queue ?? defineQueue(name),
    version,
    ...(payload && { payload }),
    previous,
    ...(result && { result }),
    ...(progress && { progress }),
    attempts: checked.attempts ?? JOB_DEFAULTS.attempts,
    backoff: backoffOf(checked.backoff, where),
    ...(timeout !== undefined && { timeoutMs: timeout }),
    keep: {
      completed: keepOf(checked.keep?.completed) ?? (result ? JOB_DEFAULTS.keep.completedWithResult : JOB_DEFAULTS.keep.completed),
      failed: keepOf(checked.keep?.failed) ?? JOB_DEFAULTS.keep.failed,
    },
  });
}

function backoffOf(given: ReturnType<typeof jobOptions.backoff> | undefined, where: string): BackoffDefinition {
  if (given === undefined) return JOB_DEFAULTS.backoff;
  const { type, base, jitter = JOB_DEFAULTS.backoff.jitter } = given;
  if (type === undefined || base === undefined) throw new OptionError(`expected backoff of ${where} to have type and base, such as { type: "exponential", base: "1s" }`);
  const maxMs = given.max ?? Math.max(base, JOB_DEFAULTS.backoff.maxMs);
  if (maxMs < base) throw new OptionError(`expected max of backoff of ${where} to be at least its base, ${base} ms, got ${maxMs} ms`);
  return { type, baseMs: base, maxMs, jitter };
}

/** An empty Keep says nothing, so that the default holds and nothing grows without bound. */
function keepOf(given: { readonly count?: number; readonly age?: number } | undefined): KeepDefinition | undefined {
  if (given?.count === undefined && given?.age === undefined) return undefined;
  return { ...(given.count !== undefined && { count: given.count }), ...(given.age !== undefined && { ageMs: given.age }) };
}

function queueOf(value: unknown, where: string): QueueDef {
  if (typeof value === "string") return defineQueue(value);
  const { name, options } = (value ?? {}) as Partial<QueueDef>;
  if (typeof name !== "string") throw new OptionError(`expected a queue's name or defineQueue(…) for ${where}, got ${shown(value)}`);
  return defineQueue(name, options);
}

function schemaOf(value: unknown, where: string): Schema {
  // Some libraries' schemas are functions (arktype), most are objects.
  const standard = (value as Partial<Schema> | null)?.["~standard"];
  if (typeof standard?.validate === "function") return value as Schema;
  throw new OptionError(`expected a schema (zod, valibot, arktype: Standard Schema) for ${where}, got ${shown(value)}; typed<T>() only types`);
}

function previousOf(value: unknown, where: string): Readonly<Record<number, Schema>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new OptionError(`expected schemas by version, such as { 1: schema }, for ${where}, got ${shown(value)}`);
  }
  const previous: Record<number, Schema> = {};
  for (const [version, schema] of Object.entries(value)) {
    if (!/^[1-9]\d{0,14}$/.test(version)) throw new OptionError(`expected a version, a whole number from 1, in ${where}, got ${shown(version)}`);
    previous[Number(version)] = schemaOf(schema, `${version} in ${where}`);
  }
  return previous;
}

/** Freezes plain objects all the way down; schemas are left as they are. */
function deepFreeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) {
    if (typeof inner === "object" && inner !== null && !("~standard" in inner) && !Object.isFrozen(inner)) deepFreeze(inner);
  }
  return Object.freeze(value);
}
