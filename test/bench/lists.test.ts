import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { groupOf } from "../../src/admin/error-group.ts";
import { findServer } from "../../src/redis/server.ts";
import { casesOf } from "./lists.ts";
import { ERRORS, errorOf } from "./lists-fill.ts";

test("runs the built commands, checks what they printed, and prints first line, time and memory of each", { timeout: 120_000 }, async ({ skip }) => {
  if ((await findServer()) === undefined) skip("no redis-server or valkey-server here to measure on");
  const args = ["--conditions=millrace-source", new URL("main.ts", import.meta.url).pathname, "lists", "--quick", "--only", "dead re"];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout.split("\n").filter((line) => /^\| `dead retry post .*`( \| \d+(\.\d)? \(\d+(\.\d)?-\d+(\.\d)?\)){4} \| 0\.0 \| (met|\*\*not met\*\*) \|$/.test(line))).toHaveLength(2);
});

test("what the cases expect to change adds up to all jobs, and every error is a group of its own", () => {
  expect(new Set(Array.from({ length: ERRORS }, (_, kind) => groupOf("send", errorOf(kind, 7)))).size).toBe(ERRORS);
  expect(groupOf("send", errorOf(3, 1))).toBe(groupOf("send", errorOf(3, 303)));
  const [before, after] = [(at: number): boolean => at < again, (at: number): boolean => at >= again];
  const cases = casesOf(1000);
  const again = cases.findIndex(({ failing }) => failing);
  const changed = (verb: RegExp, isIn: (at: number) => boolean): number => cases.reduce((sum, { args, changes = 0 }, at) => sum + (verb.test(args.join(" ")) && isIn(at) ? changes : 0), 0);
  expect([changed(/job remove/, before), changed(/job retry/, before)]).toEqual([1000, 1000]);
  expect(changed(/dead discard|dead retry|job retry/, after)).toBe(1000);
});
