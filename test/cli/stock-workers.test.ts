import { beforeEach, expect, test } from "vitest";
import { stockQueue, stockWorker } from "../interop/stock.ts";
import { until } from "../support/app.ts";
import { millrace, type Ended } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

let prefix: string;
beforeEach(() => {
  prefix = freshPrefix();
});

const run = (...args: string[]): Promise<Ended> => millrace(args, { env: { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix } });
const none = { code: 0, stdout: "" };

test("the list of workers tells of stock workers, and that of tasks of what they run; one that is cancelled is asked to, with a warning", { timeout: 60_000 }, async () => {
  expect(await Promise.all([run("workers"), run("tasks")])).toEqual([{ ...none, stderr: `no worker runs under the prefix "${prefix}"\n` }, { ...none, stderr: "nothing runs\n" }]);
  const mail = stockQueue(prefix, "mail");
  await stockWorker(prefix, () => new Promise(() => undefined), { name: "press" }, "mail");
  await mail.add("send", {}, { jobId: "a" });
  await until(async () => (await mail.getActiveCount()) === 1);
  const how = "warning: stock BullMQ workers take jobs of mail, and are not listed: task list shows what they run\n";
  const [workers, tasks, json, tree] = await Promise.all([run("workers"), run("tasks"), run("tasks", "--json"), run("tasks", "--tree")]);
  expect(workers).toEqual({ ...none, stderr: `no worker of Millrace runs under the prefix "${prefix}"\n${how}` });
  expect(tasks).toEqual({ code: 0, stderr: "", stdout: expect.stringMatching(/^TASK .*\na +send +mail +1 +[\d.]+ m?s +press +stock\n$/) as string });
  expect({ ...json, stdout: JSON.parse(json.stdout) as unknown }).toEqual({
    code: 0,
    stderr: "",
    stdout: { id: "a", name: "send", queue: "mail", attempt: 1, startedAt: expect.any(Number) as number, ageMs: expect.any(Number) as number, progress: null, interruption: null, stuck: false, worker: { id: null, name: "press" } },
  });
  expect(tree.stdout).toMatch(/^stock {2}press\n {3}TASK .*\n└─ a +send +mail /);
  const cancelled = "send a of mail is asked to end, on press\n";
  const warning = expect.stringMatching(/^warning: stock BullMQ workers take jobs of mail, and hear of no cancel: what one of them runs goes on.*\n$/) as string;
  expect(await run("task", "cancel", "a", "a")).toEqual({ stdout: cancelled.repeat(2), code: 0, stderr: warning });
  expect(await mail.getActiveCount()).toBe(1);
});

test("of many queues some are named", { timeout: 60_000 }, async () => {
  for (const queue of ["a", "b", "c", "d", "e", "f", "a"]) await stockWorker(prefix, () => Promise.resolve(), {}, queue);
  await until(async () => (await run("workers")).stderr.includes("take jobs of a (2 of them), b, c, d, e and 1 more queue, and are not listed: task list shows what they run"));
});
