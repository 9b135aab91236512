import { expect, test } from "vitest";
import { defineHandler, defineJob, typed } from "../../src/index.ts";
import { testApp } from "../support/app.ts";
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
