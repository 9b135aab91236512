import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import type { TaskReport } from "../../src/concurrency/task-report.ts";
import { taskSocketOf } from "../../src/concurrency/task-socket.ts";
import { Program } from "../concurrency/program.ts";
import { type Ended, millrace, project, start } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

const tasksOf = (pid: number, ...flags: string[]): Promise<Ended> => millrace(["tasks", "--pid", String(pid), ...flags]);

async function answers(pid: number): Promise<void> {
  while (!existsSync(taskSocketOf(pid) ?? "")) await new Promise((resolve) => setTimeout(resolve, 1));
  expect((await tasksOf(pid)).code).toBe(0);
}

const family = `
  await run(async (signal) => {
    await taskGroup(async (group) => {
      group.spawn(async (signal) => {
        spawn((signal) => sleep("1h", { signal }), { name: "second of child" });
        await sleep("1h", { signal }); // asleep
      }, { name: "child" });
      group.spawn((signal) => sleep("1h", { signal }), { name: "sibling \\u001b[31m" });
      await sleep(1);
      console.log("sleeps");
    });
  });`;

test("prints the tasks of a program of run() as a tree, with their ages, and nothing in them that steers a terminal", async () => {
  const program = new Program(family);
  await program.says("sleeps");
  await answers(program.pid);
  const { code, stdout, stderr } = await tasksOf(program.pid);
  expect([code, stderr]).toEqual([0, ""]);
  const [title, ...lines] = stdout.trimEnd().split("\n");
  expect(title).toMatch(new RegExp(`^process ${program.pid}, up [\\d.]+ s, 4 tasks: .*${program.file}$`));
  expect(lines.map((line) => line.replace(/ +[\d.]+ s$/, ""))).toEqual([
    "main",
    "├─ child",
    "│  └─ second of child",
    "└─ sibling ?[31m",
    "",
    "Where they wait is known in debug mode: MILLRACE_DEBUG=1",
  ]);
  for (const line of lines.slice(0, 4)) expect(line).toMatch(/ {2}[\d.]+ s$/);
});

test("in debug mode it prints where each waits, by file and line", async () => {
  const program = new Program(family, { debug: true });
  await program.says("sleeps");
  await answers(program.pid);
  const { stdout } = await tasksOf(program.pid);
  expect(stdout.split("\n").find((line) => line.startsWith("├─ child"))).toContain(`waits at`);
  expect(stdout.split("\n").find((line) => line.startsWith("├─ child"))).toContain(program.place("asleep"));
  expect(stdout).not.toContain("MILLRACE_DEBUG");
});

test("--json gives the report as the process told it", async () => {
  const program = new Program(family);
  await program.says("sleeps");
  await answers(program.pid);
  const report = JSON.parse((await tasksOf(program.pid, "--json")).stdout) as TaskReport;
  expect(report.tasks.map(({ name }) => name)).toEqual(["main", "child", "sibling \u001b[31m", "second of child"]);
  expect(report).toMatchObject({ pid: program.pid, debug: false });
});

test("a worker without Redis tells its pool, and no password of its command line", async () => {
  const cwd = project({
    "workers/nap.ts": `
      import { defineHandler, defineJob } from "millrace";
      export default defineHandler(defineJob("nap"), { async handle() { console.log("napping"); await new Promise(() => setInterval(() => {}, 1000)); } });`,
  });
  const running = start(["worker", "start", "--redis", "redis://:never-shown@127.0.0.1:1", "--grace", "0s", "--drain", "0s"], { cwd });
  await running.says("worker starts");
  await answers(running.pid);
  const { code, stdout } = await tasksOf(running.pid);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^pool/m);
  expect(stdout).toContain("redis://:***@127.0.0.1:1");
  expect(stdout).not.toContain("never-shown");
});

