import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { BackoffDefinition } from "../../src/job/definition.ts";
import { retryDelayMs, storedBackoff } from "../../src/job/retry.ts";

const exponential: BackoffDefinition = { type: "exponential", baseMs: 1000, maxMs: 3_600_000, jitter: 0 };
const fixed: BackoffDefinition = { ...exponential, type: "fixed" };
const anyBackoff = fc.record({
  type: fc.constantFrom("exponential" as const, "fixed" as const),
  baseMs: fc.nat(100_000),
  maxMs: fc.integer({ min: 100_000, max: 10_000_000 }),
  jitter: fc.double({ min: 0, max: 1, noNaN: true }),
});
const anyRandom = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test("doubles the delay with each attempt made, up to its maximum", () => {
  const delays = [1, 2, 3, 4, 12, 13, 14, 1e6].map((made) => retryDelayMs({ backoff: exponential }, made));
  expect(delays).toEqual([1000, 2000, 4000, 8000, 2_048_000, 3_600_000, 3_600_000, 3_600_000]);
});

test("keeps a fixed delay", () => {
  expect([1, 2, 50].map((made) => retryDelayMs({ backoff: fixed }, made))).toEqual([1000, 1000, 1000]);
});

test("draws the share of jitter at random", () => {
  const draws = [0, 0.5, 0.999_999];
  const drawn = (jitter: number) => draws.map((random) => retryDelayMs({ backoff: { ...exponential, jitter } }, 2, () => random));
  expect([drawn(0), drawn(0.5), drawn(1)]).toEqual([[2000, 2000, 2000], [1000, 1500, 2000], [0, 1000, 2000]]);
});

test("a delay lies between its fixed share and the whole, and is a whole number", () => {
  fc.assert(
    fc.property(anyBackoff, fc.integer({ min: 1, max: 2000 }), anyRandom, (backoff, made, random) => {
      const whole = retryDelayMs({ backoff: { ...backoff, jitter: 0 } }, made);
      const delayMs = retryDelayMs({ backoff }, made, () => random);
      expect(Number.isSafeInteger(delayMs)).toBe(true);
      expect(delayMs).toBeGreaterThanOrEqual(Math.round(whole * (1 - backoff.jitter)));
      expect(delayMs).toBeLessThanOrEqual(whole);
      expect(whole).toBeLessThanOrEqual(backoff.maxMs);
    }),
  );
});

test("without jitter no delay is shorter than the one before", () => {
  fc.assert(
    fc.property(anyBackoff, fc.integer({ min: 1, max: 2000 }), (backoff, made) => {
      const policy = { backoff: { ...backoff, jitter: 0 } };
      expect(retryDelayMs(policy, made + 1)).toBeGreaterThanOrEqual(retryDelayMs(policy, made));
    }),
  );
});

test("spreads retries over the whole delay unless told otherwise", () => {
  const delays = Array.from({ length: 1000 }, () => retryDelayMs({ backoff: { ...exponential, jitter: 1 } }, 1));
  expect(Math.min(...delays)).toBeLessThan(200);
  expect(Math.max(...delays)).toBeGreaterThan(800);
});

test("follows the back-off that a job carries", () => {
  expect(storedBackoff(5000, exponential)).toEqual({ type: "fixed", baseMs: 5000, maxMs: 3_155_760_000_000, jitter: 0 });
  expect(storedBackoff(0, exponential)).toMatchObject({ type: "fixed", baseMs: 0 });
  expect(storedBackoff({ type: "exponential", delay: 200 }, fixed)).toMatchObject({ type: "exponential", baseMs: 200, jitter: 0 });
  expect(storedBackoff({ type: "fixed", delay: 200, jitter: 0.5, max: 9000 }, exponential)).toEqual({ type: "fixed", baseMs: 200, maxMs: 9000, jitter: 0.5 });
});

test("goes by the contract where a job carries no back-off, or one that only its owner's code knows", () => {
  const odd = [
    undefined, null, Number.NaN, -5, Infinity, "5000", [], {}, true, { type: "custom", delay: 5 }, { type: "fixed" }, { type: "fixed", delay: "5" },
    { type: "exponential", delay: -1 }, { type: "exponential", delay: 5, jitter: 2 }, { type: "constructor", delay: 5 }, { type: "fixed", delay: 5, max: "x" },
  ];
  for (const stored of odd) expect(storedBackoff(stored, exponential)).toBe(exponential);
});
