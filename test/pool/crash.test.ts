/** A job that ends whatever process runs it, among jobs that do no harm. */
import { expect, test } from "vitest";
import { defineJob, typed } from "../../src/index.ts";
import { testApp } from "../support/app.ts";
import { freshPrefix } from "../support/redis.ts";
import { startWorker, type StartedWorker } from "./start-worker.ts";
import type { Deed } from "./tried-worker.ts";

test("one poison job and nine innocent ones: the nine complete, the poison is a dead letter after the third crash, which it had alone", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const job = defineJob("work", { payload: typed<Deed>(), attempts: 5, backoff: { type: "fixed", base: 0 } });
  const innocent = await Promise.all(Array.from({ length: 9 }, () => app.put(job, { deed: "return", ms: 700 })));
  const poison = await app.put(job, { deed: "die", ms: 300 });
  const workers: StartedWorker[] = [];
  const isOver = Promise.withResolvers<void>();
  const keepOneAlive = async (): Promise<void> => {
    for (let over = false; !over; ) {
      const worker = startWorker(prefix, { lease: "2s", recovery: "fast", concurrency: 10 });
      workers.push(worker);
      over = await Promise.race([worker.ended.then(() => false), isOver.promise.then(() => true)]);
    }
  };
  void keepOneAlive();
  const outcomes = await Promise.all([...innocent, poison].map((handle) => handle.outcome({ timeout: "90s" })));
  isOver.resolve();
  expect(outcomes.map(({ state }) => state)).toEqual([...innocent.map(() => "completed"), "failed"]);
  const runs = workers.flatMap(({ told }) => told.filter(({ event, id }) => event === "start" && id === poison.id));
  expect(runs.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
  expect(runs.at(-1)).toMatchObject({ running: 1 });
  expect(outcomes.at(-1)).toMatchObject({ error: { attempts: 3, message: expect.stringMatching(/lost, 3 times/) } });
}, 120_000);
