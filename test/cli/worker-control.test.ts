/** The commands `worker …` on real processes: tables, JSON, wrong input, effects. */
import { readdirSync, readFileSync } from "node:fs";
import type { Queue } from "bullmq";
import { beforeEach, expect, test } from "vitest";
import { stockQueue } from "../interop/stock.ts";
import { until } from "../support/app.ts";
import { millrace, project, start, type Ended, type Running } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

const HANDLER = `
  import { defineHandler, defineJob, typed } from "millrace";
  export default defineHandler(defineJob("work", { payload: typed<{ blocks?: boolean }>(), progress: typed<string>() }), {
    async handle({ blocks }, task) {
      await task.progress("half");
      console.log("begins");
      while (blocks) {}
      await new Promise<unknown>((_, fail) => task.signal.addEventListener("abort", () => fail(task.signal.reason)));
    },
  });`;

const PATIENCE_MS = 90_000;

let cwd: string;
let env: Record<string, string>;
let queue: Queue;
beforeEach(() => {
  cwd = project({ "workers/work.ts": HANDLER });
  const prefix = freshPrefix();
  env = { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix };
  queue = stockQueue(prefix);
});

/** Started, and registered. */
async function worker(name: string, ...args: string[]): Promise<Running> {
  const running = start(["worker", "start", "--name", name, "--concurrency", "2", "--drain", "0s", ...args], { cwd, env });
  await running.says("worker is ready");
  await until(async () => (await workers()).some((one) => one.pid === running.pid));
  return running;
}

interface Row {
  readonly id: string;
  readonly name: string;
  readonly pid: number;
  readonly state: string;
  readonly slots: number;
  readonly [field: string]: unknown;
}
const run = (...args: string[]): Promise<Ended> => millrace(args, { cwd, env });
const json = <T = Row>({ stdout }: Ended): T[] => stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line) as T);
const workers = async (): Promise<Row[]> => json(await run("workers", "--json"));

test("worker list tells of each what it is, and nothing where none runs", { timeout: PATIENCE_MS }, async () => {
  const [none, noneJson] = await Promise.all([run("worker", "list"), run("workers", "--json")]);
  expect(none).toEqual({ code: 0, stdout: "", stderr: `no worker runs under the prefix "${env["MILLRACE_PREFIX"]}"\n` });
  expect(noneJson).toEqual({ code: 0, stdout: "", stderr: "" });
  const running = await worker("mill");
  const [text, one] = await Promise.all([run("admin", "worker", "list"), workers()]);
  expect(one).toEqual([
    {
      id: expect.stringMatching(/^[2-9a-z]{8}$/), name: "mill", host: expect.any(String), pid: running.pid, version: expect.any(String), supervisor: null, place: null,
      state: "ready", queues: ["work"], slots: 2, running: 0, stuck: 0, ended: 0, rssBytes: expect.any(Number), loopDelayMs: { p99: expect.any(Number), max: expect.any(Number) },
      lastError: null, clockOffMs: expect.any(Number), startedAt: expect.any(Number), seenAt: expect.any(Number), upMs: expect.any(Number), silentMs: expect.any(Number),
    },
  ]);
  const [head, line] = text.stdout.split("\n");
  expect(head).toMatch(/^WORKER +NAME +STATE +BUSY +MEMORY +LOOP +UP +QUEUES +NOTE$/);
  expect(line).toMatch(new RegExp(`^${one[0]!.id} +mill +ready +0/2 +[\\d.]+ MB +\\d+ ms +\\d+ s +work$`));
  running.kill("SIGTERM");
  expect((await running.ended).code).toBe(0);
  expect(await workers()).toEqual([]);
});

test("one that was killed is gone within ten seconds; one that is stopped is named, and does nothing later", { timeout: PATIENCE_MS }, async () => {
  const [killed, stopped, well] = await Promise.all([worker("killed"), worker("stopped"), worker("well")]);
  killed.kill("SIGKILL");
  await killed.ended;
  const diedAt = performance.now();
  stopped.kill("SIGSTOP");
  // At once: what is silent for eight seconds is as good as dead.
  const [told, toldJson] = await Promise.all([run("worker", "quiet", "stopped", "well"), run("worker", "ping", "stopped", "well", "--json")]);
  expect(told).toMatchObject({ code: 3, stdout: expect.stringMatching(/well +quiet +0/) as string, stderr: expect.stringMatching(/^error: no answer within 1 s from 1 worker: [2-9a-z]{8} \(stopped\);/) as string });
  expect(json(toldJson)).toEqual([expect.objectContaining({ name: "well", running: 0 }), { id: expect.any(String) as string, name: "stopped", unanswered: true }]);
  expect(JSON.parse(toldJson.stderr)).toMatchObject({ error: { code: "TIMEOUT" } });
  await until(async () => !(await workers()).some(({ name }) => name === "killed"));
  expect(performance.now() - diedAt).toBeLessThan(10_000 + 2000); // the list takes its time to be asked for
  stopped.kill("SIGCONT");
  await stopped.says("too late to answer");
  await until(async () => (await workers()).some(({ name, state }) => name === "stopped" && state === "ready"));
  well.kill("SIGKILL");
});

