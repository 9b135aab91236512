import { realpathSync } from "node:fs";
import { join } from "node:path";
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { millrace, project, start, type Running } from "../support/command.ts";
import { freshPrefix, redisClient, redisUrl, startRedis } from "../support/redis.ts";

const CONTRACT = `
  import { defineJob } from "millrace/job";
  import { z } from "zod";
  export const greet = defineJob("greet", { payload: z.object({ name: z.string(), for: z.string().optional() }), result: z.string(), attempts: 1 });`;
/** Ends at once, when it is told to ("polite"), after the first second ("slow"), never ("deaf"), or with the whole process. */
const HANDLER = `
  import { defineHandler } from "millrace";
  import { greet } from "../producers/jobs/greet.ts";
  export default defineHandler(greet, {
    async handle({ name, for: manner }, task) {
      console.log("begins " + name);
      if (manner === "polite") await new Promise((_, fail) => task.signal.addEventListener("abort", () => fail(task.signal.reason)));
      if (manner === "slow") await new Promise((done) => setTimeout(done, 1000));
      if (manner === "deaf") await new Promise(() => setInterval(() => {}, 1000));
      if (manner === "crash") setTimeout(() => { throw new Error("nobody catches me"); }, 10), await new Promise(() => {});
      return "hello " + name;
    },
  });`;

let cwd: string;
let prefix: string;
let env: Record<string, string>;
let queue: Queue;
beforeEach(() => {
  cwd = project({ "producers/jobs/greet.ts": CONTRACT, "workers/greet.ts": HANDLER });
  prefix = freshPrefix();
  env = { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix };
  const connection = new Redis(redisUrl(), { maxRetriesPerRequest: null });
  queue = new Queue("greet", { connection, prefix });
  onTestFinished(async () => {
    await queue.close();
    connection.disconnect();
  });
});

const put = async (name: string, manner?: string): Promise<string> => (await queue.add("greet", { name, ...(manner && { for: manner }) })).id ?? "";

async function worker(...args: string[]): Promise<Running> {
  const running = start(["worker", "start", ...args], { cwd, env });
  await running.says("worker is ready");
  return running;
}

/** Milliseconds from the signal to the end. */
async function endsAfter(running: Running, ...signals: NodeJS.Signals[]): Promise<{ ms: number; code: number | null; stderr: string }> {
  const startedAt = performance.now();
  for (const [at, signal] of signals.entries()) {
    // Two of a kind sent at once arrive as one.
    if (at > 0) await running.says("worker drains");
    running.kill(signal);
  }
  const { code, stderr } = await running.ended;
  return { ms: performance.now() - startedAt, code, stderr };
}

test("runs what is put, of workers/* by default, and logs one line of JSON a phase", async () => {
  const running = await worker();
  const { code, stdout } = await millrace(["put", "greet", '{"name":"Ada"}', "--wait"], { cwd, env });
  expect({ code, stdout }).toEqual({ code: 0, stdout: '"hello Ada"\n' });
  running.kill("SIGTERM");
  const { code: left, stderr } = await running.ended;
  expect(left).toBe(0);
  const lines = stderr.trim().split("\n").map((line) => JSON.parse(line) as { msg: string });
  expect(lines[0]).toMatchObject({ msg: "worker starts", jobs: ["greet"], queues: ["greet"] });
  const phases = lines.map(({ msg }) => msg).filter((msg) => msg.startsWith("worker"));
  expect(phases).toEqual(["worker starts", "worker is ready", "worker stops", "worker has ended"]);
});

test.each(["SIGTERM", "SIGINT"] as const)("%s: what runs is finished, nothing more is begun, and it ends with 0", async (signal) => {
  const running = await worker("--concurrency", "1");
  const [slow, next] = [await put("slow", "slow"), await put("next")];
  await running.says("begins slow");
  const { code, ms } = await endsAfter(running, signal);
  expect(code).toBe(0);
  expect(ms).toBeLessThan(5000);
  expect(await queue.getJobState(slow)).toBe("completed");
  expect(await queue.getJobState(next)).toBe("waiting");
});

test("after the drain it cancels, and gives back what was cancelled with no attempt spent", async () => {
  const running = await worker("--drain", "300ms", "--grace", "10s");
  const id = await put("polite", "polite");
  await running.says("begins polite");
  const { code, ms } = await endsAfter(running, "SIGTERM");
  expect(code).toBe(0);
  expect(ms).toBeGreaterThan(250);
  expect(ms).toBeLessThan(4000);
  expect(await queue.getJobState(id)).toBe("waiting");
  expect((await queue.getJob(id))?.attemptsMade).toBe(0);
});

