import { execFileSync } from "node:child_process";
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { until } from "../support/app.ts";
import { millrace, project, start, type Running } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

const HANDLER = `
  import { defineHandler, defineJob, typed } from "millrace";
  const held: Buffer[] = [];
  export default defineHandler(defineJob("work", { payload: typed<{ ms?: number; mb?: number; blocks?: boolean }>() }), {
    concurrency: 3,
    async handle({ ms = 0, mb = 0, blocks = false }, task) {
      console.log("begins in", process.pid);
      while (blocks) {}
      held.push(Buffer.alloc(mb * 2 ** 20, 1));
      await new Promise<unknown>((done, fail) => {
        setTimeout(done, ms);
        task.signal.addEventListener("abort", () => fail(task.signal.reason));
      });
    },
  });`;

/** Every start of a process takes its time where others compute. */
const PATIENCE_MS = 90_000;

let cwd: string;
let env: Record<string, string>;
let queue: Queue;
beforeEach(() => {
  cwd = project({ "workers/work.ts": HANDLER });
  const prefix = freshPrefix();
  env = { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix };
  const connection = new Redis(redisUrl(), { maxRetriesPerRequest: null });
  queue = new Queue("work", { connection, prefix });
  onTestFinished(async () => {
    await queue.close();
    connection.disconnect();
  });
});

interface Event {
  readonly event: string;
  readonly pid?: number;
  readonly worker?: number;
}

/** Starts a supervisor, and gives its events as they come. */
async function supervisor(processes: number, ...args: string[]) {
  const running = start(["worker", "start", "--json", "--processes", String(processes), ...args], { cwd, env, ownGroup: true });
  await running.says('"ready"', processes);
  // However a test ends, nothing of it is left.
  const children = childrenOf(running);
  onTestFinished(() => {
    try {
      process.kill(-running.pid, "SIGKILL");
    } catch {
      // They are gone.
    }
  });
  return { running, children };
}

function childrenOf({ pid }: Running): number[] {
  return execFileSync("ps", ["-o", "pid=,ppid=", "-A"], { encoding: "utf8" })
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([child, parent]) => (parent === pid && child !== undefined ? [child] : []))
    .filter((child) => isAlive(child));
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function eventsOf(stdout: string): Event[] {
  return stdout.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as Event] : []));
}

const put = (count: number, data: object) => queue.addBulk(Array.from({ length: count }, () => ({ name: "work", data, opts: { removeOnComplete: false } })));

/** Every job is done, and in its first attempt. */
async function expectAllDone(count: number): Promise<void> {
  await until(async () => (await queue.getJobCounts()).completed === count, 60_000);
  const jobs = await queue.getCompleted();
  expect(jobs).toHaveLength(count);
  expect(new Set(jobs.map(({ attemptsMade }) => attemptsMade))).toEqual(new Set([1]));
}

test("runs jobs in all of its processes, starts another for a killed one, and the job that it held runs again", async () => {
  const { running, children } = await supervisor(2, "--name", "mill");
  expect(children).toHaveLength(2);
  await put(6, { ms: 3000 });
  await running.says("begins in", 6);
  for (const child of children) await running.says(`begins in ${child}`);
  process.kill(children[0]!, "SIGKILL");
  await running.says('"lost"');
  await running.says('"ready"', 3);
  await until(async () => (await queue.getJobCounts()).completed === 6, 60_000);
  running.kill("SIGTERM");
  const { code, stdout } = await running.ended;
  expect(code).toBe(0);
  expect(stdout.match(/begins in/g)).toHaveLength(9);
  for (const { processedBy } of await queue.getCompleted()) expect(processedBy).toMatch(/^mill\.[12]$/);
  const events = eventsOf(stdout);
  expect(events[0]).toEqual({ event: "supervising", pid: running.pid, processes: 2 });
  expect(events).toContainEqual({ event: "lost", worker: children[0], place: expect.any(Number) as number, code: null, signal: "SIGKILL", restartInMs: 0 });
  expect(events.at(-1)).toEqual({ event: "ended", pid: running.pid });
  expect(events.filter(({ event }) => event === "ended")).toHaveLength(3);
}, PATIENCE_MS);

test("killed with -9 it leaves nothing behind: its processes finish what runs, and end", async () => {
  const { running, children } = await supervisor(2);
  await put(6, { ms: 1500 });
  await running.says("begins in", 6);
  running.kill("SIGKILL");
  await running.ended;
  await until(() => !children.some(isAlive));
  await expectAllDone(6);
}, PATIENCE_MS);

test("killed with -9 it does not even leave a process behind whose loop is blocked for good", async () => {
  const { running, children } = await supervisor(1, "--drain", "0", "--grace", "0", "--flush", "0");
  await put(1, { blocks: true });
  await running.says("begins in");
  running.kill("SIGKILL");
  await running.ended;
  await until(() => !children.some(isAlive), 60_000);
  // The job is as after any crash: it would run again.
  expect(await queue.getJobCounts()).toMatchObject({ active: 1 });
}, PATIENCE_MS);

