import { Queue } from "bullmq";
import { expect, onTestFinished, test } from "vitest";
import { defineHandler, defineJob, typed } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

test.each([{ every: 200 }, { pattern: "* * * * * *" }])("a run of a schedule (%o) knows the instant it was meant for", async (repeat) => {
  const prefix = freshPrefix();
  const stock = new Queue("ticks", { connection: { url: redisUrl(), maxRetriesPerRequest: null }, prefix });
  onTestFinished(() => stock.close());
  const app = testApp({ prefix });
  const tick = defineJob("tick", { queue: "ticks", payload: typed<object>() });
  const ran: { readonly scheduledAt: Date | undefined; readonly at: number }[] = [];
  app.pool([defineHandler(tick, { handle: async (_, { scheduledAt }) => void ran.push({ scheduledAt, at: Date.now() }) })]);
  await stock.upsertJobScheduler("tick", repeat, { name: "tick", data: {} });
  await until(() => ran.length >= 2);
  await stock.removeJobScheduler("tick");
  const [first, second] = ran;
  expect(second!.scheduledAt!.getTime()).toBeGreaterThan(first!.scheduledAt!.getTime());
  expect(second!.at - second!.scheduledAt!.getTime()).toBeGreaterThanOrEqual(-5);
});

test("a job of no schedule was meant for no instant", async () => {
  const app = testApp();
  const job = defineJob("plain", { result: typed<boolean>() });
  app.pool([defineHandler(job, { handle: async (_, task) => task.scheduledAt === undefined })]);
  expect(await (await app.put(job)).result({ timeout: "10s" })).toBe(true);
});
