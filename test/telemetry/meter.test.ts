import { expect, test } from "vitest";
import { QueueMeter } from "../../src/telemetry/meter.ts";

const delivered = { job: { id: "a", name: "j", attemptsMade: 0 }, fence: 1 };

test("gives what was counted once, and nothing when nothing was", () => {
  const meter = new QueueMeter("q");
  expect(meter.take()).toBeUndefined();
  meter.put("j", "a");
  meter.started(delivered, 0);
  meter.started(delivered, undefined);
  meter.ended(delivered, { outcome: "completed" }, 0);
  meter.ended(delivered, { outcome: "retried", reason: "r", delayMs: 1 }, undefined);
  meter.ended(delivered, { outcome: "lost" }, undefined);
  expect(Object.fromEntries(meter.take()!.fields())).toEqual({ put: 1, started: 2, completed: 1, retried: 1, w0: 1, r0: 1 });
  expect(meter.take()).toBeUndefined();
});

test("what could not be written down is counted again with what came meanwhile", () => {
  const meter = new QueueMeter("q");
  meter.put("j", "a");
  const taken = meter.take()!;
  meter.put("j", "b");
  meter.giveBack(taken);
  expect(Object.fromEntries(meter.take()!.fields())).toEqual({ put: 2 });
});
