import { expect, test } from "vitest";
import { readSchedules, readSettings, removeSchedule, writeSchedule, writeSettings } from "../../src/store/queue-records.ts";
import { stockQueue } from "../interop/stock.ts";
import { openQueue } from "./opened-queue.ts";

test("settings are those that an operator sets; what a queue has is kept", async () => {
  const [one, other] = [await openQueue(), await openQueue()];
  const stock = stockQueue(one.prefix);
  await stock.setGlobalConcurrency(3);
  await stock.pause();
  const settings = await readSettings(one);
  expect(settings).toEqual({ concurrency: "3", paused: "1" });
  await writeSettings(other, { concurrency: "9" });
  await writeSettings(other, settings);
  expect(await readSettings(other)).toEqual({ concurrency: "9", paused: "1" });
});

test("a schedule is there with its rule; one that was there keeps its own, and the later run", async () => {
  const [one, other] = [await openQueue(), await openQueue()];
  await stockQueue(one.prefix).upsertJobScheduler("nightly", { pattern: "0 0 3 * * *" }, { name: "night", data: { n: 1 } });
  const [nightly] = await readSchedules(one);
  expect(await writeSchedule(other, nightly!)).toBe(true);
  expect(await readSchedules(other)).toEqual([nightly]);
  expect((await stockQueue(other.prefix).getJobScheduler("nightly"))?.template?.data).toEqual({ n: 1 });
  expect(await writeSchedule(other, { ...nightly!, at: nightly!.at - 1000, fields: { pattern: "none" } })).toBe(false);
  expect(await readSchedules(other)).toEqual([nightly]);
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