test("a worker's jobs stand below its pool by their names and ids", async () => {
  const cwd = project({
    "producers/jobs/nap.ts": `import { defineJob } from "millrace/job"; export const nap = defineJob("nap");`,
    "workers/nap.ts": `
      import { defineHandler } from "millrace";
      import { nap } from "../producers/jobs/nap.ts";
      export default defineHandler(nap, { async handle() { console.log("napping"); await new Promise(() => setInterval(() => {}, 1000)); } });`,
  });
  const env = { MILLRACE_PREFIX: freshPrefix(), REDIS_URL: redisUrl() };
  const running = start(["worker", "start", "--grace", "0s", "--drain", "0s"], { cwd, env });
  await running.says("worker is ready");
  const id = (await millrace(["put", "nap"], { cwd, env })).stdout.trim();
  await running.says("napping");
  await answers(running.pid);
  const { stdout } = await tasksOf(running.pid);
  expect(stdout).toMatch(/^pool .*(\n[├│└].*)*consumer of nap/m);
  expect(stdout).toMatch(new RegExp(`^[├│└ ─]+ nap ${id} {2,}`, "m"));
});

test("says why where there is nothing to tell: 4 for no such process and for one that tells nothing, 3 for one that does not answer", async () => {
  const gone = new Program(``);
  await gone.ended;
  const silent = new Program(`console.log("runs"); await sleep("1h");`);
  await silent.says("runs");
  const stopped = new Program(family);
  await stopped.says("sleeps");
  await answers(stopped.pid);
  stopped.process.kill("SIGSTOP");
  const [none, nothing, noAnswer] = await Promise.all([gone, silent, stopped].map(({ pid }) => tasksOf(pid)));
  expect(none).toMatchObject({ code: 4, stdout: "", stderr: `error: no process has the number ${gone.pid}\n` });
  expect(nothing).toMatchObject({ code: 4, stderr: expect.stringContaining(`process ${silent.pid} does not tell its tasks`) as string });
  expect(noAnswer).toMatchObject({ code: 3, stderr: expect.stringContaining(`process ${stopped.pid} does not answer within 3.0 s: its event loop is blocked, or it is stopped`) as string });
  expect(JSON.parse((await tasksOf(gone.pid, "--json")).stderr)).toEqual({ error: { code: "NOT_FOUND", message: `no process has the number ${gone.pid}` } });
});

const NOBODY = 65_534;

test.skipIf(process.getuid?.() !== 0)("ends with 1 for a process of another user; root may ask for everybody's", async () => {
  const ours = new Program(family);
  await ours.says("sleeps");
  await answers(ours.pid);
  const message = `error: expected a process of this user, but ${ours.pid} is another's: only they and root may ask for its tasks\n`;
  expect(await millrace(["tasks", "--pid", String(ours.pid)], { uid: NOBODY, cwd: "/" })).toMatchObject({ code: 1, stdout: "", stderr: message });

  const toolkit = new URL("../../src/concurrency/index.ts", import.meta.url).href;
  const source = `import { run, sleep } from ${JSON.stringify(toolkit)}; await run((signal) => sleep("1h", { signal }));`;
  const theirs = spawn(process.execPath, ["--input-type=module", "-e", source], { uid: NOBODY, cwd: "/", env: {}, stdio: "ignore" });
  onTestFinished(() => void theirs.kill("SIGKILL"));
  while (!existsSync(taskSocketOf(theirs.pid ?? 0, NOBODY) ?? "")) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(await tasksOf(theirs.pid ?? 0)).toMatchObject({ code: 0, stdout: expect.stringContaining(`process ${theirs.pid}, up `) as string });
});

test("ends with 4 where a killed process has left its socket", async () => {
  const program = new Program(family);
  await program.says("sleeps");
  await answers(program.pid);
  program.process.kill("SIGKILL");
  await program.ended;
  expect(await tasksOf(program.pid)).toMatchObject({ code: 4, stderr: `error: no process has the number ${program.pid}\n` });
});

test("ends with 2 with something else than a number", async () => {
  const wrong = await millrace(["tasks", "--pid", "main"]);
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('got "main"') as string });
});
