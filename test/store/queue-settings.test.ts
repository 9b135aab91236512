import { expect, test } from "vitest";
import { isPaused, setPaused } from "../../src/store/queue-settings.ts";
import { stockQueue } from "../interop/stock.ts";
import { openQueue } from "./opened-queue.ts";

test("a queue is paused as BullMQ pauses it, and resumed", async () => {
  const queue = await openQueue();
  const stock = stockQueue(queue.prefix);
  await stock.add("n", 1);
  await setPaused(queue, true);
  expect([await isPaused(queue), await stock.isPaused()]).toEqual([true, true]);
  await stock.resume();
  expect(await isPaused(queue)).toBe(false);
});