test("--recovery fast has its jobs run again soon, should it die: its leases are short", async () => {
  const running = await worker("--recovery", "fast", "--drain", "0s");
  const id = await put("polite", "polite");
  await running.says("begins polite");
  expect(await redisClient().pttl(`${prefix}:greet:${id}:lock`)).toBeLessThanOrEqual(4000);
  await endsAfter(running, "SIGTERM");
});

test("ends within drain and grace although a handler never does, and gives its job back", async () => {
  const running = await worker("--drain", "300ms", "--grace", "300ms");
  const id = await put("deaf", "deaf");
  await running.says("begins deaf");
  const { code, ms } = await endsAfter(running, "SIGTERM");
  expect(code).toBe(0);
  expect(ms).toBeLessThan(3000);
  expect(await queue.getJobState(id)).toBe("waiting");
  expect((await queue.getJob(id))?.attemptsMade).toBe(0);
});

test("a second signal gives back at once", async () => {
  const running = await worker("--drain", "60s", "--grace", "60s");
  const id = await put("deaf", "deaf");
  await running.says("begins deaf");
  const { code, ms, stderr } = await endsAfter(running, "SIGTERM", "SIGTERM");
  expect(code).toBe(0);
  expect(ms).toBeLessThan(3000);
  expect(stderr).toContain("worker gives back what runs");
  expect(await queue.getJobState(id)).toBe("waiting");
});

test("under npm one Ctrl-C comes twice, and counts once", async () => {
  env = { ...env, npm_command: "run-script" };
  const running = await worker();
  const id = await put("slow", "slow");
  await running.says("begins slow");
  running.kill("SIGINT");
  await running.says("worker drains");
  running.kill("SIGINT");
  const { code, stderr } = await running.ended;
  expect(code).toBe(0);
  expect(stderr).not.toContain("gives back");
  expect(await queue.getJobState(id)).toBe("completed");
});

test("an error that nobody catches is logged, what runs is given back, and it ends with 1", async () => {
  const running = await worker();
  const [polite, crash] = [await put("polite", "polite"), await put("crash", "crash")];
  await running.says("begins polite");
  const { code, stderr } = await running.ended;
  expect(code).toBe(1);
  expect(stderr).toContain("nobody catches me");
  expect(await Promise.all([queue.getJobState(polite), queue.getJobState(crash)])).toEqual(["waiting", "waiting"]);
});

test("waits for a Redis that is not up yet, and may be told to end meanwhile", async () => {
  const redis = await startRedis();
  await redis.stop();
  env = { ...env, REDIS_URL: redis.url };
  const [patient, called] = [start(["worker", "start"], { cwd, env }), start(["worker", "start"], { cwd, env })];
  await Promise.all([patient.says("trying again"), called.says("trying again")]);
  expect((await endsAfter(called, "SIGTERM")).code).toBe(0);
  await redis.start();
  await patient.says("worker is ready");
  expect((await endsAfter(patient, "SIGTERM")).code).toBe(0);
}, 60_000);

test("ends with 5 on a Redis that is not fit to hold jobs", async () => {
  const redis = await startRedis({ "maxmemory-policy": "allkeys-lru" });
  const { code, stderr } = await millrace(["worker", "start", "--json"], { cwd, env: { ...env, REDIS_URL: redis.url } });
  expect(code).toBe(5);
  expect(JSON.parse(stderr.trim().split("\n").at(-1) ?? "")).toMatchObject({ error: { code: "PREFLIGHT_FAILED" } });
});

test("says with --json on standard output when it is ready and when it has ended", async () => {
  const running = await worker("--json");
  running.kill("SIGTERM");
  const { stdout } = await running.ended;
  expect(stdout.trim().split("\n").map((line) => JSON.parse(line) as unknown)).toEqual([
    { event: "ready", pid: running.pid, jobs: ["greet"], queues: ["greet"] },
    { event: "ended", pid: running.pid },
  ]);
});

test("tells its health: ready once it takes jobs, not ready as soon as it is told to stop, and alive until it is gone", async () => {
  const running = await worker("--health", "0", "--drain", "60s");
  const at = /"at":"([^"]+)"/.exec(await running.said("health endpoint answers"))?.[1];
  const ask = async (path: string) => {
    const response = await fetch(`${at}${path}`);
    return { status: response.status, ...((await response.json()) as object) };
  };
  expect(await ask("/healthz")).toMatchObject({ status: 200 });
  expect(await ask("/readyz")).toMatchObject({ status: 200, state: "ready", running: 0, stuck: 0, redis: true });
  await put("polite", "polite");
  await running.says("begins polite");
  expect(await ask("/readyz")).toMatchObject({ status: 200, running: 1 });
  running.kill("SIGTERM");
  await running.says("worker drains");
  expect(await ask("/readyz")).toMatchObject({ status: 503, state: "draining", running: 1, redis: true });
  expect(await ask("/healthz")).toMatchObject({ status: 200, state: "draining" });
  running.kill("SIGTERM");
  expect((await running.ended).code).toBe(0);
  await expect(ask("/healthz")).rejects.toThrow();
});

