/** Runs one job to its end. */
import type { JobOptions } from "../../src/job/contract.ts";
import { defineHandler, defineJob, typed, type JobTask } from "../../src/index.ts";
import { testApp } from "../support/app.ts";
import { freshPrefix, redisClient } from "../support/redis.ts";

type Payload = ReturnType<typeof typed<{ n: number }>>;
type Result = ReturnType<typeof typed<unknown>>;
export type Handle = (payload: { n: number }, task: JobTask) => unknown;

const atOnce = { type: "fixed", base: 0 } as const;

/** Puts one job, runs it until it has ended, and says how. */
export async function ran(handle: Handle, options: Partial<JobOptions<Payload, Result>> = {}) {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const job = defineJob("work", { payload: typed<{ n: number }>(), result: typed<unknown>(), backoff: atOnce, ...options });
  const attempts: number[] = [];
  const handler = defineHandler(job, { handle: (payload, task) => (attempts.push(task.attempt), handle(payload, task)) as Promise<unknown> });
  app.pool([handler]);
  const put = await app.put(job, { n: 1 });
  const outcome = await put.outcome({ timeout: "15s" });
  const hash = await redisClient().hgetall(`${prefix}:work:${put.id}`);
  const counts = await app.queue(job).counts();
  return { outcome, attempts, hash, counts, app, prefix };
}
