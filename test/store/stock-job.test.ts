import { DelayedError, Job, RateLimitError, UnrecoverableError, WaitingChildrenError, WaitingError } from "bullmq";
import { expect, test } from "vitest";
import { limitedForMs, steeringOf, stockJob } from "../../src/store/stock-job.ts";
import { consumerOf, newJob, openQueue, putAll } from "./opened-queue.ts";

test("gives BullMQ's own job, as it stands in Redis now, with the token of the lease", async () => {
  const queue = await openQueue();
  await putAll(queue, [newJob("a", { name: "mail", data: '{"to":"a@b.ch"}', options: '{"attempts":3,"kl":5}', priority: 2 })]);
  const [leased] = await consumerOf(queue).reserver.take(1);
  await queue.client.hset(`${queue.keys.base}a`, "progress", "30");
  const job = await stockJob(queue, leased!);
  expect(job).toBeInstanceOf(Job);
  expect(job).toMatchObject({ id: "a", name: "mail", data: { to: "a@b.ch" }, opts: { attempts: 3, keepLogs: 5 }, progress: 30, attemptsStarted: 1, token: leased!.token, queueName: queue.name });
});

test("tells that a job is gone", async () => {
  const queue = await openQueue();
  await putAll(queue, [newJob("a")]);
  const [leased] = await consumerOf(queue).reserver.take(1);
  await queue.client.del(`${queue.keys.base}a`);
  expect(await stockJob(queue, leased!)).toBeUndefined();
});

test("reads what a processor steers by, from whatever copy of BullMQ it comes", () => {
  expect([new DelayedError(), new WaitingError(), new WaitingChildrenError("later")].map(steeringOf)).toEqual(["moved", "moved", "moved"]);
  expect(steeringOf(new RateLimitError())).toBe("limited");
  expect(steeringOf({ name: "DelayedError" })).toBe("moved");
  expect([new UnrecoverableError("no"), new Error("x"), "text", null, undefined].map(steeringOf)).toEqual([undefined, undefined, undefined, undefined, undefined]);
});

test("tells for how long a queue is rate limited", async () => {
  const queue = await openQueue();
  expect(await limitedForMs(queue)).toBe(0);
  await queue.client.set(queue.keys.limiter, "9007199254740991", "PX", 5000);
  expect(await limitedForMs(queue)).toBeGreaterThan(4000);
});