test("SIGTSTP makes it quiet and SIGCONT lets it go on, which its health tells; SIGUSR2 writes what it does into the log", async () => {
  const running = await worker("--health", "0", "--drain", "0s");
  const at = /"at":"([^"]+)"/.exec(await running.said("health endpoint answers"))?.[1];
  const ready = async (): Promise<unknown> => {
    const response = await fetch(`${at}/readyz`);
    return { status: response.status, state: ((await response.json()) as { state: string }).state };
  };
  await put("first", "polite");
  await running.says("begins first");
  running.kill("SIGTSTP");
  await running.says("worker is quiet");
  expect(await ready()).toEqual({ status: 503, state: "quiet" });
  const id = await put("second", "polite");
  running.kill("SIGUSR2");
  expect(JSON.parse(await running.said("dump: 1 of 10 slots"))).toMatchObject({ state: "quiet", running: 1, queues: ["greet"], debug: false });
  expect(JSON.parse(await running.said("dump: greet"))).toMatchObject({ queue: "greet", job: "greet", attempt: 1 });
  expect(await queue.getWaitingCount()).toBe(1);
  running.kill("SIGCONT");
  await running.says("worker takes jobs again");
  await running.says("begins second");
  expect(await ready()).toEqual({ status: 200, state: "ready" });
  running.kill("SIGTERM");
  expect((await running.ended).code).toBe(0);
  expect(await queue.getJobState(id)).toBe("waiting");
});

test("quiet before it has started it starts quiet", async () => {
  const running = start(["worker", "start"], { cwd, env });
  await running.says("worker starts");
  running.kill("SIGTSTP");
  await running.says("worker is quiet");
  await running.says("worker is ready");
  await put("waits");
  running.kill("SIGUSR2");
  expect(JSON.parse(await running.said("dump: 0 of 10"))).toMatchObject({ state: "quiet", ended: 0 });
  running.kill("SIGCONT");
  await running.says("begins waits");
  running.kill("SIGTERM");
  expect((await running.ended).code).toBe(0);
});

test("told to stop it is not ready from then on, before anything that takes Redis", async () => {
  const redis = await startRedis();
  env = { ...env, REDIS_URL: redis.url };
  const running = await worker("--health", "0", "--drain", "60s");
  const at = /"at":"([^"]+)"/.exec(await running.said("health endpoint answers"))?.[1];
  // What fetches is in a call that does not return, and Redis counts as there until that is known.
  redis.pause();
  running.kill("SIGTERM");
  const answers: unknown[] = [];
  await expect.poll(async () => {
    const response = await fetch(`${at}/readyz`);
    const { state, redis } = (await response.json()) as { readonly state: string; readonly redis: boolean };
    return answers.push([response.status, state, redis]) && response.status;
  }).toBe(503);
  expect(answers.at(-1)).toEqual([503, expect.stringMatching(/^(quiet|draining)$/), true]);
  redis.resume();
  running.kill("SIGTERM");
  expect((await running.ended).code).toBe(0);
});

test("is not ready while it has no Redis, and says so", async () => {
  const redis = await startRedis();
  env = { ...env, REDIS_URL: redis.url };
  const running = await worker("--health", "0");
  const at = /"at":"([^"]+)"/.exec(await running.said("health endpoint answers"))?.[1];
  const ready = async (): Promise<string> => {
    const response = await fetch(`${at}/readyz`);
    const { redis } = (await response.json()) as { redis: boolean };
    return `${response.status} ${redis}`;
  };
  expect(await ready()).toBe("200 true");
  await redis.kill();
  await expect.poll(ready, { timeout: 20_000 }).toBe("503 false");
  await redis.start();
  await expect.poll(ready, { timeout: 20_000 }).toBe("200 true");
  expect((await endsAfter(running, "SIGTERM")).code).toBe(0);
});

