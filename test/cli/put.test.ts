import { Queue, Worker, type Job } from "bullmq";
import { Redis } from "ioredis";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { partitionOf } from "../../src/queue/partition-of.ts";
import { millrace, project, start, type CommandOptions, type Ended } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

const CONTRACT = `
  import { defineJob, defineQueue } from "millrace/job";
  import { z } from "zod";
  export const greet = defineJob("greet", { payload: z.object({ name: z.string(), ms: z.int().optional() }), result: z.string(), attempts: 1 });
  export const tick = defineJob("tick", { queue: "clock" });
  export const spread = defineJob("spread", { queue: defineQueue("spread", { partitions: 4 }), payload: z.object({ n: z.int() }) });`;

let cwd: string;
let prefix: string;
let env: Record<string, string>;
beforeEach(() => {
  cwd = project({ "producers/jobs/greetings.ts": CONTRACT });
  prefix = freshPrefix();
  env = { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix };
});

const put = (args: readonly string[], options: CommandOptions = {}): Promise<Ended> => millrace(["put", ...args], { cwd, env, ...options });

function connection(): Redis {
  const client = new Redis(redisUrl(), { maxRetriesPerRequest: null });
  onTestFinished(() => client.disconnect());
  return client;
}

function stockQueue(name: string): Queue {
  const queue = new Queue(name, { connection: connection(), prefix });
  onTestFinished(() => queue.close());
  return queue;
}

/** BullMQ's own worker, so that nothing of ours is in the way. */
function stockWorker(name: string, processor: (job: Job<{ name: string }>) => Promise<unknown>): void {
  const worker = new Worker<{ name: string }>(name, processor, { connection: connection(), prefix });
  onTestFinished(() => worker.close(true));
}

test("puts one job by its contract and prints its id", async () => {
  const { code, stdout, stderr } = await put(["greet", '{"name":"Ada"}', "--delay", "1h", "--attempts", "7"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(/^[\w-]{22}\n$/);
  const job = await stockQueue("greet").getJob(stdout.trim());
  expect(job).toMatchObject({ name: "greet", data: { name: "Ada" }, opts: { delay: 3_600_000, attempts: 7 } });
});

test("job put is the long form, and a job that carries nothing needs no payload", async () => {
  const { code, stdout } = await millrace(["job", "put", "tick", "--json", "--priority", "3"], { cwd, env });
  expect(code).toBe(0);
  const { id, added } = JSON.parse(stdout) as { id: string; added: boolean };
  expect(added).toBe(true);
  expect((await stockQueue("clock").getJob(id))?.opts.priority).toBe(3);
});

test("puts one job a line from standard input and prints their ids in order", async () => {
  const names = Array.from({ length: 1000 }, (_, i) => `n${i}`);
  const { code, stdout } = await put(["greet", "-"], { input: `${names.map((name) => JSON.stringify({ name })).join("\n\n")}\n` });
  expect(code).toBe(0);
  const ids = stdout.trim().split("\n");
  expect(new Set(ids).size).toBe(1000);
  const queue = stockQueue("greet");
  const [first, last] = [await queue.getJob(ids[0]!), await queue.getJob(ids[999]!)];
  expect([first?.data, last?.data]).toEqual([{ name: "n0" }, { name: "n999" }]);
  expect(await queue.getWaitingCount()).toBe(1000);
});

test("prints an id as soon as its job is put, while the input stays open", async () => {
  const running = start(["put", "greet", "-", "--json"], { cwd, env });
  running.write('{"name":"one"}\n');
  await running.says('"added":true', 1);
  running.write('{"name":"two"}\n');
  await running.says('"added":true', 2);
  running.endInput();
  expect((await running.ended).code).toBe(0);
});

test("an id that exists adds nothing and says so", async () => {
  const one = ["greet", '{"name":"Ada"}', "--id", "ada", "--json"];
  expect(JSON.parse((await put(one)).stdout)).toEqual({ id: "ada", added: true });
  const { code, stdout, stderr } = await put(one);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ id: "ada", added: false });
  expect(JSON.parse(stderr)).toMatchObject({ warning: { message: expect.stringContaining("ada") as string } });
});

