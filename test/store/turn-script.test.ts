import { FlowProducer } from "bullmq";
import { expect, onTestFinished, test } from "vitest";
import { takeTurn } from "../../src/store/turn-script.ts";
import { redisUrl } from "../support/redis.ts";
import { consumerOf, openQueue, placesOf } from "./opened-queue.ts";

test("what a flow owns is neither settled nor unlocked by our script", async () => {
  const queue = await openQueue();
  const producer = new FlowProducer({ connection: { url: redisUrl() }, prefix: queue.prefix });
  onTestFinished(() => producer.close());
  await producer.add({ name: "parent", queueName: queue.name, children: [{ name: "child", queueName: queue.name, opts: { jobId: "child" } }] });
  const [child] = await consumerOf(queue).reserver.take(1);
  const turn = await takeTurn(queue, [{ leased: child!, kind: "ack", result: "1", keep: {} }], false, undefined);
  expect(turn.reserved).toBeUndefined();
  expect(await turn.settled).toEqual(["done"]);
  expect(await placesOf(queue, "child")).toEqual(["completed"]);
});
