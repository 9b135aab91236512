import { Job } from "bullmq";
import { expect, test } from "vitest";
import { readStoredJob } from "../../src/store/stored-job.ts";
import { redisClient } from "../support/redis.ts";
import { stockFlows, stockQueue } from "../interop/stock.ts";
import { freshPrefix } from "../support/redis.ts";

const read = (hash: Readonly<Record<string, string>>): ReturnType<typeof readStoredJob> => readStoredJob("id", Object.entries(hash).flat());

test("reads what our put, pools and BullMQ's workers write of a job", () => {
  const job = read({
    name: "n", data: '{"a":1}', opts: '{"attempts":3,"mv":2}', timestamp: "1763800000000", delay: "0", priority: "5", mt: "500", md: "600", mx: "1763800000002", mc: "asked", ats: "3", atm: "2", mu: "1763800000001",
    stacktrace: '["one","two"]', defa: "a child has failed", rjk: "nightly", stc: "2",
  });
  expect(job).toEqual({
    id: "id", name: "n", data: '{"a":1}', options: { attempts: 3, mv: 2 }, putAt: 1763800000000, version: 2, timeoutMs: 500, deadlineMs: 600, expireAt: 1763800000002, cancelReason: "asked", starts: 3, attemptsMade: 2,
    unknownSince: 1763800000001, stacktrace: ["one", "two"], deferredFailure: "a child has failed", schedulerId: "nightly", isLinked: false, crashes: 2,
  });
});

test("a job of which nothing is left is one without a name and without data", () => {
  expect(read({ processedOn: "1" })).toMatchObject({ name: "", data: undefined, options: {}, attemptsMade: 0, starts: 0, stacktrace: [], version: undefined });
});

test("fields that are not of their form count as absent", () => {
  for (const opts of ["", "null", "7", '"text"', "{broken", "undefined"]) expect(read({ opts }).options).toEqual({});
  for (const stacktrace of ["", "null", "7", "[broken"]) expect(read({ stacktrace }).stacktrace).toEqual([]);
  expect(read({ stacktrace: '["a",7,null]' }).stacktrace).toEqual(["a"]);
  expect(read({ atm: "many", ats: "NaN", opts: '{"mv":"2"}', timestamp: "Infinity" })).toMatchObject({ attemptsMade: 0, starts: 0, version: undefined, putAt: 0 });
});

test("reads the options of a stock job as a stock worker does, short names and all", async () => {
  const prefix = freshPrefix();
  const stock = stockQueue(prefix);
  const options = {
    attempts: 4, backoff: { type: "exponential", delay: 100, jitter: 0.5 }, priority: 3, lifo: true, removeOnComplete: { age: 60, count: 10, limit: 5 }, removeOnFail: true,
    keepLogs: 20, stackTraceLimit: 2, deduplication: { id: "d", ttl: 5 }, sizeLimit: 1000,
  };
  const { id } = await stock.add("n", { a: 1 }, options);
  const hash = await redisClient().hgetall(`${prefix}:work:${id}`);
  const { opts } = (await Job.fromId(stock, id!))!;
  expect({ ...readStoredJob(id!, Object.entries(hash).flat()).options }).toEqual(opts);

  const flags = { failParentOnFailure: true, ignoreDependencyOnFailure: true, removeDependencyOnFailure: true, continueParentOnFailure: true } as const;
  for (const flag of Object.keys(flags) as (keyof typeof flags)[]) {
    const { children } = await stockFlows(prefix).add({ name: "p", queueName: "work", children: [{ name: "c", queueName: "work", opts: { [flag]: true } }] });
    const child = await redisClient().hgetall(`${prefix}:work:${children![0]!.job.id}`);
    expect(readStoredJob("c", Object.entries(child).flat()).options).toMatchObject({ [flag]: true });
  }
});
