import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { defineHandler, defineJob, defineQueue } from "../../src/index.ts";
import { testApp } from "../support/app.ts";
import { millrace, start, type Ended } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

let prefix: string;
let env: Record<string, string>;
let queue: Queue;
beforeEach(() => {
  prefix = freshPrefix();
  env = { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix };
  queue = new Queue("work", { connection: connection(), prefix });
  onTestFinished(() => queue.close());
});

function connection(): Redis {
  const client = new Redis(redisUrl(), { maxRetriesPerRequest: null });
  onTestFinished(() => client.disconnect());
  return client;
}

const join = (args: readonly string[]): Promise<Ended> => millrace(["join", ...args], { env });

test("returns when the last job has ended, failed ones too, and says how the queue stands", async () => {
  await queue.addBulk([1, 2, 3].map((n) => ({ name: "n", data: n })));
  const joining = start(["queue", "join", "work", "--json"], { env });
  let done = 0;
  const worker = new Worker(
    "work",
    async ({ data }) => {
      done++;
      if (data === 2) throw new Error("no");
    },
    { connection: connection(), prefix },
  );
  onTestFinished(() => worker.close(true));
  const { code, stdout } = await joining.ended;
  expect({ code, done }).toEqual({ code: 0, done: 3 });
  expect(JSON.parse(stdout)).toEqual({ queue: "work", unfinished: 0, completed: 2, failed: 1 });
});

test("ends with 3 when the time is over, and with 2 when the time is none", async () => {
  await queue.add("n", 1);
  const [late, wrong] = await Promise.all([join(["work", "--timeout", "100ms", "--json"]), join(["work", "--timeout", "later"])]);
  expect(late.code).toBe(3);
  expect(JSON.parse(late.stderr)).toEqual({ error: { code: "TIMEOUT", message: "expected queue work to be joined within 100 ms: 1 of its jobs is unfinished" } });
  expect(wrong.code).toBe(2);
});

test("ends with 4 for a queue that nobody ever used, and with 0 for one that is only empty", async () => {
  const job = await queue.add("n", 1);
  await job.remove();
  const [unused, empty] = await Promise.all([join(["wrok"]), join(["work"])]);
  expect(unused).toMatchObject({ code: 4, stderr: expect.stringContaining('no queue is called "wrok"') as string });
  expect(empty).toMatchObject({ code: 0, stdout: "work: nothing unfinished; 0 completed and 0 failed are kept\n" });
});

test("Ctrl-C ends it with 130", async () => {
  await queue.add("n", 1);
  const joining = start(["join", "work", "--log-level", "debug"], { env });
  // It is joining once it has asked for the counts.
  const monitor = await connection().monitor();
  await new Promise<void>((resolve) => monitor.on("monitor", (_, args: string[]) => void (args.some((arg) => arg.includes(prefix) && arg.includes("work")) && resolve())));
  monitor.disconnect();
  joining.kill("SIGINT");
  const { code, stdout, stderr } = await joining.ended;
  expect({ code, stdout, stderr }).toEqual({ code: 130, stdout: "", stderr: "" });
});

test("joins a queue in partitions by its name alone", async () => {
  const app = testApp({ prefix });
  const job = defineJob("spread", { queue: defineQueue("spread", { partitions: 3 }) });
  await Promise.all([1, 2, 3, 4].map(() => app.put(job)));
  const joining = start(["queue", "join", "spread", "--json"], { env });
  app.pool([defineHandler(job, { handle: async () => {} })]);
  const { code, stdout } = await joining.ended;
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ queue: "spread", unfinished: 0, completed: 4, failed: 0 });
});
