import { expect, test } from "vitest";
import { listJobs } from "../../src/admin/jobs.ts";
import { NotFoundError, OptionError } from "../../src/errors.ts";
import { failJobs, stockQueue } from "../interop/stock.ts";
import { all, testOperator } from "./opened-operator.ts";

test("lists the jobs that stock BullMQ put and ran, what is next first, what has ended last", async () => {
  const operator = testOperator();
  const stock = stockQueue(operator.prefix);
  await failJobs(stock, operator.prefix, [{ name: "bad" }], () => Promise.reject(new Error("no such address")));
  await stock.addBulk([{ name: "later", data: 1, opts: { delay: 60_000 } }, { name: "first", data: 1 }, { name: "second", data: 1 }]);
  const jobs = await all(listJobs(operator, "work"));
  expect(jobs.map(({ name, state }) => `${name} ${state}`)).toEqual(["first waiting", "second waiting", "later delayed", "bad failed"]);
  expect(jobs[3]).toMatchObject({ queue: "work", id: "1", attempts: 1, reason: "no such address" });
  const named = async (filter: Parameters<typeof listJobs>[2]): Promise<string[]> => (await all(listJobs(operator, "work", filter))).map(({ name }) => name);
  expect(await named({ state: "waiting", limit: 1 })).toEqual(["first"]);
  expect(await named({ error: "address" })).toEqual(["bad"]);
  expect(await named({ older: "1h" })).toEqual([]);
  expect(await named({ limit: 3 })).toEqual(["first", "second", "later"]);
});

test("refuses what is none before any I/O, and a queue that is not there", async () => {
  const nowhere = testOperator({ redis: "redis://127.0.0.1:1" });
  expect(() => listJobs(nowhere, "work", { state: "waitng" as never })).toThrow('did you mean "waiting"?');
  expect(() => listJobs(nowhere, "a:b")).toThrow(OptionError);
  await expect(all(listJobs(testOperator(), "work"))).rejects.toThrow(NotFoundError);
});

test("reads the next page while one is given", async () => {
  const operator = testOperator();
  await operator.ready();
  const { client, keys } = operator.queue("work");
  await client.zadd(keys.failed, ...Array.from({ length: 1000 }, (_, i) => [i, String(i).padStart(4, "0")]).flat());
  const ids: string[] = [];
  for await (const { id } of listJobs(operator, "work", { state: "failed" })) {
    if (ids.push(id) === 1) await client.zrem(keys.failed, "0007"); // of the second page, which was asked for by then
  }
  expect(ids).toContain("0007");
  expect(ids.length).toBe(1000);
});