test("--wait prints results in the order of the input, and ends with 1 when a job failed", async () => {
  stockWorker("greet", async ({ data: { name } }) => {
    if (name === "nobody") throw new Error("there is nobody");
    return `hello ${name}`;
  });
  const input = '{"name":"Ada"}\n{"name":"nobody"}\n{"name":"Alan"}\n';
  const [text, json] = await Promise.all([put(["greet", "-", "--wait"], { input }), put(["greet", "-", "--wait", "--json"], { input })]);
  expect(text).toMatchObject({ code: 1, stdout: '"hello Ada"\n"hello Alan"\n', stderr: expect.stringMatching(/^warning: job .* failed: there is nobody\n$/) as string });
  expect(json).toMatchObject({ code: 1, stderr: "" });
  expect(json.stdout.trim().split("\n").map((line) => JSON.parse(line) as unknown)).toEqual([
    { id: expect.any(String) as string, state: "completed", result: "hello Ada" },
    { id: expect.any(String) as string, state: "failed", error: { code: "JOB_FAILED", message: "there is nobody" } },
    { id: expect.any(String) as string, state: "completed", result: "hello Alan" },
  ]);
});

test("--wait --timeout ends with 3; the job stays", async () => {
  const { code, stderr } = await put(["greet", '{"name":"Ada"}', "--wait", "--timeout", "200ms", "--json"]);
  expect(code).toBe(3);
  expect(JSON.parse(stderr)).toMatchObject({ error: { code: "TIMEOUT" } });
  expect(await stockQueue("greet").getWaitingCount()).toBe(1);
});

test("--unchecked puts into any queue without a contract, and --wait gives what its worker returned", async () => {
  stockWorker("mail", async ({ name, data }) => ({ name, data }));
  const { code, stdout } = await put(["--unchecked", "--queue", "mail", "--name", "welcome", '{"to":"a@b.ch"}', "--wait"], { cwd: project({}) });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ name: "welcome", data: { to: "a@b.ch" } });
});

test.each([
  [["greet", '{"nme":"Ada"}'], 2, /payload\.name/],
  [["greet", '{name:"Ada"}'], 2, /expected JSON .*quotes/],
  [["greet"], 2, /give the payload as JSON, or - for standard input/],
  [["greet", '{"name":"Ada","ms":9007199254740993}'], 2, /payload\.ms .*2\^53/],
  [["gret", "{}"], 4, /no job is called "gret": did you mean greet\?/],
  [["zzzzzz", "{}"], 4, /there are digest, greet, .*webhook/],
  [["greet", "{}", "--delay", "soon"], 2, /duration .* for --delay, got "soon"/],
  [["greet", '{"name":"Ada"}', "--attempts", "0"], 2, /attempts/],
  [["greet", '{"name":"Ada"}', "--priority", "high"], 2, /priority/],
  [["greet", "-", "--id", "x"], 2, /--id with one job/],
  [["greet", "{}", "--timeout", "1s"], 2, /--wait with --timeout/],
  [["greet", "{}", "--queue", "q"], 2, /--unchecked/],
  [["--unchecked", "--name", "n", "{}"], 2, /--queue and --name/],
  [["--unchecked", "--queue", "q", "--name", "n", "greet", "{}"], 2, /payload alone/],
  [[], 2, /name of a job/],
])("refuses put %j with %i, before anything is put", async (args, code, message) => {
  const ended = await put(args);
  expect(ended).toMatchObject({ code, stdout: "" });
  expect(ended.stderr).toMatch(message);
  const client = connection();
  expect(await client.keys(`${prefix}:*`)).toEqual([]);
});

