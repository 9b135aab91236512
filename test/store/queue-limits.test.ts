import { expect, test } from "vitest";
import { readLimits, writeLimits } from "../../src/store/queue-limits.ts";
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
