import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import type { TaskReport } from "../../src/concurrency/task-report.ts";
import { serveTasks } from "../../src/concurrency/task-server.ts";
import { taskSocketOf } from "../../src/concurrency/task-socket.ts";
import { spawn } from "../../src/concurrency/task.ts";
import { Program, type ProgramOptions } from "./program.ts";

const sleeping = `
  await run(async (signal) => {
    await taskGroup(async (group) => {
      group.spawn(async (signal) => {
        spawn((signal) => sleep("1h", { signal }), { name: "grandchild" });
        await sleep("1h", { signal }); // asleep
      }, { name: "child" });
      await sleep(100);
      console.log("sleeps");
    });
  });`;

/** A program that sleeps, and the way to its socket. */
async function asleep(options: ProgramOptions = {}): Promise<{ program: Program; path: string }> {
  const program = new Program(sleeping, options);
  await program.says("sleeps");
  const path = taskSocketOf(program.pid) ?? "";
  return { program, path: options.env?.["TMPDIR"] === undefined ? path : path.replace(tmpdir(), options.env["TMPDIR"]) };
}

/** Once somebody listens: the socket is a file a moment before it is listened at. */
async function reportAt(path: string): Promise<TaskReport> {
  for (;;) {
    try {
      return JSON.parse(await text(connect(path))) as TaskReport;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT" && code !== "ECONNREFUSED") throw error;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}

test("a program of run() tells its tasks to who connects: names, parents and ages, and where they wait only in debug mode", async () => {
  const { program, path } = await asleep();
  const report = await reportAt(path);
  expect(report).toMatchObject({ pid: program.pid, debug: false, command: [expect.any(String), program.file] });
  const [main, child, grandchild] = report.tasks;
  expect(report.tasks.map(({ name, cancelling, waitsAt, spawnedAt }) => [name, cancelling, waitsAt, spawnedAt])).toEqual([
    ["main", false, null, null],
    ["child", false, null, null],
    ["grandchild", false, null, null],
  ]);
  expect([main?.parent, child?.parent, grandchild?.parent]).toEqual([null, main?.id, child?.id]);
  for (const { ageMs } of report.tasks) expect(ageMs).toBeLessThanOrEqual(report.uptimeMs);

  const { program: debugged, path: its } = await asleep({ debug: true });
  const known = await reportAt(its);
  expect(known.debug).toBe(true);
  expect(known.tasks.find(({ name }) => name === "child")?.waitsAt?.[0]).toContain(debugged.place("asleep"));
});

test("only its owner can reach the socket, and it is gone when the program ends", async () => {
  const { program, path } = await asleep();
  await reportAt(path);
  expect(lstatSync(dirname(path)).mode & 0o777).toBe(0o700);
  program.process.kill("SIGTERM");
  expect(await program.ended).toMatchObject({ code: 143, stderr: "" });
  expect(existsSync(path)).toBe(false);
});

test("leaves nothing behind where the program exits of its own accord, and replaces what a killed one of its number left", async () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-sockets-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const program = new Program(
    `import { writeFileSync, mkdirSync, existsSync } from "node:fs";
    const folder = ${JSON.stringify(folder)} + "/millrace-" + process.getuid();
    const path = folder + "/" + process.pid + ".sock";
    mkdirSync(folder, { mode: 0o700 });
    writeFileSync(path, "stale");
    run(async () => {
      const { lstatSync } = await import("node:fs");
      while (!existsSync(path) || !lstatSync(path).isSocket()) await sleep(1);
      process.exit(7);
    });`,
    { env: { TMPDIR: folder } },
  );
  expect((await program.ended).code).toBe(7);
  expect(existsSync(join(folder, `millrace-${process.getuid?.()}`, `${program.pid}.sock`))).toBe(false);
});

test("removes what killed processes left, and nothing else", async () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-sockets-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const sockets = join(folder, `millrace-${process.getuid?.()}`);
  const env = { TMPDIR: folder };
  const [living, killed] = await Promise.all([asleep({ env }), asleep({ env })]);
  for (const { path } of [living, killed]) await reportAt(path);
  killed.program.process.kill("SIGKILL");
  await killed.program.ended;
  writeFileSync(join(sockets, "notes.txt"), "");
  const next = await asleep({ env });
  await reportAt(next.path);
  while (existsSync(killed.path)) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(readdirSync(sockets).toSorted()).toEqual([living, next].map(({ program }) => `${program.pid}.sock`).concat("notes.txt").toSorted());
});

test.each([
  ["that others may enter", (path: string) => mkdirSync(path, { mode: 0o755 })],
  ["that is a link", (path: string) => symlinkSync(mkdtempSync(join(dirname(path), "elsewhere-")), path)],
  ["that is none", (path: string) => writeFileSync(path, "")],
])("does not answer in a folder %s, and runs all the same", async (_, prepare) => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-sockets-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  prepare(join(folder, `millrace-${process.getuid?.()}`));
  const { program, path } = await asleep({ env: { TMPDIR: folder } });
  expect(existsSync(path)).toBe(false);
  program.process.kill("SIGTERM");
  expect(await program.ended).toMatchObject({ code: 143, stderr: "" });
});

test("answers as long as one of those who asked for it has not disposed", async () => {
  const path = taskSocketOf(process.pid) ?? "";
  const [first, second] = [serveTasks(), serveTasks()];
  await reportAt(path);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  const task = spawn(() => new Promise<void>((resolve) => setTimeout(resolve, 50)), { name: "here" });
  expect((await reportAt(path)).tasks).toMatchObject([{ name: "here", cancelling: false }]);
  await task;
  second[Symbol.dispose]();
  expect(existsSync(path)).toBe(false);
});

test("somebody who connects and never reads does not hold the program", async () => {
  const { program, path } = await asleep();
  await reportAt(path);
  const socket = connect(path).pause();
  onTestFinished(() => void socket.destroy());
  await new Promise((resolve) => socket.once("connect", resolve));
  program.process.kill("SIGTERM");
  expect((await program.ended).code).toBe(143);
});