test("quiet, resume, scale, log-level and stop have their effect on a queue that stock BullMQ feeds", { timeout: PATIENCE_MS }, async () => {
  const running = await worker("mill");
  const [{ id } = { id: "" }] = await workers();
  const quieted = await run("worker", "quiet", id.slice(0, 6));
  expect(quieted).toEqual({ code: 0, stdout: `WORKER    NAME  STATE  RUNNING\n${id}  mill  quiet        0\n`, stderr: "" });
  await queue.addBulk(Array.from({ length: 4 }, () => ({ name: "work", data: {} })));
  expect(await queue.getJobCounts("waiting", "active")).toEqual({ waiting: 4, active: 0 });
  expect(json(await run("worker", "resume", "--all", "--json"))).toEqual([{ id, name: "mill", state: "ready", running: expect.any(Number) as number }]);
  await running.says("begins", 2);
  const scaled = await run("worker", "scale", "mill", "--concurrency", "3");
  expect(scaled.stdout).toMatch(/^WORKER +NAME +FROM +TO +NOTE\n\w+ +mill +2 +3\n$/);
  await running.says("begins", 3);
  expect(await queue.getJobCounts("waiting", "active")).toEqual({ waiting: 1, active: 3 });
  expect(json(await run("worker", "log-level", "mill", "debug", "--json"))).toEqual([{ id, name: "mill", from: "info", to: "debug" }]);
  expect(await run("worker", "restart", "mill")).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("--processes 1") as string });
  expect(await run("worker", "stop", "mill", "--dry-run")).toMatchObject({ code: 0, stdout: `would stop 1 worker: ${id} (mill)\n` });
  const stopped = await run("worker", "stop", "mill", "--wait", "30s");
  expect(stopped).toMatchObject({ code: 0, stdout: expect.stringMatching(/mill +3 +the process ends$/m) as string });
  expect((await running.ended).code).toBe(0);
  expect(await queue.getJobCounts("waiting", "active")).toEqual({ waiting: 4, active: 0 });
  const trail = await run("audit", "--json");
  expect(json<{ command: string }>(trail).map(({ command }) => command)).toEqual(["quiet", "resume", "scale", "log-level", "restart", "stop"].map((verb) => `worker ${verb}`));
});

test("dump and profile look at what runs", { timeout: PATIENCE_MS }, async () => {
  env = { ...env, MILLRACE_DEBUG: "1" };
  const running = await worker("mill");
  await queue.add("work", {}, { jobId: "one-job" });
  await running.says("begins");
  await until(async () => json(await run("worker", "dump", "mill", "--json")).every((dump) => (dump["tasks"] as object[]).length === 1));
  const [text, profiled] = await Promise.all([run("worker", "dump", "mill"), run("worker", "profile", "mill", "--seconds", "0.5")]);
  expect(text.stdout).toMatch(/^[2-9a-z]{8} {2}mill\n {2}state {7}ready, 1 of 2 slots run a task/);
  expect(text.stdout).toMatch(/^one-job +work +1 +[\d.]+ s +"half"\n +waits at .*\(workers\/work\.ts:\d+:\d+\)$/m);
  expect(profiled).toMatchObject({ code: 0, stdout: expect.stringMatching(/^millrace-[2-9a-z]{8}-\d+T\d+Z\.cpuprofile: 0\.5 s of/) as string });
  const file = readdirSync(cwd).find((name) => name.endsWith(".cpuprofile"));
  expect(Object.keys(JSON.parse(readFileSync(`${cwd}/${file}`, "utf8")) as object)).toContain("samples");
});

test("debug has dump tell where tasks wait that began to after it, in a worker that was started without; off ends that", { timeout: PATIENCE_MS }, async () => {
  const running = await worker("mill");
  const [{ id } = { id: "" }] = await workers();
  const dumped = async (tasks: number): Promise<string> => {
    let text = "";
    await until(async () => (text = (await run("worker", "dump", "mill")).stdout).includes(`${tasks} of 2 slots run a task`));
    return text;
  };
  const hint = new RegExp(`^Where they wait is told in debug mode, .*: millrace worker debug ${id} on$`, "m");
  await queue.add("work", {}, { jobId: "before" });
  await running.says("begins");
  expect(await dumped(1)).toMatch(hint);
  expect(json(await run("worker", "debug", "mill", "on", "--json"))).toEqual([{ id, name: "mill", from: false, to: true }]);
  await queue.add("work", {}, { jobId: "after" });
  await running.says("begins", 2);
  const text = await dumped(2);
  expect(text).toMatch(/^after +work +1 +[\d.]+ s +"half"\n +waits at .*\(workers\/work\.ts:\d+:\d+\)$/m);
  expect(text).toMatch(/^before +work +1 +[\d.]+ s +"half"$/m);
  expect(text).toMatch(/^Where the others wait is not known: they wait since before/m);
  expect(json(await run("worker", "debug", "--all", "off", "--json"))).toEqual([{ id, name: "mill", from: true, to: false }]);
  expect(await dumped(2)).toMatch(hint);
});

