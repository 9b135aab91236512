import { expect, test } from "vitest";
import { connectionNames, stockWorkers, waitingConnections } from "../../src/store/consumers.ts";
import { waitConnection } from "../../src/store/marker-wait.ts";
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

test("counts the pools of this queue and prefix, and of its partitions, and no others", () => {
  const mail = { prefix: "bull", name: "mail" };
  const names = [mail, { prefix: "{bull-0}", name: "mail" }, { prefix: "{bull-12}", name: "mail" }].map(waitConnection);
  const others = [{ prefix: "bull", name: "mails" }, { prefix: "bull2", name: "mail" }, { prefix: "{bull2-0}", name: "mail" }, { prefix: "{bull-0}", name: "x:mail" }].map(waitConnection);
  expect(waitingConnections(mail, [...names, ...others])).toBe(3);
  expect(waitingConnections({ prefix: "{bull}", name: "mail" }, names)).toBe(2);
});

test("tells the queues and names of stock workers of a prefix from their connections, whatever these queues are called", async () => {
  const queue = await openQueue();
  const work = (): Promise<void> => Promise.resolve();
  await stockWorker(queue.prefix, work, { name: "a:w:b" }, "post");
  await stockWorker(queue.prefix, work, {}, "été ✉");
  await stockWorker(queue.prefix, work, {}, "post");
  await stockWorker((await openQueue()).prefix, work);
  await until(async () => {
    const found = stockWorkers(queue.prefix, (await connectionNames(queue.client)) ?? []);
    return found.size === 2 && found.get("post")?.toSorted().join() === ",a:w:b" && found.get("été ✉")?.join() === "";
  });
  expect(stockWorkers("bull", ["bull:d29yaw==:qe", "bull:millrace:x", "bull:d29yaw", "bullet:d29yaw==", "wait:bull:d29yaw==", ""])).toEqual(new Map());
});
