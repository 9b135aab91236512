import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Command } from "commander";
import { expect, test } from "vitest";
import { commandLine } from "../../src/cli/command-line.ts";
import { completionScript, SHELLS } from "../../src/cli/completion.ts";
import { commandsBelow, pathOf } from "../../src/cli/commands.ts";
import { millrace } from "../support/command.ts";

const program = commandLine(new Command("millrace"), "1.2.3", async () => undefined);
const run = promisify(execFile);

test.each([
  ["q", ["queue"]],
  ["queue pu", ["purge"]],
  ["queues pau", ["pause"]],
  ["admin queue --json del", ["delete"]],
  ["dead retry mail --gr", ["--group"]],
  ["queue purge mail --state waiting --dry", ["--dry-run"]],
  ["job list mail --sta", ["--state"]],
])("bash completes %j by %j", async (line, expected) => {
  const words = ["millrace", ...line.split(" ")];
  const { stdout } = await run("bash", ["-c", `${completionScript(program, "bash")}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _millrace; printf '%s\\n' "\${COMPREPLY[@]}"`, "bash", ...words]);
  expect(stdout.trim().split("\n")).toEqual(expected);
});

test.each(SHELLS)("the script for %s names every command", (shell) => {
  const script = completionScript(program, shell);
  for (const command of commandsBelow(program)) expect(script).toContain(`"${pathOf(command)}"`);
});

test("the shell's own reader takes it, where there is one", async ({ skip }) => {
  const [bash, ...others] = await Promise.all(SHELLS.map(async (shell) => run(shell, ["-n", "-c", completionScript(program, shell)]).then(() => "read", (error: NodeJS.ErrnoException) => (error.code === "ENOENT" ? "absent" : error.message))));
  expect(bash).toBe("read");
  for (const other of others) expect(["read", "absent"]).toContain(other);
  if (others.includes("absent")) skip("no zsh or no fish here");
});

test("prints the script; another shell ends with 2", async () => {
  const [bash, wrong] = await Promise.all([millrace(["completion", "bash"]), millrace(["completion", "zhs"])]);
  expect(bash.code).toBe(0);
  expect(bash.stdout).toContain("complete -o default -F _millrace millrace\n");
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('did you mean "zsh"?') as string });
});
