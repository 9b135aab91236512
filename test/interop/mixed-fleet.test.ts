import { expect, test } from "vitest";
import { defineHandler, defineJob, typed } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { freshPrefix } from "../support/redis.ts";
import { stockEvents, stockQueue, stockWorker } from "./stock.ts";

const job = defineJob("work", { payload: typed<{ n: number }>(), attempts: 3, backoff: { type: "fixed", base: 0 }, keep: { completed: { count: 10_000 } } });

test("stock Workers and our pools share one queue: every job of either producer runs once, and all take part", async () => {
  const prefix = freshPrefix();
  const stock = stockQueue(prefix);
  const apps = [testApp({ prefix }), testApp({ prefix })];
  const ran = new Map<string, string[]>();
  const run = async (by: string, id: string): Promise<void> => void ran.set(id, [...(ran.get(id) ?? []), by]);
  for (const [n, app] of apps.entries()) app.pool([defineHandler(job, { handle: (_payload, { id }) => run(`pool ${n}`, id) })], { concurrency: 5 });
  await stockWorker(prefix, ({ id }) => run("stock", id!), { concurrency: 5 });
  const bulk = Array.from({ length: 300 }, (_, n) => ({ name: "work", data: { n } }));
  await Promise.all([stock.addBulk(bulk), apps[0]!.queue(job).putMany(bulk.map(({ data }) => data))]);
  await apps[0]!.queue(job).join({ timeout: "25s" });
  expect(ran.size).toBe(600);
  expect([...ran.values()].filter((by) => by.length !== 1)).toEqual([]);
  expect(new Set([...ran.values()].flat())).toEqual(new Set(["pool 0", "pool 1", "stock"]));
  expect(await stock.getJobCounts("completed", "failed", "active", "waiting")).toEqual({ completed: 600, failed: 0, active: 0, waiting: 0 });
});

test("attempts of one job are counted across stock Workers and our pool", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const tried: string[] = [];
  const attempt = async (by: string): Promise<void> => {
    tried.push(by);
    throw new Error(`${by} cannot`);
  };
  const many = defineJob("work", { payload: typed<{ n: number }>(), attempts: 12, backoff: { type: "fixed", base: 0 } });
  app.pool([defineHandler(many, { handle: () => attempt("ours") })], { concurrency: 1 });
  await stockWorker(prefix, () => attempt("stock"));
  const puts = await Promise.all([1, 2, 3].map((n) => app.put(many, { n })));
  const outcomes = await Promise.all(puts.map((put) => put.outcome({ timeout: "20s" })));
  expect(outcomes.map((outcome) => outcome.state === "failed" && outcome.error.attempts)).toEqual([12, 12, 12]);
  expect(tried).toHaveLength(36);
});

test("whoever is idle is woken for what the others leave: short jobs do not wait behind a long one", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const { names } = await stockEvents(prefix);
  const gate = Promise.withResolvers<void>();
  const held: string[] = [];
  const hold = (by: string): Promise<void> => (held.push(by), gate.promise);
  app.pool([defineHandler(job, { handle: () => hold("ours") })], { concurrency: 2 });
  await stockWorker(prefix, () => hold("stock"), { concurrency: 2 });
  await app.queue(job).putMany([{ n: 1 }, { n: 2 }, { n: 3 }, { n: 4 }]);
  const startedAt = performance.now();
  await until(() => held.length === 4);
  expect(performance.now() - startedAt).toBeLessThan(2000);
  expect(held.toSorted()).toEqual(["ours", "ours", "stock", "stock"]);
  gate.resolve();
  await until(() => names.includes("drained"));
});

test("delayed jobs are on time for whoever is free, though the one that waited for them is busy", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const gate = Promise.withResolvers<void>();
  const ranAt = new Map<string, number>();
  const handle = async (id: string): Promise<void> => {
    ranAt.set(id, Date.now());
    if (id.startsWith("long")) await gate.promise;
  };
  app.pool([defineHandler(job, { handle: (_payload, { id }) => handle(id) })], { concurrency: 1 });
  await stockWorker(prefix, ({ id }) => handle(id!));
  const putAt = Date.now();
  await app.put(job, { n: 0 }, { id: "soon", delay: 900 });
  await app.put(job, { n: 0 }, { id: "long", delay: 300 });
  await until(() => ranAt.has("soon"));
  expect(ranAt.get("soon")! - putAt).toBeGreaterThanOrEqual(895);
  expect(ranAt.get("soon")! - putAt).toBeLessThan(3000);
  gate.resolve();
});
