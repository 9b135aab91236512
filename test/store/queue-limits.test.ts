import { assert, integer, property } from "fast-check";
import { expect, test } from "vitest";
import { readLimits, shareOf, sumOfLimits, writeLimits, type StoredLimits } from "../../src/store/queue-limits.ts";
import { openQueue } from "./opened-queue.ts";

test("what is not said stays, what is null is lifted, and whoever waits is woken", async () => {
  const queue = await openQueue();
  expect(await readLimits(queue)).toEqual({ concurrency: undefined, max: undefined, durationMs: undefined, heldForMs: 0 });
  await writeLimits(queue, { concurrency: 3, rate: { max: 10, durationMs: 1000 } });
  await writeLimits(queue, { concurrency: null });
  await queue.client.set(queue.keys.limiter, 10, "PX", 60_000);
  const limits = await readLimits(queue);
  expect(limits).toMatchObject({ concurrency: undefined, max: 10, durationMs: 1000 });
  expect(limits.heldForMs).toBeGreaterThan(50_000);
  expect(await queue.client.zrange(queue.keys.marker, "0", "-1")).toEqual(["0"]);
});

test("shares are whole, differ by one at most, and are together what was shared out", () => {
  assert(property(integer({ min: 0, max: 1e9 }), integer({ min: 1, max: 257 }), (total, count) => {
    const shares = Array.from({ length: count }, (_, place) => shareOf(total, place, count));
    expect(shares.reduce((sum, share) => sum + share, 0)).toBe(total);
    expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
  }));
});

test("shares are a limit of the whole where each has one", () => {
  const none: StoredLimits = { concurrency: undefined, max: undefined, durationMs: undefined, heldForMs: 0 };
  const one = { concurrency: 2, max: 5, durationMs: 1000, heldForMs: 300 };
  expect(sumOfLimits([one, { ...one, concurrency: 1, heldForMs: 100 }])).toEqual({ concurrency: 3, max: 10, durationMs: 1000, heldForMs: 100, isPartial: false });
  expect(sumOfLimits([none, none])).toEqual({ ...none, isPartial: false });
  expect(sumOfLimits([one, none])).toEqual({ ...none, isPartial: true });
  expect(sumOfLimits([one, { ...one, durationMs: 2000 }])).toMatchObject({ concurrency: 4, max: undefined, durationMs: undefined, isPartial: true });
});
