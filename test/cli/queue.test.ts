import { beforeEach, expect, test } from "vitest";
import { defineJob } from "../../src/index.ts";
import { stockQueue, stockWorker } from "../interop/stock.ts";
import { testApp, until } from "../support/app.ts";
import { millrace, start } from "../support/command.ts";
import { freshPrefix, redisUrl, startRedis } from "../support/redis.ts";

let prefix: string;
let env: Record<string, string>;
beforeEach(() => {
  prefix = freshPrefix();
  env = { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix };
});

test("queue list is a table for people and a line of JSON a queue for programs; so are queues, queue, and all of it below admin", async () => {
  await stockQueue(prefix, "mail").addBulk([{ name: "n", data: 1 }, { name: "n", data: 1 }]);
  await stockQueue(prefix, "files").pause();
  const forms = [["queue", "list"], ["queues"], ["queue"], ["admin", "queue", "list"], ["admin", "queues"]];
  const [listed, ...same] = await Promise.all(forms.map((args) => millrace(args, { env })));
  expect(listed).toEqual({
    code: 0,
    stdout: [
      "QUEUE           WAITING  PRIO  DELAYED  CHILDREN  ACTIVE  DONE  FAILED",
      "files (paused)        0     0        0         0       0     0       0",
      "mail                  2     0        0         0       0     0       0",
      "",
    ].join("\n"),
    stderr: "",
  });
  for (const other of same) expect(other).toEqual(listed);
  const { stdout } = await millrace(["queue", "list", "--json"], { env });
  expect(stdout.trim().split("\n").map((line) => JSON.parse(line) as unknown)).toEqual([
    expect.objectContaining({ queue: "files", paused: true }),
    { queue: "mail", paused: false, waiting: 2, prioritized: 0, delayed: 0, "waiting-children": 0, active: 0, completed: 0, failed: 0, unfinished: 2 },
  ]);
}, 90_000);

test("an empty list ends with 0 and says so, to people", async () => {
  const [text, json, wrong] = await Promise.all([millrace(["queues"], { env }), millrace(["queues", "--json"], { env }), millrace(["queue", "lsit"], { env })]);
  expect(text).toEqual({ code: 0, stdout: "", stderr: `no queue is under the prefix "${prefix}"\n` });
  expect(json).toEqual({ code: 0, stdout: "", stderr: "" });
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining("did you mean queue list?") as string });
}, 90_000);

test("queue stats tells how a queue fares, and watches until Ctrl-C", async () => {
  await stockQueue(prefix, "mail").addBulk([{ name: "n", data: 1, opts: { timestamp: Date.now() - 7_500_000 } }, { name: "n", data: 1, opts: { delay: 60_000 } }]);
  const watching = start(["queue", "stats", "mail", "--watch", "--json"], { env });
  const [text, json, wrong, unknown] = await Promise.all([
    millrace(["queue", "stats", "mail"], { env }),
    millrace(["queue", "stats", "mail", "--json"], { env }),
    millrace(["queue", "stats", "mail", "--since", "9d"], { env }),
    millrace(["queue", "stats", "mial"], { env }),
  ]);
  expect(text.stdout.split("\n")).toEqual([
    "mail",
    "  waiting            1, 0 prioritized, 1 delayed, 0 for children",
    "  active             0",
    "  kept               0 completed, 0 failed",
    "  oldest waiting     2 h",
    "  failed, last hour  0",
    "  last 5m            arrivals -, put 0.0/s",
    "                     completed 0.0/s, failed 0.0/s, retried 0.0/s",
    "  wait p50/p95/p99   -",
    "  run p50/p95/p99    -",
    "",
  ]);
  expect(JSON.parse(json.stdout)).toMatchObject({ queue: "mail", paused: false, waiting: 1, delayed: 1, unfinished: 2, failedLastHour: 0, history: { perSecond: { put: 0 } } });
  expect(wrong).toMatchObject({ code: 2, stderr: 'error: expected a duration from 10s to 7d for --since, got "9d"\n' });
  expect(unknown).toMatchObject({ code: 4, stderr: 'error: no queue is called "mial": did you mean mail?\n' });
  await watching.says('"queue":"mail"', 2);
  watching.kill("SIGINT");
  expect((await watching.ended).code).toBe(130);
}, 90_000);

