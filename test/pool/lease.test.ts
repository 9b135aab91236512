/** Leases of a pool that cannot tend to them: its event loop is blocked, its process stopped, its Redis paused. */
import { expect, test } from "vitest";
import { defineHandler, defineJob, sleep, typed } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { freshPrefix, redisClient, startRedis } from "../support/redis.ts";
import { startWorker } from "./start-worker.ts";
import type { Deed } from "./tried-worker.ts";

const job = defineJob("work", { payload: typed<Deed>(), attempts: 5, backoff: { type: "fixed", base: 0 } });

/** A pool in this process that would take what another loses. */
function standBy(prefix: string): { readonly id: string; readonly attempt: number; readonly fence: number }[] {
  const ran: { id: string; attempt: number; fence: number }[] = [];
  const handler = defineHandler(job, { handle: async (_, { id, attempt, fence }) => void ran.push({ id, attempt, fence: Number(fence) }) });
  testApp({ prefix }).pool([handler], { lease: "2s" });
  return ran;
}

test("handlers that block the event loop for longer than the lease keep their jobs, and those beside them: nothing runs twice", async () => {
  const prefix = freshPrefix();
  const { told } = startWorker(prefix, { lease: "2s", concurrency: 4 });
  const app = testApp({ prefix });
  const handles = await app.queue(job).putMany([{ deed: "block", ms: 4000 }, { deed: "block", ms: 4000 }, { deed: "return" }, { deed: "return" }]);
  expect(handles).toBe(4);
  await until(() => told.length > 0);
  const ran = standBy(prefix);
  await app.queue(job).join({ timeout: "25s" });
  const runs = [...told.filter(({ event }) => event === "start"), ...ran];
  expect(runs.map(({ attempt }) => attempt)).toEqual([1, 1, 1, 1]);
  expect(told.filter(({ event }) => event === "abort")).toEqual([]);
  const ids = await redisClient().zrange(`${prefix}:work:completed`, "0", "-1");
  expect(ids.toSorted()).toEqual(runs.map(({ id }) => id).toSorted());
}, 60_000);

test("a process that was stopped for longer than its lease hears of it within a second of its wake, and its result counts for nothing", async () => {
  const prefix = freshPrefix();
  const { child, told } = startWorker(prefix, { lease: "2s", concurrency: 1 });
  const handle = await testApp({ prefix }).put(job, { deed: "wait" });
  await until(() => told.length === 1);
  // Until its lease was renewed.
  const redis = redisClient();
  let left = 2000;
  await until(async () => {
    const before = left;
    left = await redis.pttl(`${prefix}:work:${handle.id}:lock`);
    return left > before;
  });
  child.kill("SIGSTOP");
  const ran = standBy(prefix);
  await handle.result({ timeout: "25s" });
  expect(ran).toMatchObject([{ attempt: 2 }]);
  expect(ran[0]!.fence).toBeGreaterThan(told[0]!.fence);
  const wokenAt = Date.now();
  child.kill("SIGCONT");
  await until(() => told.some(({ event }) => event === "end"));
  const lost = told.find(({ event }) => event === "abort");
  expect(lost).toMatchObject({ code: "LEASE_LOST" });
  expect(lost!.at - wokenAt).toBeLessThan(1000);
  expect(ran).toHaveLength(1);
  expect(await redis.hget(`${prefix}:work:${handle.id}`, "atm")).toBe("2");
}, 60_000);

test("a Redis that pauses for longer than the lease costs no run: what nobody took is still held, and acknowledged", async () => {
  const redis = await startRedis();
  const prefix = freshPrefix();
  const [app, other] = [testApp({ redis: redis.url, prefix }), testApp({ redis: redis.url, prefix })];
  const starts: string[] = [];
  const gate = Promise.withResolvers<void>();
  const handler = defineHandler(job, {
    async handle(_, { id, attempt }) {
      starts.push(`${id} ${attempt}`);
      await gate.promise;
    },
  });
  app.pool([handler], { lease: "2s", concurrency: 10 });
  await app.queue(job).putMany(Array.from({ length: 10 }, () => ({ deed: "return" }) as const));
  await until(() => starts.length === 10);
  other.pool([handler], { lease: "2s", concurrency: 10 });
  await other.ready();
  redis.pause();
  await sleep(2000);
  gate.resolve();
  await sleep(3000);
  redis.resume();
  await app.queue(job).join({ timeout: "25s" });
  expect(starts).toHaveLength(10);
  expect(await app.queue(job).counts()).toMatchObject({ completed: 10, failed: 0 });
}, 60_000);
