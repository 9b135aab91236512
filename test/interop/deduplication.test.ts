import { Job } from "bullmq";
import { expect, test } from "vitest";
import { defineHandler, defineJob, typed } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { freshPrefix, redisClient } from "../support/redis.ts";
import { stockQueue } from "./stock.ts";

const once = defineJob("once", { queue: "work", payload: typed<{ n: number }>(), attempts: 1 });

test("a stock job's deduplication id holds while our pool has it, and is released when it completes or fails", async () => {
  const prefix = freshPrefix();
  const stock = stockQueue(prefix);
  const app = testApp({ prefix });
  const gates = new Map<number, PromiseWithResolvers<void>>([1, 2, 3].map((n) => [n, Promise.withResolvers()]));
  const started: number[] = [];
  app.pool([defineHandler(once, { handle: ({ n }) => (started.push(n), gates.get(n)!.promise) })]);
  const add = async (n: number): Promise<string> => (await stock.add("once", { n }, { deduplication: { id: "same" } })).id!;
  const first = await add(1);
  await until(() => started.length === 1);
  expect(await add(2)).toBe(first);
  gates.get(1)!.resolve();
  await until(async () => (await (await Job.fromId(stock, first))!.getState()) === "completed");
  const second = await add(2);
  expect(second).not.toBe(first);
  await until(() => started.length === 2);
  gates.get(2)!.reject(new Error("broken"));
  await until(async () => (await (await Job.fromId(stock, second))!.getState()) === "failed");
  expect(await add(3)).not.toBe(second);
  gates.get(3)!.resolve();
  await app.queue(once).join({ timeout: "10s" });
  expect(started).toEqual([1, 2, 3]);
});

test("a deduplication window that outlasts the job is kept, and what was held back while it ran is run after it", async () => {
  const prefix = freshPrefix();
  const stock = stockQueue(prefix);
  const app = testApp({ prefix });
  const gate = Promise.withResolvers<void>();
  const ran: number[] = [];
  app.pool([defineHandler(once, { handle: async ({ n }) => (ran.push(n), n === 1 ? gate.promise : undefined) })]);
  const window = { id: "window", ttl: 60_000 };
  await stock.add("once", { n: 10 }, { deduplication: window });
  await until(() => ran.includes(10));
  await app.queue(once).join({ timeout: "10s" });
  await stock.add("once", { n: 11 }, { deduplication: window });
  expect(await redisClient().pttl(`${prefix}:work:de:window`)).toBeGreaterThan(0);

  const last = { id: "last", keepLastIfActive: true };
  await stock.add("once", { n: 1 }, { deduplication: last });
  await until(() => ran.includes(1));
  await stock.add("once", { n: 2 }, { deduplication: last });
  await stock.add("once", { n: 3 }, { deduplication: last });
  gate.resolve();
  await until(() => ran.includes(3));
  await app.queue(once).join({ timeout: "10s" });
  expect(ran).toEqual([10, 1, 3]);
  expect(await redisClient().exists(`${prefix}:work:de:last`)).toBe(0);
});
