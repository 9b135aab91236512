import { expect, test } from "vitest";
import { nextRunOf, pauseSchedule, readSchedules, writeSchedule } from "../../src/store/schedules.ts";
import { openQueue } from "./opened-queue.ts";

test("one that stands in both places, as after a break in the middle, is the one that runs", async () => {
  const queue = await openQueue();
  const schedule = { id: "tick", name: "n", rule: { every: 60_000 }, data: '{"n":1}', options: "{}" };
  await writeSchedule(queue, schedule);
  await pauseSchedule(queue, "tick");
  expect(await readSchedules(queue)).toMatchObject([{ ...schedule, nextAt: undefined }]);
  const aside = await queue.client.hgetall(`${queue.keys.base}millrace:paused-schedules`);
  await writeSchedule(queue, { ...schedule, data: '{"n":2}' });
  await queue.client.hset(`${queue.keys.base}millrace:paused-schedules`, aside);
  expect(await readSchedules(queue)).toMatchObject([{ data: '{"n":2}', nextAt: expect.any(Number) as number }]);
});

test("reading removes nothing, not even what BullMQ could not read", async () => {
  const queue = await openQueue();
  await queue.client.zadd(queue.keys.repeat, 5, "broken");
  expect(await readSchedules(queue)).toEqual([{ id: "broken", name: "", rule: {}, data: "{}", options: "{}", nextAt: 5, runs: 0 }]);
  expect(await queue.client.zcard(queue.keys.repeat)).toBe(1);
});

test("a pattern is read in its time zone", async () => {
  const [utc, zurich] = await Promise.all([nextRunOf({ pattern: "0 7 * * *", tz: "UTC" }), nextRunOf({ pattern: "0 7 * * *", tz: "Europe/Zurich" })]);
  expect(Math.abs(utc! - zurich!) % 3_600_000).toBe(0);
  expect(utc).not.toBe(zurich);
  await expect(nextRunOf({ pattern: "61 * * * *" })).rejects.toThrow("expected a cron pattern");
});
