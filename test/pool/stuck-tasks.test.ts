import { expect, test } from "vitest";
import { defineHandler, defineJob, OptionError, typed } from "../../src/index.ts";
import { recordedLog, testApp, until } from "../support/app.ts";
import { takes } from "../support/outcome.ts";

const job = defineJob("work", { payload: typed<number>(), attempts: 1 });

/** A pool of one slot, whose handler heeds nothing but the gate. */
function deaf(grace: number | undefined) {
  const log = recordedLog();
  const app = testApp({ log });
  const gate = Promise.withResolvers<void>();
  const started: number[] = [];
  const handler = defineHandler(job, { handle: async (n) => (started.push(n), n === 1 ? gate.promise : undefined) });
  const pool = app.pool([handler], { concurrency: 1, ...(grace !== undefined && { grace }) });
  return { log, app, pool, gate, started };
}

test("a handler that ignores a cancel loses its slot when the grace is over, and is listed until it ends", async () => {
  const { log, app, pool, gate, started } = deaf(200);
  const put = await app.put(job, 1);
  const next = await app.put(job, 2);
  await until(() => started.length === 1);
  const before = Date.now();
  await put.cancel("enough");
  await next.result({ timeout: "10s" });
  expect(await put.outcome({ timeout: "10s" })).toEqual({ state: "cancelled", reason: "enough" });
  await until(() => pool.stuck.length === 1);
  expect(pool.running).toBe(0);
  const [stuck] = pool.stuck;
  expect(stuck).toEqual({ id: put.id, name: "work", queue: "work", attempt: 1, since: expect.any(Date) });
  expect(stuck!.since.getTime()).toBeGreaterThanOrEqual(before + 190);
  expect(log.lines).toContainEqual(expect.objectContaining({ level: "warn", message: expect.stringMatching(/ignores its signal/), fields: expect.objectContaining({ id: put.id, why: expect.stringMatching(/enough/) }) }));
  gate.resolve();
  await until(() => pool.stuck.length === 0);
  expect(log.lines).toContainEqual(expect.objectContaining({ level: "info", message: expect.stringMatching(/has ended after all/) }));
  expect(await put.state()).toBe("cancelled");
}, 20_000);

test("by default its slot is free within 5 s of the cancel", async () => {
  const { app, started } = deaf(undefined);
  const put = await app.put(job, 1);
  const next = await app.put(job, 2);
  await until(() => started.length === 1);
  const tookMs = await takes(put.cancel().then(() => next.result({ timeout: "20s" })));
  expect(tookMs).toBeGreaterThan(4000);
  expect(tookMs).toBeLessThan(6000); // 4.5 s of grace; the rest is for a busy machine
}, 30_000);

test("a handler that heeds its signal is never listed", async () => {
  const log = recordedLog();
  const app = testApp({ log });
  const started = Promise.withResolvers<void>();
  const handler = defineHandler(job, { handle: (_, { signal }) => new Promise((_, reject) => (started.resolve(), signal.addEventListener("abort", () => reject(signal.reason)))) });
  const pool = app.pool([handler], { grace: 50 });
  const put = await app.put(job, 1);
  await started.promise;
  await put.cancel();
  await put.outcome({ timeout: "10s" });
  await new Promise((resolve) => setTimeout(resolve, 700)); // longer than the grace, and than it takes to be noticed
  expect(pool.stuck).toEqual([]);
  expect(log.lines.filter(({ message }) => message.includes("ignores"))).toEqual([]);
  expect(() => app.pool([handler], { grace: -1 })).toThrow(OptionError);
});
