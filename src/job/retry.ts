/** When a failed attempt is tried again. Whether it is tried at all, the executor decides. */
import { LONGEST_MS } from "../options.ts";
import type { BackoffDefinition } from "./contract.ts";

/**
 * Milliseconds to wait before the next attempt, a whole number.
 *
 * The delay is `baseMs`, doubled with each attempt made where exponential, at most `maxMs`. Of that, the share
 * `jitter` is drawn at random: with jitter 1 it is the "full jitter" of Brooker, "Exponential Backoff And Jitter"
 * (AWS Architecture Blog, 2015), which spreads jobs that failed together over the whole delay.
 *
 * @param attemptsMade  attempts made so far, the failed one included; the first retry follows 1
 * @param random  a number from 0, inclusive, to 1, exclusive
 */
export function retryDelayMs(policy: { readonly backoff: BackoffDefinition }, attemptsMade: number, random: () => number = Math.random): number {
  const { type, baseMs, maxMs, jitter } = policy.backoff;
  // Beyond a thousand doublings a double is infinite, and a base of 0 would become NaN.
  const doublings = type === "exponential" ? Math.min(Math.max(attemptsMade - 1, 0), 1000) : 0;
  const delayMs = Math.min(baseMs * 2 ** doublings, maxMs);
  return Math.round(delayMs * (1 - jitter) + delayMs * jitter * random());
}

/**
 * The back-off that a job carries as its BullMQ option, from us or from a stock producer, or `fallback` (the contract's) where it stored none
 * that we can follow: a custom strategy is code in somebody else's worker.
 *
 * As in BullMQ, a number is a fixed delay, and jitter is 0 unless it says otherwise. `max` is ours: stock workers
 * do not know it, and what stock producers store has none.
 *
 * @param stored  the job's `backoff` option: `5000`, or `{ type: "exponential", delay: 1000, jitter: 0.5, max: 60000 }`
 */
export function storedBackoff(stored: unknown, fallback: BackoffDefinition): BackoffDefinition {
  const { type, delay, jitter = 0, max = LONGEST_MS } = (typeof stored === "number" ? { type: "fixed", delay: stored } : (stored ?? {})) as Readonly<Record<string, unknown>>;
  if (type !== "fixed" && type !== "exponential") return fallback;
  if (!isWithin(delay, LONGEST_MS) || !isWithin(jitter, 1) || !isWithin(max, LONGEST_MS)) return fallback;
  return { type, baseMs: delay, maxMs: max, jitter };
}

function isWithin(value: unknown, max: number): value is number {
  return typeof value === "number" && value >= 0 && value <= max;
}
