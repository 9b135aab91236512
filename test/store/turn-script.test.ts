import { FlowProducer } from "bullmq";
import { expect, onTestFinished, test } from "vitest";
import type { Settlement } from "../../src/store/settle.ts";
import { takeTurn } from "../../src/store/turn-script.ts";
import { redisUrl } from "../support/redis.ts";
import { consumerOf, newJob, openQueue, placesOf, putAll } from "./opened-queue.ts";

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

test.each(["completed", "failed", "delayed", "wait"] as const)("where the key %s is of another type, what cannot go there stays active, and goes once it can", async (place) => {
  for (const many of [1, 3]) {
    const queue = await openQueue();
    const ids = ["a", "b", "c"].slice(0, many);
    await putAll(queue, ids.map((id) => newJob(id)));
    const leased = await consumerOf(queue).reserver.take(many);
    await queue.client.set(queue.keys[place], "of another type");
    const keep = { count: 10 };
    const settlements = leased.map((each): Settlement => {
      if (place === "completed") return { leased: each, kind: "ack", result: "1", keep };
      if (place === "failed") return { leased: each, kind: "fail", reason: "no", stack: [], attempts: 1, keep };
      return { leased: each, kind: "retry", reason: "no", stack: [], delayMs: place === "delayed" ? 60_000 : 0 };
    });
    await expect(takeTurn(queue, settlements, false, undefined)).rejects.toThrow(/WRONGTYPE/);
    expect((await queue.client.lrange(queue.keys.active, 0, -1)).toReversed()).toEqual(ids);
    await queue.client.del(queue.keys[place]);
    expect(await (await takeTurn(queue, settlements, true, undefined)).settled).toEqual(ids.map(() => "done"));
    for (const id of ids) expect(await placesOf(queue, id)).toEqual([place]);
  }
});
