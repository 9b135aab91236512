/**
 * The contract of a job: its name and queue, what it carries, how it is retried and how long it is kept.
 *
 * Pure, so that a producer in a browser and a worker in a container can share it: no handler, no I/O. All of it
 * is checked here, once, when the module that defines it loads; `definitionOf` gives the rest of the system the
 * checked form, in milliseconds and with its defaults.
 */
import type { StandardSchemaV1 as Schema } from "@standard-schema/spec";
import { OptionError } from "../errors.ts";
import { shown, type Duration } from "../options.ts";
import type { Carried } from "./carried.ts";
import { define, type JobDefinition } from "./definition.ts";
import type { PutOptions } from "./put-options.ts";
import type { QueueDef } from "./queue-def.ts";

export type { BackoffDefinition, JobDefinition, KeepDefinition } from "./definition.ts";
export { defineQueue, type QueueDef, type QueueOptions } from "./queue-def.ts";

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

/** Schemas that read older payloads, by version. */
type Previous = { readonly [version: number]: Schema };

/** Asked of each of them: it gives what the handler takes. Said in two lines; the compiler alone takes ten. */
type Reads<V extends Previous, Payload> = {
  readonly [K in keyof V]: [Out<V[K]>] extends [Payload] ? unknown : { readonly "must give": Payload; readonly "but gives": Out<V[K]> };
};

/** Options of a contract. `put` takes and Redis stores a schema's input; the reading side sees its output. */
export interface JobOptions<
  P extends Schema | undefined = undefined,
  R extends Schema | undefined = undefined,
  G extends Schema | undefined = undefined,
  V extends Previous = {},
> {
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
  readonly previous?: V & Reads<V, Out<P>>;
  /** How often the job is tried in all, at least 1. @default 3 */
  readonly attempts?: number;
  /** @default exponential from 1 s to 1 h, jitter 1 */
  readonly backoff?: Backoff;
  /** Limit of one attempt, 1 ms to 24 days. @default none */
  readonly timeout?: Duration;
  /** Limit of the whole, from the put to its end, all attempts in it, at least 1 ms: no attempt starts or goes on after it. @default none */
  readonly deadline?: Duration;
  /** @default completed: 1 h where there is a `result`, else the last 1000; failed: the last 10,000 of 90 days */
  readonly keep?: { readonly completed?: Keep; readonly failed?: Keep };
  /** Paths in payload, result and progress that operators see as `***`: `body`, `user.email`, `cards.*.number`. They are stored as they are. @default none */
  readonly redact?: readonly string[];
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

/**
 * The contract of a job.
 *
 * @throws OptionError when the name or an option is not of its form
 */
export function defineJob<
  P extends Schema | undefined = undefined,
  R extends Schema | undefined = undefined,
  G extends Schema | undefined = undefined,
  V extends Previous = {},
>(name: string, options?: JobOptions<P, R, G, V>): Job<TypesOf<P, R, G>> {
  return jobOf(define(name, options));
}

/** A contract by its checked form. */
export function jobOf<T extends JobTypes>(definition: JobDefinition): Job<T> {
  const job: Job<T> = {
    name: definition.name,
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
