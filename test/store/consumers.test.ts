import { expect, test } from "vitest";
import { connectionNames, waitingConnections } from "../../src/store/consumers.ts";
import { stockWorker } from "../interop/stock.ts";
import { until } from "../support/app.ts";
import { openQueue } from "./opened-queue.ts";

test("counts stock workers of this queue and prefix, with a name or without, and no others", async () => {
  // Pools are counted by the queue's name alone, and others work on queues of the usual one.
  const queue = { ...(await openQueue()), name: "counted" };
  const work = (): Promise<void> => Promise.resolve();
  const waiting = async (): Promise<number> => waitingConnections(queue, (await connectionNames(queue.client)) ?? []);
  expect(await waiting()).toBe(0);
  await stockWorker(queue.prefix, work, {}, "counted");
  await stockWorker(queue.prefix, work, { name: "a" }, "counted");
  await stockWorker(queue.prefix, work, {}, "other");
  await stockWorker((await openQueue()).prefix, work, {}, "counted");
  await until(async () => (await waiting()) === 2);
});
