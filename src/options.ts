/**
 * Checks an options object once, at the boundary: unknown keys ("did you mean"), ranges, durations.
 *
 * Everything that a caller hands over passes here before any I/O; what comes out is frozen, in milliseconds,
 * and needs no second look. Reaches no Node module.
 */
import { OptionError } from "./errors.ts";

/** Milliseconds, or a number with its unit: `500`, `"30s"`, `"1.5h"`. */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;

/** What a duration may be, in milliseconds, both ends included. */
export interface DurationRange {
  readonly min?: number;
  readonly max?: number;
}

/** The longest duration taken anywhere, in milliseconds: a hundred years. A longer one is a mistake of units. */
export const LONGEST_MS = 100 * 365.25 * 86_400_000;

const MS_PER_UNIT = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/**
 * Milliseconds of a duration, rounded to a whole one.
 *
 * @param where  what is measured, for the message: `"delay"`
 * @param range  0 to a hundred years unless told otherwise
 * @throws OptionError when it is no duration, or out of range
 */
export function durationMs(value: unknown, where: string, range: DurationRange = {}): number {
  const ms = typeof value === "number" ? value : typeof value === "string" ? msOfText(value) : Number.NaN;
  const { min = 0, max = LONGEST_MS } = range;
  // Not `ms < 0 ||`: NaN must fall through to the error as well.
  if (!(ms >= 0 && ms <= LONGEST_MS)) {
    throw new OptionError(`expected a duration such as 500 or "30s" for ${where}, got ${shown(value)}`);
  }
  const rounded = Math.round(ms);
  if (rounded < min || rounded > max) {
    throw new OptionError(`expected a duration ${between(min, max === LONGEST_MS ? Infinity : max, durationText)} for ${where}, got ${shown(value)}`);
  }
  return rounded;
}

/** As it may be given, in the largest unit that is exact. */
function durationText(ms: number): string {
  const [unit, length] = Object.entries(MS_PER_UNIT).findLast(([, each]) => ms > 0 && ms % each === 0) ?? ["ms", 1];
  return `${ms / length}${unit}`;
}

function msOfText(text: string): number {
  const match = DURATION.exec(text);
  return match === null ? Number.NaN : Number(match[1]) * MS_PER_UNIT[match[2] as keyof typeof MS_PER_UNIT];
}

/** Bytes, or a number with its unit, each 1024 of the one before: `500_000_000`, `"512mb"`, `"1.5gb"`. */
export type Size = number | `${number}${"kb" | "mb" | "gb"}`;

const BYTES_PER_UNIT = { kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 } as const;
const SIZE = /^(\d+(?:\.\d+)?)(kb|mb|gb)$/;

/** Takes what the caller gave for one option; gives what the program uses, or throws OptionError. */
export type Check<T> = (value: unknown, where: string) => T;

/** What `checkOptions` gives: every known key may be absent; one that is `undefined` counts as absent. */
export type Checked<C extends Readonly<Record<string, Check<unknown>>>> = { readonly [K in keyof C]?: ReturnType<C[K]> };

/**
 * The options of a call, each one checked, frozen.
 *
 * ```ts
 * const { concurrency = 10 } = checkOptions("pool", options, { concurrency: check.integer({ min: 1 }) });
 * ```
 *
 * The suggestion for a misspelt key follows Oban's `validation.ex`.
 *
 * @param where  whose options they are, for the message: `"put"`, `"job \"welcome\""`
 * @throws OptionError when it is no object, holds an unknown key, or a value that its check refuses
 */
export function checkOptions<const C extends Readonly<Record<string, Check<unknown>>>>(where: string, value: unknown, known: C): Checked<C> {
  const checked: Record<string, unknown> = {};
  if (value === undefined) return Object.freeze(checked) as Checked<C>;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new OptionError(`expected an object with the options of ${where}, got ${shown(value)}`);
  }
  const given = value as Readonly<Record<string, unknown>>;
  for (const key in given) if (!Object.hasOwn(known, key)) throw unknownOption(where, key, Object.keys(known));
  for (const key of Object.keys(known)) {
    const option = given[key];
    if (option !== undefined) checked[key] = known[key]?.(option, `${key} of ${where}`);
  }
  return Object.freeze(checked) as Checked<C>;
}

function unknownOption(where: string, key: string, known: readonly string[]): OptionError {
  const near = suggest(key, known);
  const remedy = near === undefined ? `expected ${known.length === 0 ? "none" : `one of ${known.join(", ")}`}` : `did you mean ${near}?`;
  return new OptionError(`unknown option ${shown(key)} of ${where}: ${remedy}`);
}

interface NumberRange {
  readonly min?: number;
  readonly max?: number;
}

