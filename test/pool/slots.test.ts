import { expect, test } from "vitest";
import { defineHandler, defineJob, OptionError, typed } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { definitionOf } from "../../src/job/contract.ts";
import { PoolSlots, Slots } from "../../src/pool/slots.ts";
import { gauge } from "./gauge.ts";

const job = defineJob("work", { payload: typed<{ n: number }>(), backoff: { type: "fixed", base: 0 } });
const numbers = (count: number) => Array.from({ length: count }, (_, n) => ({ n }));

test.each([1, 2, 7])("never runs more than the pool's concurrency, and reaches it: %i", async (concurrency) => {
  const app = testApp();
  const { seen, handle } = gauge();
  await app.queue(job).putMany(numbers(100));
  app.pool([defineHandler(job, { handle })], { concurrency });
  await app.queue(job).join();
  expect(seen).toEqual({ now: 0, most: concurrency, runs: 100 });
});

test("a handler's own concurrency holds beside a wider one of the same queue, and the pool's holds over both", async () => {
  const app = testApp();
  const other = defineJob("other", { queue: "work", payload: typed<{ n: number }>() });
  const [narrow, wide] = [gauge(), gauge()];
  const all = { now: 0, most: 0 };
  const counted = (handle: () => Promise<void>) => async () => {
    all.most = Math.max(all.most, (all.now += 1));
    await handle();
    all.now -= 1;
  };
  await Promise.all(numbers(60).map((payload) => app.put(payload.n % 2 === 0 ? job : other, payload)));
  app.pool([defineHandler(job, { concurrency: 2, handle: counted(narrow.handle) }), defineHandler(other, { handle: counted(wide.handle) })], { concurrency: 6 });
  await app.queue(job).join();
  expect(narrow.seen).toMatchObject({ most: 2, runs: 30 });
  expect(wide.seen.most).toBeGreaterThan(2);
  expect(wide.seen).toMatchObject({ runs: 30 });
  expect(all.most).toBeLessThanOrEqual(6);
});

test("queues of one pool share its slots, and none starves", async () => {
  const app = testApp();
  const jobs = ["a", "b", "c"].map((name) => defineJob(name, { payload: typed<{ n: number }>() }));
  const { seen, handle } = gauge();
  await Promise.all(jobs.map((each) => app.queue(each).putMany(numbers(40))));
  app.pool(jobs.map((each) => defineHandler(each, { handle })), { concurrency: 3 });
  await Promise.all(jobs.map((each) => app.queue(each).join()));
  expect(seen).toEqual({ now: 0, most: 3, runs: 120 });
});

test("queues take a batch of slots each in turn, first come first served, though one of them can take no more", async () => {
  const pool = new PoolSlots(4);
  const never = new AbortController().signal;
  const ofQueue = (concurrency?: number) => {
    const each = defineJob("each", { payload: typed<{ n: number }>() });
    const handler = defineHandler(each, { ...(concurrency !== undefined && { concurrency }), handle: async () => undefined });
    return new Slots(new Map([["each", { handler, definition: definitionOf(each) }]]), pool);
  };
  const [first, second, third, fourth, capped] = [ofQueue(), ofQueue(), ofQueue(), ofQueue(), ofQueue(1)];
  expect(await capped!.acquire(never)).toBe(1);
  const blocked = capped!.acquire(never);
  expect(await first!.acquire(never)).toBe(2);
  expect(await second!.acquire(never)).toBe(1);
  const waiting = [third!.acquire(never), fourth!.acquire(never)];
  first!.release();
  first!.release();
  expect(await waiting[0]).toBe(2);
  third!.release();
  third!.release();
  expect(await waiting[1]).toBe(2);
  capped!.release();
  expect(await blocked).toBe(1);
});

/** A handler that runs until it is let go, job by job. */
function held() {
  const waiting: (() => void)[] = [];
  const seen = { now: 0 };
  const handle = async (): Promise<void> => {
    seen.now += 1;
    await new Promise<void>((resolve) => waiting.push(resolve));
    seen.now -= 1;
  };
  return { seen, handle, letGo: (count: number) => waiting.splice(0, count).forEach((go) => go()) };
}

test("a pool is scaled while it runs: more begin at once, and once it has shrunk no more run than it has slots", async () => {
  const app = testApp();
  const { seen, handle, letGo } = held();
  await app.queue(job).putMany(numbers(60));
  const pool = app.pool([defineHandler(job, { handle })], { concurrency: 2 });
  await until(() => seen.now === 2);
  pool.scale(8);
  await until(() => seen.now === 8);
  expect(pool.concurrency).toBe(8);
  pool.scale(3);
  expect(pool.concurrency).toBe(3);
  expect(seen.now).toBe(8);
  for (let left = 7; left >= 3; left -= 1) {
    letGo(1);
    await until(() => seen.now === left);
  }
  for (let round = 0; round < 15; round += 1) {
    letGo(3);
    await until(() => seen.now > 0);
    expect(seen.now).toBeLessThanOrEqual(3);
    await until(() => seen.now === 3 || pool.ended + seen.now >= 60);
  }
  pool.scale(5);
  while (pool.ended < 60) {
    letGo(5);
    await until(() => seen.now > 0 || pool.ended === 60);
  }
  expect(() => pool.scale(0)).toThrow(OptionError);
});

test.each([
  { name: "alone in its queue", others: 0 },
  { name: "beside another", others: 1 },
])("a handler's own concurrency holds however the pool is scaled: $name", async ({ others }) => {
  const app = testApp();
  const { seen, handle } = gauge();
  const other = defineJob("other", { queue: "work" });
  await app.queue(job).putMany(numbers(200));
  const pool = app.pool([defineHandler(job, { concurrency: 4, handle }), ...(others === 1 ? [defineHandler(other, { handle: async () => {} })] : [])], { concurrency: 2 });
  await until(() => seen.runs >= 20);
  expect(seen.most).toBe(2);
  pool.scale(50);
  await app.queue(job).join();
  expect(seen).toEqual({ now: 0, most: 4, runs: 200 });
});
