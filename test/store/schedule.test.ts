import { expect, test } from "vitest";
import { BackendError } from "../../src/errors.ts";
import { planNextRun } from "../../src/store/schedule.ts";
import { stockQueue } from "../interop/stock.ts";
import { failure } from "../support/outcome.ts";
import { startRedis } from "../support/redis.ts";
import { consumerOf, newJob, openQueue, putAll } from "./opened-queue.ts";

test("plans the run after this one, once, with the schedule's own data and this run's options", async () => {
  const queue = await openQueue();
  const stock = stockQueue(queue.prefix, queue.name);
  await stock.upsertJobScheduler("every", { every: 60_000 }, { name: "tick", data: { of: "x" }, opts: { attempts: 7, priority: 2 } });
  const [run] = await consumerOf(queue).reserver.take(1);
  for (let n = 0; n < 3; n += 1) await planNextRun(queue, run!.job);
  const delayed = await stock.getDelayed();
  expect(delayed).toHaveLength(1);
  expect(delayed[0]).toMatchObject({ name: "tick", data: { of: "x" }, repeatJobKey: "every", opts: { attempts: 7, priority: 2 } });
  expect(Number(delayed[0]!.id!.split(":").at(-1)) - Number(run!.job.id.split(":").at(-1))).toBe(60_000);
});

test("a job of no schedule plans nothing, nor one whose schedule was removed", async () => {
  const queue = await openQueue();
  const stock = stockQueue(queue.prefix, queue.name);
  await putAll(queue, [newJob("plain")]);
  await stock.upsertJobScheduler("gone", { every: 60_000 }, { name: "tick" });
  const held = await consumerOf(queue).reserver.take(2);
  await stock.removeJobScheduler("gone");
  for (const { job } of held) await planNextRun(queue, job);
  expect(await queue.client.zcard(queue.keys.delayed)).toBe(0);
});

test("a rule that is none is told as such, an outage as a BackendError", async () => {
  const server = await startRedis();
  const queue = await openQueue({ url: server.url });
  const run = { ...(await one()), schedulerId: "s" };
  async function one() {
    await putAll(queue, [newJob("x")]);
    return (await consumerOf(queue).reserver.take(1))[0]!.job;
  }
  const broken = await failure(planNextRun(queue, { ...run, options: { repeat: { pattern: "not a pattern" } } }));
  expect(broken.error).toBeInstanceOf(Error);
  expect(broken.error).not.toBeInstanceOf(BackendError);
  server.pause();
  const outage = await failure(planNextRun(queue, { ...run, options: { repeat: { every: 1000 } } }));
  expect(outage.error).toBeInstanceOf(BackendError);
  expect(outage.tookMs).toBeLessThan(6000);
  server.resume();
});
