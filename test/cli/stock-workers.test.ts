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

test("where stock workers run jobs, lists of workers and tasks say so, and how those jobs are seen", { timeout: 60_000 }, async () => {
  expect(await Promise.all([run("workers"), run("tasks")])).toEqual([{ ...none, stderr: `no worker runs under the prefix "${prefix}"\n` }, { ...none, stderr: "nothing runs\n" }]);
  const mail = stockQueue(prefix, "mail");
  await stockWorker(prefix, () => new Promise(() => undefined), {}, "mail");
  await mail.add("send", {}, { jobId: "a" });
  await until(async () => (await mail.getActiveCount()) === 1);
  const how = "warning: stock BullMQ workers take jobs of mail, and are not listed: job list mail --state active shows what they run\n";
  const [workers, tasks, json, shown] = await Promise.all([run("workers"), run("tasks"), run("tasks", "--json"), run("job", "list", "mail", "--state", "active")]);
  expect(workers).toEqual({ ...none, stderr: `no worker of Millrace runs under the prefix "${prefix}"\n${how}` });
  expect(tasks).toEqual({ ...none, stderr: `no worker of Millrace runs anything\n${how}` });
  expect({ ...json, stderr: JSON.parse(json.stderr) as unknown }).toEqual({ ...none, stderr: { warning: { message: how.slice("warning: ".length, -1) } } });
  expect(shown.stdout).toMatch(/^a +send +active /m);
});

test("of many queues some are named", { timeout: 60_000 }, async () => {
  for (const queue of ["a", "b", "c", "d", "e", "f", "a"]) await stockWorker(prefix, () => Promise.resolve(), {}, queue);
  await until(async () => (await run("workers")).stderr.includes("take jobs of a (2 of them), b, c, d, e and 1 more queue, and are not listed: job list QUEUE --state active"));
});
