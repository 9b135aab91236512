/** What Redis holds of a job, read from its hash; BullMQ's field names are known here and nowhere else. */
import type { JobsOptions, RepeatOptions } from "bullmq";

/** Options of a job as BullMQ stores them; `repeat` stands on the runs of a job scheduler. `mv` is ours: the contract's version, by which a job is known to be put by us. */
export type StoredOptions = JobsOptions & { readonly repeat?: RepeatOptions; readonly mv?: number };

/** A job as it stands in Redis. Instants in milliseconds by the server's clock. */
export interface StoredJob {
  readonly id: string;
  readonly name: string;
  /** The payload as JSON; `undefined` when Redis lost it. */
  readonly data: string | undefined;
  readonly options: StoredOptions;
  /** Contract version it was put under; `undefined` when a stock producer put it. */
  readonly version: number | undefined;
  /** Limit of one attempt that this put asked for. */
  readonly timeoutMs: number | undefined;
  /** Limit of the whole, from its put, that this put asked for. */
  readonly deadlineMs: number | undefined;
  /** It must have started before this instant. */
  readonly expireAt: number | undefined;
  /** Attempts that have ended before this one. */
  readonly attemptsMade: number;
  /** Deliveries so far, this one among them. */
  readonly starts: number;
  readonly putAt: number;
  /** How many of its workers were lost while they ran it. */
  readonly crashes: number;
  readonly stacktrace: readonly string[];
  /** Set by BullMQ when the job must fail without being run: a failed child, too many stalls. */
  readonly deferredFailure: string | undefined;
  readonly schedulerId: string | undefined;
  /** It has a parent, or holds a deduplication id. */
  readonly isLinked: boolean;
  /** When a pool first gave it back because nobody there knew its name or version. */
  readonly unknownSince: number | undefined;
  /** Somebody asked that it be cancelled, and why. */
  readonly cancelReason: string | undefined;
}

/** Our own fields of a job's hash, beside BullMQ's. */
export const TIMEOUT_FIELD = "mt";
export const DEADLINE_FIELD = "md";
export const EXPIRE_FIELD = "mx";
export const UNKNOWN_SINCE_FIELD = "mu";
/** The delivery, by its count, that waits for the pool to be empty; it is one of a suspect. */
export const WAITING_FIELD = "mw";
/** Empty where BullMQ's script ended the job. */
export const CANCEL_FIELD = "mc";

/** A job that has no other fields than it was put with, and was started just now. */
export function readPlainJob(id: string, name: string, data: string, text: string, timestamp: string): StoredJob {
  const options = readOptions(text);
  return {
    id,
    name,
    data,
    options,
    version: versionOf(options),
    timeoutMs: undefined,
    deadlineMs: undefined,
    expireAt: undefined,
    attemptsMade: 0,
    starts: 1,
    putAt: numberOr(0, timestamp),
    crashes: 0,
    stacktrace: NO_STACKS,
    deferredFailure: undefined,
    schedulerId: undefined,
    isLinked: false,
    unknownSince: undefined,
    cancelReason: undefined,
  };
}

const NO_STACKS: readonly string[] = Object.freeze([]);

/** Reads the flat reply of `HGETALL`. */
export function readStoredJob(id: string, flat: readonly string[]): StoredJob {
  const hash: Record<string, string | undefined> = {};
  for (let i = 0; i < flat.length; i += 2) hash[flat[i]!] = flat[i + 1];
  const options = readOptions(hash["opts"] ?? "");
  return {
    id,
    name: hash["name"] ?? "",
    data: hash["data"],
    options,
    version: versionOf(options),
    timeoutMs: numberOr(undefined, hash[TIMEOUT_FIELD]),
    deadlineMs: numberOr(undefined, hash[DEADLINE_FIELD]),
    expireAt: numberOr(undefined, hash[EXPIRE_FIELD]),
    attemptsMade: numberOr(0, hash["atm"] ?? hash["attemptsMade"]),
    starts: numberOr(0, hash["ats"]),
    putAt: numberOr(0, hash["timestamp"]),
    crashes: numberOr(0, hash["stc"]),
    stacktrace: readStacktrace(hash["stacktrace"]),
    deferredFailure: hash["defa"],
    schedulerId: hash["rjk"],
    isLinked: hash["parentKey"] !== undefined || hash["deid"] !== undefined,
    unknownSince: numberOr(undefined, hash[UNKNOWN_SINCE_FIELD]),
    cancelReason: hash[CANCEL_FIELD] || undefined,
  };
}

/** Whoever copied the options of a job may have copied anything. */
function versionOf({ mv }: StoredOptions): number | undefined {
  return Number.isInteger(mv) ? mv : undefined;
}

function numberOr<D>(fallback: D, text: string | undefined): number | D {
  const value = Number(text ?? NaN);
  return Number.isFinite(value) ? value : fallback;
}

/** What others wrote may be anything, and one job must not keep its whole batch from being read. */
function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return undefined;
  }
}

function readStacktrace(text: string | undefined): readonly string[] {
  const stored = parse(text);
  return Array.isArray(stored) ? stored.filter((stack) => typeof stack === "string") : [];
}

/** All jobs of a contract carry the same text of options: each distinct text is parsed once. */
const parsed = new Map<string, StoredOptions>();
const PARSED_MOST = 1000;
/** Most come in a row: to compare a text costs less than to hash it. */
let last: { readonly text: string; readonly options: StoredOptions } | undefined;

function readOptions(text: string): StoredOptions {
  if (last?.text !== text) last = { text, options: parsedOptions(text) };
  return last.options;
}

function parsedOptions(text: string): StoredOptions {
  let options = parsed.get(text);
  if (options === undefined) {
    options = decodeOptions(parse(text));
    if (parsed.size >= PARSED_MOST) parsed.clear();
    parsed.set(text, options);
  }
  return options;
}

/** BullMQ stores some options under short names. Its own decoder would do, at 270 ms of loading BullMQ before the first job. */
const LONG_NAMES: Readonly<Record<string, string>> = {
  de: "deduplication",
  fpof: "failParentOnFailure",
  cpof: "continueParentOnFailure",
  idof: "ignoreDependencyOnFailure",
  rdof: "removeDependencyOnFailure",
  kl: "keepLogs",
};

function decodeOptions(stored: unknown): StoredOptions {
  const options: Record<string, unknown> = {};
  if (typeof stored === "object") for (const [name, value] of Object.entries(stored ?? {})) options[LONG_NAMES[name] ?? name] = value;
  return Object.freeze(options) as StoredOptions;
}
