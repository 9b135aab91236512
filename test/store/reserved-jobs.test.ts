import { expect, test } from "vitest";
import { readJobs, type ToldJobs } from "../../src/store/reserved-jobs.ts";
import { readStoredJob } from "../../src/store/stored-job.ts";
import { consumerOf, newJob, openQueue, putAll } from "./opened-queue.ts";

test("a job is told as its hash reads, whether it has just what it was put with, less, more, or was started before", async () => {
  const queue = await openQueue();
  const { client, keys } = queue;
  const put = [
    newJob("plain", { data: '{"to":"Zoë"}', priority: 3 }),
    newJob("limited", { timeoutMs: 1000, deadlineMs: 5000 }),
    newJob("started"),
    newJob("empty", { data: "" }),
  ];
  await putAll(queue, put);
  await client.hset(`${keys.base}started`, "ats", "4", "atm", "2", "stacktrace", '["Error: é"]');
  // By a stock producer, who writes no version, alone and under a parent; by one who forgot the delay.
  const stock = { name: "stock", data: "[1]", opts: "{}", timestamp: "1700000000000", delay: "0", priority: "0" };
  const { delay: _, ...undelayed } = stock;
  const others = { stock, undelayed, child: { ...stock, parentKey: "bull:parents:1" }, nameless: { data: "{}" } };
  for (const [id, hash] of Object.entries(others)) {
    await client.hset(keys.base + id, hash);
    await client.lpush(keys.wait, id);
  }
  await client.lpush(keys.wait, "gone");
  const leased = await consumerOf(queue).reserver.take(100);
  expect(leased.map(({ job }) => job.id).toSorted()).toEqual([...put.map(({ id }) => id), ...Object.keys(others), "gone"].toSorted());
  for (const { job } of leased) expect(job).toEqual(readStoredJob(job.id, Object.entries(await client.hgetall(keys.base + job.id)).flat()));
  expect(leased.find(({ job }) => job.id === "started")?.job).toMatchObject({ starts: 5, attemptsMade: 2, stacktrace: ["Error: é"] });
});

test("what is told comes in the order in which it was reserved, and what a job shares with the one before is told once", () => {
  const plain: ToldJobs["plain"] = ["a", "1000", "mail", "{}", "c", "1001", false, "d", "1002", "mail", '{"mv":7}', "e", "1003", false];
  const told: ToldJobs = { plain, data: ["{}", "[]", '"Zoë"', "1"].map((text) => Buffer.from(text)), others: [["name", "sms", "ats", "2", "b", 2], ["gone", 6]] };
  expect(readJobs(told).map(({ id, name, data, putAt, starts, version }) => [id, name, data, putAt, starts, version])).toEqual([
    ["a", "mail", "{}", 1000, 1, undefined],
    ["b", "sms", undefined, 0, 2, undefined],
    ["c", "mail", "[]", 1001, 1, undefined],
    ["d", "mail", '"Zoë"', 1002, 1, 7],
    ["e", "mail", "1", 1003, 1, 7],
    ["gone", "", undefined, 0, 0, undefined],
  ]);
  expect(readJobs({ plain: [], data: [], others: [] })).toEqual([]);
});
