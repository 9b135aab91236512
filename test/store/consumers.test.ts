import { expect, test } from "vitest";
import { connectionNames, waitingConnections } from "../../src/store/consumers.ts";
import { stockWorker } from "../interop/stock.ts";
import { until } from "../support/app.ts";
import { openQueue } from "./opened-queue.ts";

test("counts stock workers of this queue and prefix, with a name or without, and no others", async () => {
  const queue = await openQueue();
  const work = (): Promise<void> => Promise.resolve();
  const waiting = async (): Promise<number> => waitingConnections(queue, (await connectionNames(queue.client)) ?? []);
  expect(await waiting()).toBe(0);
  await stockWorker(queue.prefix, work);
  await stockWorker(queue.prefix, work, { name: "a" });
  await stockWorker(queue.prefix, work, {}, "other");
  await stockWorker((await openQueue()).prefix, work);
  await until(async () => (await waiting()) === 2);
});
