/** A contract as the system reads it: checked, in milliseconds, frozen, with its defaults. */
import type { StandardSchemaV1 as Schema } from "@standard-schema/spec";
import { OptionError } from "../errors.ts";
import { check, checkOptions, shown } from "../options.ts";
import { checkJobName } from "./name.ts";
import { LONGEST_TIMEOUT_MS } from "./put-options.ts";
import { checkRedact } from "./redact.ts";
import { defineQueue, type QueueDef } from "./queue-def.ts";

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
  readonly deadlineMs?: number;
  readonly keep: { readonly completed: KeepDefinition; readonly failed: KeepDefinition };
  /** Paths that operators are not to read. */
  readonly redact?: readonly string[];
  /** BullMQ's rules where they differ from ours: whoever runs these jobs was written for its Worker. */
  readonly stock?: StockRules;
}

/** Versions are no matter, a result is JSON text already, and a lost worker is counted by itself, not as an attempt. */
export interface StockRules {
  /** So often may its worker be lost before the job fails for good. */
  readonly maxStalledCount: number;
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
  deadline: check.duration({ min: 1 }),
  keep: check.nested({ completed: check.nested(keepOptions), failed: check.nested(keepOptions) }),
  redact: checkRedact,
};

/**
 * The checked form of a contract.
 *
 * @throws OptionError when the name or an option is not of its form
 */
export function define(name: string, options: unknown): JobDefinition {
  checkJobName(name);
  const where = `job ${shown(name)}`;
  const checked = checkOptions(where, options, jobOptions);
  const { version = JOB_DEFAULTS.version, payload, result, progress, previous = {}, timeout, deadline } = checked;
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
    ...(deadline !== undefined && { deadlineMs: deadline }),
    keep: {
      completed: keepOf(checked.keep?.completed) ?? (result ? JOB_DEFAULTS.keep.completedWithResult : JOB_DEFAULTS.keep.completed),
      failed: keepOf(checked.keep?.failed) ?? JOB_DEFAULTS.keep.failed,
    },
    ...(checked.redact && { redact: checked.redact }),
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

export function queueOf(value: unknown, where: string): QueueDef {
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
