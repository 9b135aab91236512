import { once } from "node:events";
import { expect, test } from "vitest";
import { CancelledError, OptionError } from "../../src/errors.ts";
import { gather } from "../../src/concurrency/gather.ts";
import { shield } from "../../src/concurrency/shield.ts";
import { sleep } from "../../src/concurrency/sleep.ts";
import { spawn } from "../../src/concurrency/task.ts";
import { rejection, settled } from "./settlement.ts";

test("gives the value or the error of what it shields", async () => {
  expect(await shield(Promise.resolve(42))).toBe(42);
  expect(await shield(async () => 43)).toBe(43);
  expect(await shield({ result: async () => 44 })).toBe(44);
  expect(await rejection(shield(() => Promise.reject(new RangeError("no"))))).toBeInstanceOf(RangeError);
});

test("cancelling who waits ends the waiting at once, and the work runs on", async () => {
  const gate = Promise.withResolvers<void>();
  const order: string[] = [];
  const outer = spawn(() =>
    shield(async (signal) => {
      await gate.promise;
      order.push(signal.aborted ? "cut" : "whole");
    }),
  );
  await settled();
  outer.cancel("outside");
  expect(await rejection(outer)).toMatchObject({ name: "CancelledError", message: "outside" });
  expect(order).toEqual([]);
  gate.resolve();
  await settled();
  expect(order).toEqual(["whole"]);
});

test("cancelling the inner task ends the waiting too", async () => {
  const inner = spawn((signal) => sleep("1h", { signal }));
  const outer = shield(inner);
  inner.cancel();
  expect(await rejection(outer)).toBeInstanceOf(CancelledError);
});

test("a shielded gather goes on when who waits is cancelled; a gather of shielded ones does not wait for them", async () => {
  const gate = Promise.withResolvers<number>();
  const parent = gather([gate.promise, async () => gate.promise]);
  const outer = spawn(() => shield(parent));
  const other = spawn(() => gather([() => shield(gate.promise)]));
  await settled();
  outer.cancel();
  other.cancel();
  expect(await rejection(outer)).toBeInstanceOf(CancelledError);
  expect(await rejection(other)).toBeInstanceOf(CancelledError);
  gate.resolve(1);
  expect(await parent).toEqual([1, 1]);
});

test("work that must be done starts even under a cancellation that has reached nobody yet", async () => {
  const gate = Promise.withResolvers<void>();
  let saved = false;
  const task = spawn(async () => {
    await gate.promise;
    await shield(async () => {
      saved = true;
    });
  });
  await settled();
  task.cancel();
  gate.resolve();
  expect(await rejection(task)).toBeInstanceOf(CancelledError);
  await settled();
  expect(saved).toBe(true);
});

test("an error that comes after nobody waits any more is told of", async () => {
  const gate = Promise.withResolvers<void>();
  const outer = spawn(() => shield(() => gate.promise.then(() => Promise.reject(new RangeError("too late")))));
  await settled();
  outer.cancel();
  await rejection(outer);
  const warning = once(process, "warning");
  gate.resolve();
  expect(await warning).toMatchObject([{ name: "UnseenTaskError", message: expect.stringContaining("too late") as unknown }]);
});

test("an error that nobody waits for any more is told of once, however many had waited", async () => {
  const gate = Promise.withResolvers<never>();
  const outers = [1, 2].map(() => spawn(() => shield(gate.promise)));
  await settled();
  for (const outer of outers) {
    outer.cancel();
    await rejection(outer);
  }
  const told: string[] = [];
  const listen = (warning: Error): unknown => told.push(warning.message.split("\n")[0] ?? "");
  process.on("warning", listen);
  gate.reject(new RangeError("for both"));
  await sleep(1);
  process.off("warning", listen);
  expect(told).toEqual(["shielded work failed and nobody looked at its error: RangeError: for both"]);
});

test("refuses what cannot be waited for", async () => {
  expect(await rejection(shield(42 as never))).toBeInstanceOf(OptionError);
});