test.each([
  ['{"name":"a"}\n{"name":\n{"name":"c"}\n', /^error: line 2: expected JSON.*\(1 job was put\)/],
  ['{"name":"a"}\n{"name":"b"}\n{"nme":"c"}\n', /^error: line 3: .*payload\.name.*\(2 jobs were put\)/],
])("names the line that is wrong, and what was put: %j", async (input, message) => {
  const { code, stdout, stderr } = await put(["greet", "-"], { input });
  expect(code).toBe(2);
  expect(stderr).toMatch(message);
  expect(stdout.trim().split("\n")).toHaveLength(await stockQueue("greet").getWaitingCount());
});

test("a fault in one contract's module does not hide another's", async () => {
  const broken = project({ "producers/jobs/greetings.ts": CONTRACT, "producers/jobs/broken.ts": "enum E { A }" });
  expect((await put(["greet", '{"name":"Ada"}'], { cwd: broken })).code).toBe(0);
  const { code, stderr } = await put(["grete", "{}"], { cwd: broken });
  expect(code).toBe(2);
  expect(stderr).toContain("producers/jobs/broken.ts:1: an enum");
});

test("a contract of one's own goes before a shipped one of the same name, whatever its module is called", async () => {
  const own = project({ "producers/jobs/all.ts": 'import { defineJob, defineQueue } from "millrace/job";\nexport const digest = defineJob("digest", { queue: "mine" });' });
  expect((await put(["digest"], { cwd: own })).code).toBe(0);
  expect(await stockQueue("mine").getWaitingCount()).toBe(1);
});

test("stops quietly when nobody reads the ids any more", async () => {
  const running = start(["put", "greet", "-"], { cwd, env });
  const line = '{"name":"Ada"}\n';
  running.write(line);
  await running.says("\n");
  running.closeOutput();
  running.write(line.repeat(5));
  const { code, stderr } = await running.ended;
  expect({ code, stderr }).toEqual({ code: 141, stderr: "" });
});

test("Ctrl-C ends a put that waits for input with 130", async () => {
  const reading = start(["put", "greet", "-"], { cwd, env });
  reading.write('{"name":"Ada"}\n');
  await reading.says("\n");
  reading.kill("SIGINT");
  const { code, stderr } = await reading.ended;
  expect({ code, stderr }).toEqual({ code: 130, stderr: "" });
});

test("SIGTERM ends a put that waits for its job with 143", async () => {
  const waiting = start(["put", "tick", "--wait"], { cwd, env });
  const client = connection();
  await expect.poll(() => client.llen(`${prefix}:clock:wait`), { timeout: 25_000 }).toBe(1);
  waiting.kill("SIGTERM");
  expect((await waiting.ended).code).toBe(143);
});

test("a long input is put in constant memory", async () => {
  const running = start(["put", "--unchecked", "--queue", "many", "--name", "n", "-"], { cwd, env, node: ["--max-old-space-size=48"] });
  const line = `"${"x".repeat(1000)}"\n`;
  for (let i = 0; i < 300; i++) running.write(line.repeat(100));
  running.endInput();
  const { code, stdout, stderr } = await running.ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout.split("\n")).toHaveLength(30_001);
}, 60_000);

test("puts by key into a queue in partitions, and without a contract into as many as are stored", async () => {
  const input = [1, 2, 3].map((n) => `{"n":${n}}`).join("\n");
  const one = await put(["spread", "-", "--partition-key", "ada"], { input });
  const other = await put(["--queue", "spread", "--name", "spread", "--unchecked", "-", "--partition-key", "ada"], { input });
  expect([one.code, other.code]).toEqual([0, 0]);
  expect(await connection().llen(`{${prefix}-${partitionOf("ada", 4)}}:spread:wait`)).toBe(6);
  const wrong = await put(["spread", '{"n":1}', "--partition-key", "ada", "--id", "own"]);
  expect(wrong.code).toBe(2);
});
