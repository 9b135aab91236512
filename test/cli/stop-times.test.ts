import { expect, test } from "vitest";
import { stopTimes } from "../../src/cli/stop-times.ts";

test("what does not end is given back before drain and grace are over", () => {
  expect(stopTimes({ drainMs: 25_000, graceMs: 5000, flushMs: 1000 })).toEqual({
    stop: { drain: 25_000, grace: 4000, flush: 1000 },
    hurry: { drain: 0, grace: 0, flush: 1000 },
    leaveAfterMs: { stop: 33_000, hurry: 3000 },
  });
});

test("giving back takes no more than a fifth of the grace", () => {
  expect(stopTimes({ drainMs: 0, graceMs: 500, flushMs: 1000 }).stop).toEqual({ drain: 0, grace: 400, flush: 1000 });
  expect(stopTimes({ drainMs: 0, graceMs: 0, flushMs: 1000 }).stop.grace).toBe(0);
});
