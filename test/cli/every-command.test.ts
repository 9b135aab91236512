import { readdirSync } from "node:fs";
import { Command } from "commander";
import { expect, test } from "vitest";
import { commandLine } from "../../src/cli/command-line.ts";
import { leavesOf, pathOf } from "../../src/cli/commands.ts";
import { AREAS, ELSEWHERE } from "./command-cases.ts";

test("there is no command that is not played in all five ways, but for those that say why not", () => {
  const commands = leavesOf(commandLine(new Command("millrace"), "1.2.3", async () => undefined)).map(pathOf).filter((path) => !path.startsWith("admin "));
  const played = Object.values(AREAS).flatMap((cases) => Object.keys(cases));
  expect([...played, ...Object.keys(ELSEWHERE)].toSorted()).toEqual([...new Set(commands)].toSorted());
});

test("every area is played by a test, and what is said to be elsewhere is there", () => {
  const tests = readdirSync(import.meta.dirname);
  for (const area of Object.keys(AREAS)) expect(tests).toContain(`${area}.test.ts`);
  for (const why of Object.values(ELSEWHERE)) for (const [file] of why.matchAll(/[\w-]+\.test\.ts/g)) expect(tests).toContain(file);
});
