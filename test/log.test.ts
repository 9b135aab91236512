import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { createLog } from "../src/log.ts";
import type { Logger } from "../src/log.ts";
import { pino } from "pino";

function recorded(options: Parameters<typeof createLog>[0] = {}): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  return { log: createLog({ ...options, stream: { write: (line) => lines.push(line) } }), lines };
}

test("writes one line of JSON an event, with level, time and message", () => {
  const { log, lines } = recorded();
  log.info({ jobs: 3 }, "put");
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0]!)).toMatchObject({ level: "info", msg: "put", jobs: 3, time: expect.stringMatching(/^\d{4}-.*Z$/) as string, pid: process.pid });
});

test("gives a child's fields to each of its lines", () => {
  const { log, lines } = recorded();
  log.child({ queue: "files" }).warn("slow");
  expect(JSON.parse(lines[0]!)).toMatchObject({ queue: "files", msg: "slow" });
});

test("writes nothing below its level", () => {
  const { log, lines } = recorded({ level: "warn" });
  log.info("unheard");
  log.child({}).debug("unheard");
  log.error("heard");
  expect(lines).toHaveLength(1);
});

test("strikes out passwords, in messages and in fields", () => {
  const { log, lines } = recorded();
  log.info({ redis: "redis://:hunter2@host" }, "connect to rediss://me:hunter2@host");
  expect(lines[0]).not.toContain("hunter2");
  expect(lines[0]).toContain("redis://:***@host");
});

test("leaves out the command of a Redis error, whose arguments may be the password", () => {
  const { log, lines } = recorded();
  log.warn({ err: Object.assign(new Error("WRONGPASS"), { command: { name: "auth", args: ["hunter2"] } }) }, "refused");
  expect(lines[0]).not.toContain("hunter2");
  expect(JSON.parse(lines[0]!)).toMatchObject({ err: { message: "WRONGPASS", type: "Error" } });
});

test("writes text where people read", () => {
  const { log, lines } = recorded({ pretty: true });
  log.info({ jobs: 3 }, "put");
  expect(lines[0]).toMatch(/INFO.*put.*"jobs":3/);
});

test("is satisfied by a logger of the user's own", () => {
  const theirs: Logger = pino({ level: "silent" });
  expect(() => theirs.child({ a: 1 }).info({ b: 2 }, "x")).not.toThrow();
});

test("starts no thread and writes nothing when it is imported or unused; JSON when piped", () => {
  const script = `
    const { createLog, rootLog } = await import(${JSON.stringify(new URL("../src/log.ts", import.meta.url).href)});
    const { getActiveResourcesInfo } = process;
    const log = createLog();
    rootLog().info("below the level of a library");
    const before = getActiveResourcesInfo().filter((kind) => /Worker|MessagePort/.test(kind)).length;
    console.log(before);
    log.info("x");`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8", env: { ...process.env, MILLRACE_LOG_LEVEL: undefined } });
  expect(stdout).toBe("0\n");
  expect(stderr.trim().split("\n").map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(["x"]);
});

test("refuses a level that is none, and says which was meant", () => {
  const script = `const { rootLog } = await import(${JSON.stringify(new URL("../src/log.ts", import.meta.url).href)}); try { rootLog() } catch (error) { console.log(error.code, error.message) }`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8", env: { ...process.env, MILLRACE_LOG_LEVEL: "wran" } });
  expect(stdout).toMatch(/OPTION_INVALID .*did you mean "warn"/);
});
