import { expect, test } from "vitest";
import { defineHandler, defineJob, sleep, typed, type Pool } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { freshPrefix, redisClient } from "../support/redis.ts";

const job = defineJob("work", { payload: typed<{ n: number }>(), backoff: { type: "fixed", base: 0 }, keep: { completed: { count: 10_000 } } });

test("ten restarts under load, each interrupting what runs: nothing is lost, nothing fails, no attempt is spent", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const queue = app.queue(job);
  const done: number[] = [];
  let interrupted = 0;
  const handler = defineHandler(job, {
    async handle({ n }, { signal }) {
      await sleep(30, { signal }).catch((error: unknown) => {
        interrupted += 1;
        throw error;
      });
      done.push(n);
    },
  });
  const start = (): Pool => testApp({ prefix }).pool([handler], { concurrency: 10 });
  const putting = queue.putMany(Array.from({ length: 1500 }, (_, n) => ({ n })));
  let pool = start();
  for (let restart = 0; restart < 10; restart += 1) {
    await until(() => pool.running > 0 || done.length === 1500);
    const next = start();
    await pool.stop({ drain: restart % 2 === 0 ? 0 : 10 });
    pool = next;
  }
  expect(await putting).toBe(1500);
  await queue.join({ timeout: "30s" });
  // Each once: what was interrupted did not get so far, and what was done was not run again.
  expect(done.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 1500 }, (_, n) => n));
  expect(interrupted).toBeGreaterThan(0);
  expect(await queue.counts()).toMatchObject({ completed: 1500, failed: 0 });
  const redis = redisClient();
  const ids = await redis.zrange(`${prefix}:work:completed`, "0", "-1");
  const attempts = await Promise.all(ids.map((id) => redis.hget(`${prefix}:work:${id}`, "atm")));
  expect(new Set(attempts)).toEqual(new Set(["1"]));
  await pool.stop();
}, 60_000);
