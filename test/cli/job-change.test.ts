import type { Queue } from "bullmq";
import { beforeEach, expect, test } from "vitest";
import { failJobs, stockQueue, stockWorker } from "../interop/stock.ts";
import { until } from "../support/app.ts";
import { millrace, type Ended } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

let prefix: string;
let stock: Queue;
beforeEach(() => {
  prefix = freshPrefix();
  stock = stockQueue(prefix, "mail");
});

const job = (...args: string[]): Promise<Ended> => millrace(["job", ...args], { env: { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix } });

const fail = (count: number): Promise<void> =>
  failJobs(stock, prefix, Array.from({ length: count }, () => ({ name: "bad" })), () => Promise.reject(new Error("no such address")));

test("job retry says what it would do, then what it did; of ids that could not be it says why, and ends with 1", async () => {
  await fail(3);
  const waiting = await stock.add("n", 1);
  expect(await job("retry", "mail", "--error", "address", "--dry-run")).toEqual({ code: 0, stdout: "would retry 3 jobs of mail\n", stderr: "" });
  expect(await job("retry", "mail", "1")).toEqual({ code: 0, stdout: "retried 1 job of mail\n", stderr: "" });
  const mixed = await job("retry", "mail", "2", waiting.id!, "99");
  expect(mixed).toEqual({ code: 1, stdout: "retried 1 job of mail\n", stderr: `warning: job ${waiting.id}: it is waiting: expected failed, completed\nwarning: job 99: there is no such job\n` });
  expect(JSON.parse((await job("retry", "mail", "--all", "--json")).stdout)).toEqual({ queue: "mail", matched: 1, changed: 1, skipped: [] });
  expect(await stock.getWaitingCount()).toBe(4);
}, 90_000);

test("what matches nothing ends with 0 and says so; no filter with 2; a job that is not there with 4, one in another state with 1", async () => {
  await stock.add("n", 1);
  const [none, json, unsaid, both, gone, other] = await Promise.all([
    job("retry", "mail", "--name", "nobody"),
    job("remove", "mail", "--name", "nobody", "--yes", "--json"),
    job("retry", "mail"),
    job("retry", "mail", "1", "--all"),
    job("retry", "mail", "99"),
    job("retry", "mail", "1"),
  ]);
  expect(none).toEqual({ code: 0, stdout: "", stderr: "no job of mail matches\n" });
  expect(JSON.parse(json.stdout)).toEqual({ queue: "mail", matched: 0, changed: 0, skipped: [] });
  expect(unsaid).toMatchObject({ code: 2, stderr: "error: expected ids, a filter or all for job retry, got none of them\n" });
  expect([both.code, gone.code, other.code]).toEqual([2, 4, 1]);
}, 90_000);

test("remove, purge and a cancel of many ask first: without a terminal they need --yes", async () => {
  await stock.addBulk(Array.from({ length: 4 }, () => ({ name: "n", data: 1 })));
  const asked = await Promise.all([job("remove", "mail", "1"), job("cancel", "mail", "--name", "n"), millrace(["queue", "purge", "mail", "--state", "waiting"], { env: { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix } })]);
  for (const { code, stderr } of asked) expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("expected --yes") as string });
  expect(await stock.getWaitingCount()).toBe(4);
  expect(await job("cancel", "mail", "1", "--reason", "twice")).toEqual({ code: 0, stdout: "cancelled 1 job of mail\n", stderr: "" });
  expect(await job("remove", "mail", "2", "--yes")).toMatchObject({ code: 0, stdout: "removed 1 job of mail\n" });
  const purged = await millrace(["queue", "purge", "mail", "--state", "waiting,failed", "--yes", "--json"], { env: { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix } });
  expect(JSON.parse(purged.stdout)).toEqual({ queue: "mail", matched: 3, changed: 3, skipped: [] });
  expect(await stock.getJobCountByTypes("waiting", "failed")).toBe(0);
}, 90_000);

test("a cancel of what a stock worker runs says that nobody there hears of it; of what waits it does not", async () => {
  await stockWorker(prefix, () => new Promise(() => undefined), {}, "mail");
  await stock.addBulk(["a", "b"].map((jobId) => ({ name: "n", data: 1, opts: { jobId } })));
  await until(async () => (await stock.getActiveCount()) === 1);
  const deaf = /^warning: stock BullMQ workers take jobs of mail, and hear of no cancel: /;
  expect(await job("cancel", "mail", "--all", "--yes")).toEqual({ code: 0, stdout: "cancelled 2 jobs of mail; 1 of them runs, and is asked to end\n", stderr: expect.stringMatching(deaf) as string });
  expect(await job("cancel", "mail", "a")).toEqual({ code: 0, stdout: "cancelled 1 job of mail; it runs, and is asked to end\n", stderr: expect.stringMatching(deaf) as string });
  await stock.add("n", 1, { jobId: "c" });
  const waits = await job("cancel", "mail", "c", "--json");
  expect({ ...waits, stdout: JSON.parse(waits.stdout) as unknown }).toEqual({ code: 0, stdout: { queue: "mail", matched: 1, changed: 1, skipped: [], asked: 0 }, stderr: "" });
}, 90_000);

test("promote, edit and copy", async () => {
  await stock.add("later", { to: "a" }, { delay: 60_000, jobId: "own" });
  expect(await job("edit", "mail", "own", "--payload", '{"to":"b"}', "--attempts", "5")).toEqual({ code: 0, stdout: "edited payload, attempts of job own of mail\n", stderr: "" });
  expect(await job("copy", "mail", "own", "--to", "other")).toEqual({ code: 0, stdout: "copied 1 job of mail\n", stderr: "" });
  expect(await job("promote", "mail", "own")).toEqual({ code: 0, stdout: "promoted 1 job of mail\n", stderr: "" });
  expect([await stock.getWaiting(), await stockQueue(prefix, "other").getWaiting()]).toMatchObject([[{ id: "own", data: { to: "b" } }], [{ name: "later", data: { to: "b" }, opts: { attempts: 5 } }]]);
  const [wrong, nothing] = await Promise.all([job("edit", "mail", "own", "--payload", "{to"), job("edit", "mail", "own")]);
  expect([wrong.code, nothing.code]).toEqual([2, 2]);
}, 90_000);