/** The checks that options are declared with. */
export const check = {
  /** A whole number that a double holds exactly. */
  integer:
    ({ min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER }: NumberRange = {}): Check<number> =>
    (value, where) => {
      if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
      throw new OptionError(`expected a whole number${spaced(between(min, max))} for ${where}, got ${shown(value)}`);
    },

  /** Any finite number. */
  number:
    ({ min = -Infinity, max = Infinity }: NumberRange = {}): Check<number> =>
    (value, where) => {
      if (Number.isFinite(value) && (value as number) >= min && (value as number) <= max) return value as number;
      throw new OptionError(`expected a number${spaced(between(min, max))} for ${where}, got ${shown(value)}`);
    },

  /** A string of `min` (1 unless told) to `max` characters. */
  string:
    ({ min = 1, max = Infinity }: NumberRange = {}): Check<string> =>
    (value, where) => {
      if (typeof value === "string" && value.length >= min && value.length <= max) return value;
      const length = min <= 1 && max === Infinity ? (min === 1 ? "a non-empty string" : "a string") : `a string of ${min} to ${max} characters`;
      throw new OptionError(`expected ${length} for ${where}, got ${shown(value)}`);
    },

  boolean: (): Check<boolean> => (value, where) => {
    if (typeof value === "boolean") return value;
    throw new OptionError(`expected true or false for ${where}, got ${shown(value)}`);
  },

  /** A duration; gives milliseconds. */
  duration:
    (range: DurationRange = {}): Check<number> =>
    (value, where) =>
      durationMs(value, where, range),

  /** A size; gives whole bytes. */
  size:
    ({ min = 0 }: { readonly min?: number } = {}): Check<number> =>
    (value, where) => {
      const match = typeof value === "string" ? SIZE.exec(value.toLowerCase()) : null;
      const bytes = match === null ? value : Math.round(Number(match[1]) * BYTES_PER_UNIT[match[2] as keyof typeof BYTES_PER_UNIT]);
      if (Number.isSafeInteger(bytes) && (bytes as number) >= min) return bytes as number;
      throw new OptionError(`expected a size such as 500000000 or "512mb"${min === 0 ? "" : spaced(between(min, Infinity, (bytes) => `${bytes} bytes`))} for ${where}, got ${shown(value)}`);
    },

  /** A valid Date. */
  date: (): Check<Date> => (value, where) => {
    if (value instanceof Date && Number.isFinite(value.getTime())) return value;
    throw new OptionError(`expected a valid Date for ${where}, got ${shown(value)}`);
  },

  /** An AbortSignal, of whichever realm or polyfill. */
  signal: (): Check<AbortSignal> => (value, where) => {
    const signal = value as Partial<AbortSignal> | null;
    if (typeof signal === "object" && signal !== null && typeof signal.aborted === "boolean" && typeof signal.addEventListener === "function") {
      return signal as AbortSignal;
    }
    throw new OptionError(`expected an AbortSignal for ${where}, got ${shown(value)}`);
  },

  /** One of a few words. */
  oneOf:
    <const W extends string>(...words: readonly W[]): Check<W> =>
    (value, where) => {
      if (words.includes(value as W)) return value as W;
      const near = typeof value === "string" ? suggest(value, words) : undefined;
      const hint = near === undefined ? "" : `: did you mean ${shown(near)}?`;
      throw new OptionError(`expected ${words.map((word) => shown(word)).join(" or ")} for ${where}, got ${shown(value)}${hint}`);
    },

  callback:
    <F extends (...args: never[]) => unknown>(): Check<F> =>
    (value, where) => {
      if (typeof value === "function") return value as F;
      throw new OptionError(`expected a function for ${where}, got ${shown(value)}`);
    },

  /** Options inside an option. */
  nested:
    <const C extends Readonly<Record<string, Check<unknown>>>>(known: C): Check<Checked<C>> =>
    (value, where) =>
      checkOptions(where, value, known),
} as const;

/** "of at least 1", "from 1 to 5", or nothing where there is no bound to name. */
function between(min: number, max: number, textOf: (bound: number) => string = String): string {
  const lowest = min === -Infinity || min === Number.MIN_SAFE_INTEGER;
  const highest = max === Infinity || max === Number.MAX_SAFE_INTEGER;
  if (lowest) return highest ? "" : `of at most ${textOf(max)}`;
  return highest ? `of at least ${textOf(min)}` : `from ${textOf(min)} to ${textOf(max)}`;
}

function spaced(text: string): string {
  return text === "" ? "" : ` ${text}`;
}

/**
 * The known word that a misspelt one most likely stands for, or undefined when none is near.
 * Near: at most two letters in five are changed, added, dropped or swapped with their neighbour, and at most three.
 */
export function suggest(word: string, known: Iterable<string>): string | undefined {
  if (word.length > 64) return undefined;
  let best: string | undefined;
  let least = Infinity;
  for (const candidate of known) {
    const allowed = Math.min(3, Math.floor(Math.max(word.length, candidate.length) / 2.5));
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance <= allowed && distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/** Optimal string alignment: Levenshtein's distance where a swap of neighbours is one change. */
function editDistance(a: string, b: string): number {
  let older: number[] = [];
  let old = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const changed = (old[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min(changed, (old[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, (older[j - 2] ?? 0) + 1);
      row.push(cost);
    }
    older = old;
    old = row;
  }
  return old[b.length] ?? 0;
}

/** A value in a message: short, and safe whatever it is. It never calls into the value beyond reading its class. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
    case "bigint":
      return "a bigint";
    case "symbol":
      return "a symbol";
    case "function":
      return "a function";
    case "object":
      return value === null ? "null" : shownObject(value);
    default:
      return Object.is(value, -0) ? "-0" : String(value);
  }
}

function shownObject(value: object): string {
  try {
    if (Array.isArray(value)) return `an array of ${value.length}`;
    if (value instanceof Date) return Number.isFinite(value.getTime()) ? `the Date ${value.toISOString()}` : "an invalid Date";
    const name: unknown = (Object.getPrototypeOf(value) as { constructor?: { name?: unknown } } | null)?.constructor?.name;
    return typeof name === "string" && name !== "" && name !== "Object" ? `an instance of ${name.slice(0, 60)}` : "an object";
  } catch {
    return "an object that cannot be read"; // a proxy may throw at every touch
  }
}