test("a worker whose loop is blocked is shown as silent, does not answer, and is named, for as long as it is blocked", { timeout: PATIENCE_MS }, async () => {
  const running = await worker("mill");
  await queue.add("work", { blocks: true });
  await running.says("begins");
  await until(async () => ((await workers())[0]?.["silentMs"] as number) > 12_000, 60_000);
  const [listed, dumped] = await Promise.all([run("workers"), run("worker", "dump", "mill")]);
  expect(listed.stdout).toMatch(/mill +silent \d+ s/);
  expect(dumped).toMatchObject({ code: 3, stdout: "", stderr: expect.stringContaining("(mill)") as string });
  running.kill("SIGKILL");
  await running.ended;
  const diedAt = performance.now();
  await until(async () => (await workers()).length === 0);
  expect(performance.now() - diedAt).toBeLessThan(12_000); // the list takes its time to be asked for
});

test("under a supervisor restart replaces a process, and stop leaves its place empty", { timeout: PATIENCE_MS }, async () => {
  const running = start(["worker", "start", "--processes", "2", "--name", "mill", "--json", "--health", "0", "--drain", "0s"], { cwd, env, ownGroup: true });
  await running.says('"ready"', 2);
  const at = /"at":"([^"]+)"/.exec(await running.said("health endpoint answers"))?.[1];
  await until(async () => (await workers()).length === 2);
  const before = (await workers()).toSorted((one, other) => (one.name < other.name ? -1 : 1));
  expect(before.map(({ name, supervisor, place }) => ({ name, supervisor, place }))).toEqual([1, 2].map((place) => ({ name: `mill.${place}`, supervisor: running.pid, place })));
  expect(json(await run("worker", "restart", "mill.1", "--json"))).toEqual([expect.objectContaining({ name: "mill.1", ends: "process", replacedBy: "supervisor" })]);
  await running.says('"recycled"');
  await until(async () => {
    const now = await workers();
    return now.length === 2 && now.every(({ id, state }) => id !== before[0]!.id && state === "ready");
  });
  expect(await run("worker", "stop", "mill.2", "--wait", "30s")).toMatchObject({ code: 0 });
  await running.says('"left"');
  expect((await workers()).map(({ name }) => name)).toEqual(["mill.1"]);
  await until(async () => (await fetch(`${at}/readyz`)).status === 200);
  expect(await run("worker", "stop", "--all")).toMatchObject({ code: 2, stderr: expect.stringContaining("--yes") as string });
  expect(await run("worker", "stop", "--all", "--yes")).toMatchObject({ code: 0 });
  const { code, stdout } = await running.ended;
  expect(code).toBe(0);
  expect(stdout).not.toContain('"lost"');
});

test.each([
  [["worker", "ping"], 2, "--all"],
  [["worker", "ping", "mill", "--all"], 2, "both"],
  [["worker", "ping", "mill"], 4, 'no worker is called "mill": none runs'],
  [["worker", "scale", "mill"], 2, "--concurrency"],
  [["worker", "scale", "mill", "--concurrency", "none"], 2, "--concurrency"],
  [["worker", "log-level", "mill", "loud"], 2, "the level"],
  [["worker", "log-level", "debug"], 2, "--all"],
  [["worker", "debug", "mill"], 2, '"on" or "off"'],
  [["worker", "debug", "on"], 2, "--all"],
  [["worker", "profile", "mill", "--seconds", "x"], 2, "--seconds"],
  [["worker", "stop", "mill", "--wait", "soon"], 2, "--wait"],
  [["worker", "quiet", "--all", "--read-only"], 1, "read-only"],
  [["worker", "drain", "mill"], 2, "worker quiet"],
  [["worker", "quit", "mill"], 2, "worker stop"],
  [["worker", "kill", "mill"], 2, "worker stop"],
] as const)("%j ends with %i", async (args, code, says) => {
  expect(await run(...args)).toMatchObject({ code, stdout: "", stderr: expect.stringContaining(says) as string });
});

test("--all where nobody runs does nothing, and says so", async () => {
  const said = `no worker runs under the prefix "${env["MILLRACE_PREFIX"]}": nothing was done\n`;
  for (const verb of ["ping", "quiet", "stop", "dump"]) expect(await run("worker", verb, "--all")).toEqual({ code: 0, stdout: "", stderr: said });
});
