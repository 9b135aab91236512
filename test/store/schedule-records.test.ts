import { expect, test } from "vitest";
import { readSchedules, removeSchedule, writeSchedule } from "../../src/store/schedule-records.ts";
import { pauseSchedule } from "../../src/store/schedules.ts";
import { stockQueue } from "../interop/stock.ts";
import { openQueue } from "./opened-queue.ts";

test("a schedule is there with its rule; one that was there keeps its own, and the later run", async () => {
  const [one, other] = [await openQueue(), await openQueue()];
  await stockQueue(one.prefix).upsertJobScheduler("nightly", { pattern: "0 0 3 * * *" }, { name: "night", data: { n: 1 } });
  const [nightly] = await readSchedules(one);
  expect(await writeSchedule(other, nightly!)).toBe(true);
  expect(await readSchedules(other)).toEqual([nightly]);
  expect((await stockQueue(other.prefix).getJobScheduler("nightly"))?.template?.data).toEqual({ n: 1 });
  expect(await writeSchedule(other, { ...nightly!, at: Number(nightly!.at) - 1000, fields: { pattern: "none" } })).toBe(false);
  expect(await readSchedules(other)).toEqual([nightly]);
});

test("a paused schedule stays one, and is no other that is there", async () => {
  const [one, other] = [await openQueue(), await openQueue()];
  await stockQueue(one.prefix).upsertJobScheduler("nightly", { pattern: "0 0 3 * * *" }, { name: "night", data: { n: 1 } });
  const [running] = await readSchedules(one);
  await pauseSchedule(one, "nightly");
  const [paused] = await readSchedules(one);
  expect(paused).toEqual({ ...running, at: null });
  expect([await writeSchedule(other, paused!), await writeSchedule(other, running!)]).toEqual([true, false]);
  expect(await readSchedules(other)).toEqual([paused]);
  expect(await stockQueue(other.prefix).getJobSchedulers()).toEqual([]);
  expect(await removeSchedule(other, "nightly")).toBe(true);
  expect([await writeSchedule(other, running!), await writeSchedule(other, paused!)]).toEqual([true, false]);
  expect(await readSchedules(other)).toEqual([running]);
});

test("a schedule is not removed while its next run is there", async () => {
  const queue = await openQueue();
  const stock = stockQueue(queue.prefix);
  await stock.upsertJobScheduler("nightly", { pattern: "0 0 3 * * *" });
  expect(await removeSchedule(queue, "nightly")).toBe(false);
  const [run] = await stock.getDelayed();
  await queue.client.del(`${queue.keys.base}${run!.id}`);
  expect(await removeSchedule(queue, "nightly")).toBe(true);
  expect(await readSchedules(queue)).toEqual([]);
});