test("SIGTERM under load: no job is lost, none fails, no attempt is spent", async () => {
  const { running } = await supervisor(2, "--drain", "100ms");
  await put(60, { ms: 200 });
  await running.says("begins in", 6);
  running.kill("SIGTERM");
  const { code } = await running.ended;
  expect(code).toBe(0);
  const { completed = 0, waiting, active } = await queue.getJobCounts();
  expect({ total: completed + (waiting ?? 0), active }).toEqual({ total: 60, active: 0 });
  const next = await supervisor(2);
  await expectAllDone(60);
  next.running.kill("SIGTERM");
  expect((await next.running.ended).code).toBe(0);
}, PATIENCE_MS);

test("one Ctrl-C at a terminal, which reaches every process, counts once in each; the second gives back at once", async () => {
  const { running } = await supervisor(2, "--drain", "60s", "--grace", "60s");
  await put(6, { ms: 1500 });
  await running.says("begins in", 6);
  process.kill(-running.pid, "SIGINT");
  const { code, stderr } = await running.ended;
  expect(code).toBe(0);
  expect(stderr).not.toContain("gives back");
  await expectAllDone(6);

  const again = await supervisor(2, "--drain", "60s", "--grace", "60s");
  await put(6, { ms: 60_000 });
  await again.running.says("begins in", 6);
  process.kill(-again.running.pid, "SIGINT");
  // A second one is lost on a process that has not been told of the first yet.
  await Promise.all([again.running.says("worker drains", 2), again.running.says("supervisor stops")]);
  process.kill(-again.running.pid, "SIGINT");
  expect((await again.running.ended).code).toBe(0);
  const waiting = await queue.getWaiting();
  expect(waiting.map(({ attemptsMade }) => attemptsMade)).toEqual(Array(6).fill(0));
}, PATIENCE_MS);

test("replaces a process that holds more than --max-rss, one that has run --max-jobs, and loses nothing", async () => {
  const { running, children } = await supervisor(1, "--max-rss", "600mb", "--max-jobs", "100");
  await put(1, { ms: 1500, mb: 600 });
  await running.says('"max-rss"');
  await until(() => !isAlive(children[0]!));
  await put(200, {});
  await running.says('"max-jobs"');
  await expectAllDone(201);
  running.kill("SIGTERM");
  const { code, stdout } = await running.ended;
  expect(code).toBe(0);
  expect(eventsOf(stdout)).toContainEqual(expect.objectContaining({ event: "recycled", worker: children[0], reason: "max-rss" }));
  expect(stdout).not.toContain('"lost"');
}, PATIENCE_MS);

test("answers for all: ready when every process is, not while one is missing, nor as soon as it is told to stop", async () => {
  const { running, children } = await supervisor(2, "--health", "0", "--drain", "60s");
  const at = /"at":"([^"]+)"/.exec(await running.said("health endpoint answers"))?.[1];
  const ask = async (path: string) => {
    const response = await fetch(`${at}${path}`);
    return { status: response.status, ...((await response.json()) as { state: string; processes: { pid: number; state: string }[] }) };
  };
  const ready = async (): Promise<string> => {
    const { status, state } = await ask("/readyz");
    return `${status} ${state}`;
  };
  await expect.poll(ready, { timeout: 20_000 }).toBe("200 ready");
  expect(await ask("/healthz")).toMatchObject({ status: 200, redis: true, stuck: 0, processes: children.map(() => ({ state: "ready" })) });
  process.kill(children[0]!, "SIGKILL");
  await expect.poll(ready, { timeout: 20_000 }).toBe("503 starting");
  await expect.poll(ready, { timeout: 40_000 }).toBe("200 ready");
  expect((await ask("/readyz")).processes.map(({ pid }) => pid)).not.toContain(children[0]);
  await put(6, { ms: 60_000 });
  await running.says("begins in", 6);
  running.kill("SIGTERM");
  await running.says("supervisor stops");
  expect(await ready()).toBe("503 draining");
  expect((await ask("/healthz")).status).toBe(200);
  await running.says("worker drains", 2);
  running.kill("SIGTERM");
  expect((await running.ended).code).toBe(0);
}, PATIENCE_MS);

test("SIGTSTP, SIGCONT and SIGUSR2 reach all of its processes", async () => {
  const { running } = await supervisor(2, "--drain", "0s");
  running.kill("SIGTSTP");
  await running.says("worker is quiet", 2);
  await put(1, {});
  running.kill("SIGUSR2");
  await running.says("dump: 0 of 3 slots", 2);
  expect((await queue.getJobCounts()).waiting).toBe(1);
  running.kill("SIGCONT");
  await running.says("worker takes jobs again", 2);
  await expectAllDone(1);
  running.kill("SIGTERM");
  expect((await running.ended).code).toBe(0);
}, PATIENCE_MS);

test("what keeps a process from starting ends it with that code, and is said once", async () => {
  const none = project({ "workers/lib.ts": "export const helper = 1;" });
  const [handlers, flags, config] = await Promise.all([
    millrace(["worker", "start", "--processes", "3"], { cwd: none, env }),
    millrace(["worker", "start", "--processes", "0"], { cwd, env }),
    millrace(["worker", "start", "--max-rss", "much"], { cwd, env }),
  ]);
  expect(handlers.code).toBe(4);
  expect(handlers.stderr.match(/no handler found/g)).toHaveLength(1);
  expect(flags).toMatchObject({ code: 2, stderr: expect.stringMatching(/--processes/) as string });
  expect(config).toMatchObject({ code: 2, stderr: expect.stringMatching(/--max-rss/) as string });
}, PATIENCE_MS);
