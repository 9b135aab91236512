/** Holds what `.ci/run` promises: its commands, its last line, its exit code. `npm` is a script that plays a run. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

const script = new URL("../.ci/run", import.meta.url).pathname;
let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "millrace-ci-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function run(plays: { ci?: string; test?: string; check?: string }): { status: number | null; last: string; asked: string[] } {
  const npm = `#!/bin/sh
echo "npm $*" >> "${folder}/asked"
case "$*" in
  ci) ${plays.ci ?? ":"} ;;
  test) ${plays.test ?? ":"} ;;
  "run check") ${plays.check ?? ":"} ;;
esac
`;
  writeFileSync(join(folder, "npm"), npm);
  chmodSync(join(folder, "npm"), 0o755);
  const { status, stdout } = spawnSync(script, { env: { ...process.env, PATH: `${folder}:${process.env["PATH"]}` }, encoding: "utf8", cwd: "/" });
  const asked = readFileSync(join(folder, "asked"), "utf8").trim().split("\n");
  return { status, last: stdout.trim().split("\n").at(-1) ?? "", asked };
}

test("runs the commands of the README and the checks, and closes with the counts", () => {
  expect(run({ test: "echo '3 passed, 0 failed'", check: "echo '9 passed, 0 failed'" })).toEqual({
    status: 0,
    last: "3 passed, 0 failed",
    asked: ["npm ci", "npm test", "npm run check"],
  });
});

test("fails when a test fails", () => {
  expect(run({ test: "echo '2 passed, 1 failed'; exit 1" })).toMatchObject({ status: 1, last: "2 passed, 1 failed" });
});

test("fails when no test ran", () => {
  expect(run({ test: "echo '0 passed, 0 failed'" })).toMatchObject({ status: 1, last: "0 passed, 1 failed" });
  expect(run({})).toMatchObject({ status: 1, last: "0 passed, 1 failed" });
});

test("fails when the run breaks off after passing tests", () => {
  expect(run({ test: "echo '2 passed, 0 failed'; exit 1" })).toMatchObject({ status: 1, last: "2 passed, 1 failed" });
});

test("fails when a check fails, and when the install does", () => {
  expect(run({ test: "echo '3 passed, 0 failed'", check: "exit 1" })).toMatchObject({ status: 1, last: "3 passed, 1 failed" });
  expect(run({ ci: "exit 1", test: "echo '3 passed, 0 failed'" })).toMatchObject({ status: 1, last: "0 passed, 1 failed" });
});
