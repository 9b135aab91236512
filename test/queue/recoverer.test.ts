import { expect, test } from "vitest";
import { defineHandler, defineJob, typed } from "../../src/index.ts";
import { recordedLog, testApp, until } from "../support/app.ts";
import { freshPrefix, redisClient } from "../support/redis.ts";
import { doomedWorker } from "./doomed.ts";

const job = defineJob("work", { payload: typed<{ n: number }>(), backoff: { type: "fixed", base: 0 } });

test("a job of a process that died by kill -9 runs again within 15 s, and has spent one attempt", async () => {
  const prefix = freshPrefix();
  const log = recordedLog();
  const app = testApp({ prefix, log });
  const doomed = doomedWorker(prefix);
  const handle = await app.put(job, { n: 1 });
  await until(() => doomed.runs.length === 1);
  const attempts: number[] = [];
  app.pool([defineHandler(job, { handle: async (_, { attempt }) => void attempts.push(attempt) })]);
  await doomed.kill();
  const killedAt = performance.now();
  await handle.result();
  expect(performance.now() - killedAt).toBeLessThan(15_000);
  expect(attempts).toEqual([2]);
  expect(await redisClient().hmget(`${prefix}:work:${handle.id}`, "atm", "failedReason")).toEqual(["2", expect.stringMatching(/worker .* was lost/)]);
  expect(log.lines).toContainEqual(expect.objectContaining({ level: "warn", message: "recovered from a worker that was lost" }));
}, 40_000);

test("with fast recovery it runs again before a lease of the normal length could have run out", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const doomed = doomedWorker(prefix, { OPTIONS: '{"recovery":"fast"}' });
  const handle = await app.put(job, { n: 1 });
  await until(() => doomed.runs.length === 1);
  app.pool([defineHandler(job, { handle: async () => {} })], { recovery: "fast" });
  await doomed.kill();
  const killedAt = performance.now();
  await handle.result();
  // 4 s of lease and two rounds; the rest is for a busy machine.
  expect(performance.now() - killedAt).toBeLessThan(10_000);
}, 40_000);

test("a job whose workers die again and again is a dead letter when its attempts are spent", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const handle = await app.put(job, { n: 1 }, { attempts: 2 });
  for (const attempt of [1, 2]) {
    const doomed = doomedWorker(prefix, { OPTIONS: '{"lease":"2s"}' });
    await until(() => doomed.runs.length === 1);
    expect(doomed.runs[0]).toMatchObject({ attempt });
    await doomed.kill();
    // Somebody has to be there to notice; it knows another job of the queue.
    const other = testApp({ prefix }).pool([defineHandler(defineJob("other", { queue: "work" }), { handle: async () => {} })], { lease: "2s" });
    await until(async () => (await handle.state()) !== "active");
    await other.stop();
  }
  expect(await handle.outcome()).toMatchObject({ state: "failed", error: { message: expect.stringMatching(/worker .* was lost/), attempts: 2 } });
}, 60_000);

test("all that a dead process held comes back, however much it was", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const doomed = doomedWorker(prefix, { OPTIONS: '{"lease":"2s"}' });
  await app.queue(job).putMany(Array.from({ length: 250 }, (_, n) => ({ n })));
  await until(() => doomed.runs.length === 250);
  await doomed.kill();
  const killedAt = performance.now();
  const runs = new Map<number, number>();
  app.pool([defineHandler(job, { handle: async ({ n }, { attempt }) => void runs.set(n, attempt) })]);
  await app.queue(job).join({ timeout: "30s" });
  expect(performance.now() - killedAt).toBeLessThan(15_000);
  expect([...runs.values()]).toEqual(Array.from({ length: 250 }, () => 2));
}, 60_000);

test("what a dead process held by hand comes back by hand, with no pool anywhere", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const doomed = doomedWorker(prefix, { BY_HAND: "yes" });
  await app.put(job, { n: 1 });
  await until(() => doomed.runs.length === 1);
  await doomed.kill();
  const killedAt = performance.now();
  for await (const delivery of app.queue(job).deliveries()) {
    expect(delivery.task.attempt).toBe(2);
    await delivery.ack();
    break;
  }
  expect(performance.now() - killedAt).toBeLessThan(15_000);
}, 40_000);
