/** Limits of a queue, over all of its workers, stock ones too: how many jobs are active at once, and how many start in a time. */
import { OptionError, StateError } from "../errors.ts";
import { check, checkOptions, durationMs, shown, type Check } from "../options.ts";
import { readLimits, shareOf, sumOfLimits, writeLimits } from "../store/queue-limits.ts";
import type { Operator } from "./operator.ts";

export interface Limits {
  readonly queue: string;
  /** Jobs that are active at once; undefined is no limit. */
  readonly concurrency: number | undefined;
  /** Undefined is no limit. */
  readonly rate: { readonly max: number; readonly durationMs: number } | undefined;
  /** Until the rate lets the next job start, in milliseconds; 0 while it does. */
  readonly heldForMs: number;
  /** Queues of Redis among which they are shared out: 1, or of a queue in partitions one more than these. */
  readonly shares: number;
  /** Some of these have a limit that others lack, so there is none of the whole; setting it anew mends that. */
  readonly isPartial: boolean;
}

/** What is not said stays; `"none"` lifts it. */
export interface LimitsSet {
  /** At least 1. */
  readonly concurrency?: number | "none";
  /** So many in a time: `"100/s"`, `"500/10s"`, `"3/m"`, `"1000/h"`. */
  readonly rate?: string;
}

/** @throws OptionError before any I/O; NotFoundError; BackendError */
export async function showLimits(operator: Operator, name: string): Promise<Limits> {
  const parts = await operator.parts(name);
  const { concurrency, max, durationMs, heldForMs, isPartial } = sumOfLimits(await Promise.all(parts.map(readLimits)));
  return { queue: name, concurrency, rate: max === undefined || durationMs === undefined ? undefined : { max, durationMs }, heldForMs, shares: parts.length, isPartial };
}

/** The limits of all queues that have any. @throws BackendError */
export async function listLimits(operator: Operator): Promise<Limits[]> {
  const all = await Promise.all((await operator.queueNames()).map((name) => showLimits(operator, name)));
  return all.filter(({ concurrency, rate, isPartial }) => concurrency !== undefined || rate !== undefined || isPartial).toSorted((a, b) => (a.queue < b.queue ? -1 : 1));
}

/**
 * Sets limits; they hold at once. Those of a queue in partitions are shared out equally among these and the queue of the plain
 * prefix, so they hold for the whole; where not all of them have work, less is done. They are set one by one: after an error some
 * are, and it may be called again.
 *
 * @throws OptionError, ReadOnlyError before any I/O; NotFoundError; StateError when there is less than one for each; BackendError
 */
export async function setLimits(operator: Operator, name: string, limits: LimitsSet): Promise<Limits> {
  operator.queue(name);
  const { concurrency, rate } = checkOptions("setLimits", limits, { concurrency: orNone(check.integer({ min: 1 })), rate: orNone(rateOf) });
  if (concurrency === undefined && rate === undefined) throw new OptionError("expected a concurrency, a rate or both, got neither");
  return operator.change({ command: "limit set", target: name, details: { ...limits } }, async (touch) => {
    const parts = await operator.parts(name);
    const tooSmall = [concurrency, rate?.max].find((most) => typeof most === "number" && most < parts.length);
    if (tooSmall !== undefined) {
      throw new StateError(`expected at least ${parts.length} for a limit of ${name}, one for each of its ${parts.length - 1} partitions and one for the plain queue, got ${tooSmall}: take more, a rate over a longer time, or scale its workers instead`);
    }
    const share = (most: number, place: number): number => shareOf(most, place, parts.length);
    for (const [place, part] of parts.entries()) {
      await writeLimits(part, { concurrency: concurrency && share(concurrency, place), rate: rate && { max: share(rate.max, place), durationMs: rate.durationMs } });
    }
    touch(1);
    return showLimits(operator, name);
  });
}

/** Null where it is to be lifted. */
function orNone<T>(inner: Check<T>): Check<T | null> {
  return (value, where) => (value === "none" ? null : inner(value, where));
}

function rateOf(value: unknown, where: string): { readonly max: number; readonly durationMs: number } {
  const [, most, count, unit] = /^([1-9]\d{0,9})\/(\d*)(ms|s|m|min|h|d)$/.exec(String(value)) ?? [];
  if (most === undefined || unit === undefined) throw new OptionError(`expected a rate such as "100/s", "500/10s" or "3/m", or "none", for ${where}, got ${shown(value)}`);
  return { max: Number(most), durationMs: durationMs(`${count === "" ? "1" : count}${unit === "min" ? "m" : unit}`, where, { min: 1 }) };
}
