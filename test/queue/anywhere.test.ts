import { expect, test } from "vitest";
import { defineJob, defineQueue } from "../../src/index.ts";
import { definitionOf } from "../../src/job/contract.ts";
import { cancelAnywhere, endingOf, progressNow, stateOf } from "../../src/queue/anywhere.ts";
import { OpenQueues } from "../../src/queue/open-queues.ts";
import { partitionsOf } from "../../src/store/partitions.ts";
import { recordedLog } from "../support/app.ts";
import { openQueue } from "../store/opened-queue.ts";
import { stockQueue } from "../interop/stock.ts";

const job = defineJob("work", { queue: defineQueue("work", { partitions: 3 }) });

test("a job is found in its partition, or under the plain prefix, and nowhere else", async () => {
  const { connections, prefix, ...rest } = await openQueue();
  const queues = new OpenQueues(connections, prefix, recordedLog(), () => connections.open(), { replicas: 1, timeoutMs: 1000 });
  const queue = queues.open(definitionOf(job).queue);
  await queue.ready();
  const [plain, ...partitions] = await partitionsOf({ connections, prefix, ...rest });
  const ids = ["a", "b", "c", "d"];
  for (const [n, id] of ids.entries()) {
    const own = partitions.find((each) => each.prefix === queue.at(id).stored.prefix)!;
    const place = n % 2 === 0 ? plain! : own;
    await stockQueue(place.prefix).add("work", n, { jobId: id });
    await place.client.hset(`${place.keys.base}${id}`, "progress", n);
    expect([await stateOf(queue.at(id), id), await progressNow(queue.at(id), id)]).toEqual(["waiting", String(n)]);
    // Another partition has it as little as nobody.
    const wrong = queue.all.find((each) => each.plain !== undefined && each !== queue.at(id))!;
    expect(await stateOf(wrong, id)).toBe(n % 2 === 0 ? "waiting" : "removed");
    const ending = endingOf(queue.at(id), id, undefined);
    expect(await cancelAnywhere(queue.at(id), definitionOf(job), id, "enough")).toBe(true);
    expect(await ending).toMatchObject({ state: "cancelled", reason: "enough" });
    expect(await cancelAnywhere(queue.at(id), definitionOf(job), id, "again")).toBe(false);
  }
  expect(await stateOf(queue.at("e"), "e")).toBe("removed");
  expect(await endingOf(queue.at("e"), "e", undefined)).toEqual({ state: "unknown" });
  expect(await progressNow(queue.at("e"), "e")).toBeUndefined();
  await queues.close();
});
