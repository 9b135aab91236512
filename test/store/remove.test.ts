import { expect, test } from "vitest";
import { removeJobs, removeOne } from "../../src/store/remove.ts";
import { stockFlows, stockQueue } from "../interop/stock.ts";
import { consumerOf, eventsOf, newJob, openQueue, putAll, waitingIds } from "./opened-queue.ts";

const ids = (count: number): string[] => Array.from({ length: count }, (_, i) => `job-${i}`);

test("takes waiting jobs out of the middle of a list, with all that is kept of them", async () => {
  const queue = await openQueue();
  await putAll(queue, ids(6000).map((id) => newJob(id)));
  await queue.client.rpush(`${queue.keys.base}job-3000:logs`, "line");
  const asked = ids(6000).filter((_, i) => i % 2 === 0 && i >= 2800 && i < 3200);
  expect((await removeJobs(queue, "waiting", asked, 2800)).size).toBe(200);
  expect(await waitingIds(queue)).toEqual(ids(6000).filter((id) => !asked.includes(id)));
  expect(await queue.client.keys(`${queue.keys.base}job-3000*`)).toEqual([]);
  expect((await eventsOf(queue)).slice(-1)).toEqual(["removed job-3198"]);
});

test("finds those that are not where they were, and leaves those that are gone", async () => {
  const queue = await openQueue();
  await putAll(queue, ids(9000).map((id) => newJob(id)));
  expect([...(await removeJobs(queue, "waiting", ["job-1", "job-8999", "nobody"], 6500))]).toEqual(["job-1", "job-8999"]);
  expect(await queue.client.llen(queue.keys.wait)).toBe(8998);
});

test("removes from where older BullMQ put the jobs of a paused queue", async () => {
  const queue = await openQueue();
  await putAll(queue, [newJob("a")]);
  await queue.client.rename(queue.keys.wait, queue.keys.paused);
  await putAll(queue, [newJob("b")]);
  expect([...(await removeJobs(queue, "waiting", ["a", "b"]))]).toEqual(["b", "a"]);
});

test("frees the deduplication id, and leaves the next run of a schedule and what is leased", async () => {
  const queue = await openQueue();
  const stock = stockQueue(queue.prefix);
  const once = await stock.add("n", 1, { delay: 60_000, deduplication: { id: "d" } });
  await stock.upsertJobScheduler("daily", { every: 86_400_000 });
  const runs = (await stock.getJobs(["delayed", "waiting"])).map(({ id }) => id!).filter((id) => id.startsWith("repeat:"));
  expect([...(await removeJobs(queue, "delayed", [once.id!, ...runs]))]).toEqual([once.id]);
  expect(await stock.getDeduplicationJobId("d")).toBeNull();
  await putAll(queue, [newJob("held")]);
  await consumerOf(queue).reserver.take(5);
  expect((await removeJobs(queue, "waiting", ["held"])).size).toBe(0);
  expect(await removeOne(queue, "held")).toBe(false);
});

test("a job of a flow goes with the children that it waits for; a child's parent goes on without it", async () => {
  const queue = await openQueue();
  const flows = stockFlows(queue.prefix);
  const whole = await flows.add({ name: "parent", queueName: "work", children: [{ name: "child", queueName: "work" }] });
  expect([...(await removeJobs(queue, "waiting-children", [whole.job.id!]))]).toEqual([whole.job.id]);
  expect(await queue.client.llen(queue.keys.wait)).toBe(0);
  const other = await flows.add({ name: "parent", queueName: "parents", children: [{ name: "child", queueName: "work" }] });
  expect((await removeJobs(queue, "waiting", [other.children![0]!.job.id!])).size).toBe(1);
  expect(await stockQueue(queue.prefix, "parents").getJobCounts("waiting")).toEqual({ waiting: 1 });
});