test("loads .js and .ts, of two that differ only so the source, and passes over what is no handler", async () => {
  const other = (name: string): string => `import { defineHandler, defineJob } from "millrace";\nexport default defineHandler(defineJob("${name}"), { async handle() {} });`;
  cwd = project({
    "workers/one.js": other("one"),
    "workers/two.ts": other("two"),
    "workers/two.js": other("built"),
    "workers/three.mjs": other("three"),
    "workers/lib.ts": "export const helper = 1;",
    "workers/one.test.ts": "throw new Error('a test');",
    "workers/one.d.ts": "export default 1;",
    "workers/readme.md": "#",
  });
  const running = await worker();
  running.kill("SIGTERM");
  const lines = (await running.ended).stderr.trim().split("\n").map((line) => JSON.parse(line) as object);
  expect(lines[0]).toMatchObject({ level: "warn", module: "workers/lib.ts" });
  expect(lines[1]).toMatchObject({ jobs: ["one", "three", "two"] });
});

test("runs a handler that another copy of the package made", async () => {
  // By a path of its own the same source is another copy: another class, another module.
  cwd = project({ "workers/greet.ts": `
    import { defineHandler } from ${JSON.stringify(new URL("../../src/index.ts?copy", import.meta.url).href)};
    import { defineJob } from ${JSON.stringify(new URL("../../src/job/index.ts?copy", import.meta.url).href)};
    export default defineHandler(defineJob("greet"), { async handle() { return undefined; } });` });
  const running = await worker();
  const id = await queue.add("greet", undefined).then(({ id }) => id ?? "");
  await expect.poll(() => queue.getJobState(id), { timeout: 25_000 }).toBe("completed");
  expect((await endsAfter(running, "SIGTERM")).code).toBe(0);
});

test("without a handler it ends with 4 and says where it looked", async () => {
  const none = project({ "workers/lib.ts": "export const helper = 1;" });
  const [inFolder, noFolder] = await Promise.all([millrace(["worker", "start"], { cwd: none, env }), millrace(["worker", "start"], { cwd: project({}), env })]);
  expect(inFolder).toMatchObject({ code: 4, stderr: expect.stringMatching(/looked in workers .*defineHandler; workers\/lib\.ts has none/) as string });
  expect(noFolder).toMatchObject({ code: 4, stderr: expect.stringContaining("there is no workers in ") as string });
});

test("a file that was named must hold a handler, and be there", async () => {
  const own = project({ "lib.ts": "export const helper = 1;", "wrong.ts": "enum E { A }\nexport default E;" });
  const run = (path: string) => millrace(["worker", "start", path, "--json"], { cwd: own, env });
  const [lib, wrong, gone] = await Promise.all([run("lib.ts"), run("wrong.ts"), run("gone.ts")]);
  expect(lib).toMatchObject({ code: 2, stderr: expect.stringContaining("no default export") as string });
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining("wrong.ts:1: an enum") as string });
  expect(gone).toMatchObject({ code: 4, stderr: expect.stringContaining("there is no gone.ts") as string });
});

test.each([
  [["--concurrency", "0"], /--concurrency/],
  [["--concurrency", "many"], /--concurrency/],
  [["--drain", "soon"], /--drain/],
  [["--grace", "-1s"], /--grace/],
  [["--health", "everywhere"], /--health/],
  [["--recovery", "quick"], /"normal" or "fast" for --recovery/],
])("refuses %j before it starts", async (flags, message) => {
  const { code, stderr } = await millrace(["worker", "start", ...flags], { cwd, env });
  expect(code).toBe(2);
  expect(stderr).toMatch(message);
});

test("in debug mode a handler that blocks is told in the log, with its job and the line where it was stuck", { timeout: 60_000 }, async () => {
  const file = "workers/greet.ts";
  const source = HANDLER.replace("async handle({ name, for: manner }, task) {", `async handle({ name, for: manner }, task) {
      const end = Date.now() + 1500;
      while (Date.now() < end); // stuck`);
  const lineOf = (ending: string): number => source.split("\n").findIndex((line) => line.endsWith(ending)) + 1;
  cwd = project({ "producers/jobs/greet.ts": CONTRACT, [file]: source });
  env = { ...env, MILLRACE_DEBUG: "1" };
  const running = await worker("--concurrency", "1");
  const id = await put("Ada");
  // Starting up may block the loop as well, of no task, and is told before.
  await running.says(`task greet ${id} blocked the event loop`);
  running.kill("SIGTERM");
  const { code, stderr } = await running.ended;
  expect(code).toBe(0);
  const warnings = stderr.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as Record<string, string>] : [])).filter(({ warning }) => warning === "BlockedLoopWarning");
  const told = warnings.find(({ msg }) => msg?.startsWith(`task greet ${id} `));
  const place = `${join(realpathSync(cwd), file)}:${lineOf("// stuck")}:`;
  expect(told).toMatchObject({ level: "warn", msg: expect.stringMatching(new RegExp(`^task greet ${id} blocked the event loop for \\d{4} ms, stuck at .*${place}`)) as string });
  expect(told?.["detail"]).toContain(place);
});
