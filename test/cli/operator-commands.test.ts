import { Command } from "commander";
import { expect, test } from "vitest";
import { leavesOf, pathOf } from "../../src/cli/commands.ts";
import { operatorCommands } from "../../src/cli/operator-commands.ts";

test("declares the same commands wherever it is asked to, and gives what it declared; each may be kept from changing anything", () => {
  const program = new Command("millrace");
  const before = program.command("worker").command("start");
  const atTop = operatorCommands(program, async () => undefined);
  const admin = program.command("admin");
  const below = operatorCommands(admin, async () => undefined);
  expect([...atTop]).toEqual(leavesOf(program).filter((command) => command !== before && !below.has(command)));
  // A noun that was there before comes first.
  expect([...below].map((command) => pathOf(command).replace(/^admin /, "")).toSorted()).toEqual([...atTop].map(pathOf).toSorted());
  for (const command of [...atTop, ...below]) expect(command.options.map(({ long }) => long)).toContain("--read-only");
  expect(before.options).toEqual([]);
});

test("plurals are names of their nouns", () => {
  const program = new Command("millrace");
  operatorCommands(program, async () => undefined);
  for (const noun of program.commands.filter((one) => one.commands.length > 0 && one.name() !== "dead")) expect(noun.aliases(), noun.name()).toContain(`${noun.name()}s`);
});