test("queue stats of a queue that is younger than the time asked for says of how long it tells, and divides by that", async () => {
  const app = testApp({ prefix });
  await app.queue(defineJob("n", { queue: "mail" })).putMany(Array.from({ length: 50 }, () => undefined));
  await app[Symbol.asyncDispose]();
  const { stdout } = await millrace(["queue", "stats", "mail", "--since", "1h"], { env });
  expect(stdout).toMatch(/^  last \d+ s \(all\) +arrivals -, put [1-5]\.\d\/s$/m);
}, 90_000);

test("queue stats says whose work is not in its rates, where stock workers take jobs", async () => {
  const stock = stockQueue(prefix, "mail");
  await stock.add("n", 1);
  const stats = (): Promise<string> => millrace(["queue", "stats", "mail"], { env }).then(({ stdout }) => stdout);
  expect(await stats()).not.toContain("stock");
  await stockWorker(prefix, () => Promise.resolve(), {}, "post");
  expect(await stats()).not.toContain("stock");
  await stockWorker(prefix, () => Promise.resolve(), {}, "mail");
  await until(async () => (await stats()).endsWith("\n  not in the rates   what stock BullMQ workers do, who take jobs of it too\n"));
}, 90_000);

test("queue stats --watch says that Redis is away, and goes on when it is back; without it, and at first, it ends", async () => {
  const server = await startRedis({ appendonly: "yes" });
  const there = { REDIS_URL: server.url, MILLRACE_PREFIX: prefix };
  await millrace(["put", "--queue", "mail", "--name", "n", "--unchecked", "1"], { env: there });
  const watching = start(["queue", "stats", "mail", "--watch", "--json"], { env: there });
  await watching.says('"queue":"mail"');
  await server.kill();
  const told = JSON.parse(await watching.said("what is shown is old")) as { warning: { message: string } };
  expect(told.warning.message).toMatch(/^what is shown is old: Redis did not answer: /);
  expect(await millrace(["queue", "stats", "mail", "--watch"], { env: there })).toMatchObject({ code: 6, stdout: "", stderr: expect.stringMatching(/^error: .*Redis/) as string });
  await server.start();
  await millrace(["queue", "pause", "mail"], { env: there });
  await watching.says('"paused":true');
  watching.kill("SIGINT");
  expect((await watching.ended).code).toBe(130);
}, 90_000);

test("queue pause and resume say what they did", async () => {
  const stock = stockQueue(prefix, "mail");
  await stock.add("n", 1);
  expect(await millrace(["queue", "pause", "mail"], { env })).toEqual({ code: 0, stdout: "mail is paused: what runs goes on, nothing more is started\n", stderr: "" });
  expect(await stock.isPaused()).toBe(true);
  const resumed = await millrace(["queue", "resume", "mail", "--json"], { env });
  expect(JSON.parse(resumed.stdout)).toEqual({ queue: "mail", paused: false });
  expect(await stock.isPaused()).toBe(false);
  expect((await millrace(["queue", "pause", "mial"], { env })).code).toBe(4);
}, 90_000);

test("queue delete needs --yes without a terminal, says with --dry-run what it would do, and then does it", async () => {
  const stock = stockQueue(prefix, "mail");
  await stock.addBulk([{ name: "n", data: 1 }, { name: "n", data: 1 }]);
  const [unsure, dry, dryJson, readOnly] = await Promise.all([
    millrace(["queue", "delete", "mail"], { env }),
    millrace(["queue", "delete", "mail", "--dry-run", "--read-only"], { env }),
    millrace(["queue", "delete", "mail", "--dry-run", "--json"], { env }),
    millrace(["queue", "delete", "mail", "--yes", "--read-only"], { env }),
  ]);
  expect(unsure).toMatchObject({ code: 2, stderr: expect.stringContaining("expected --yes") as string });
  expect(dry).toEqual({ code: 0, stdout: "would delete the queue mail: 2 unfinished jobs, 0 completed, 0 failed, its schedules and settings\n", stderr: "" });
  expect(JSON.parse(dryJson.stdout)).toEqual({ dryRun: true, queue: "mail", unfinished: 2, completed: 0, failed: 0 });
  expect(readOnly.code).toBe(1);
  expect(await stock.count()).toBe(2);
  const deleted = await millrace(["queue", "delete", "mail", "--yes"], { env });
  expect(deleted).toEqual({ code: 0, stdout: "mail is deleted, with 2 jobs\n", stderr: "" });
  expect(await stock.count()).toBe(0);
  expect((await millrace(["queue", "delete", "mail", "--yes"], { env })).code).toBe(4);
}, 90_000);
