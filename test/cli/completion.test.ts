import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Command } from "commander";
import { describe, expect, onTestFinished, test } from "vitest";
import { commandLine } from "../../src/cli/command-line.ts";
import { completionScript, SHELLS } from "../../src/cli/completion.ts";
import { commandsBelow, pathOf } from "../../src/cli/commands.ts";
import { millrace } from "../support/command.ts";

const program = commandLine(new Command("millrace"), "1.2.3", async () => undefined);
const run = promisify(execFile);

/** A command line that ends where tab is typed, and what may stand there. */
const LINES: readonly (readonly [line: string, words: readonly string[]])[] = [
  ["q", ["queue"]],
  ["queue pu", ["purge"]],
  ["queues pau", ["pause"]],
  ["admin queue --json del", ["delete"]],
  ["dead retry mail --gr", ["--group"]],
  ["queue purge mail --state waiting --dry", ["--dry-run"]],
  ["job list mail --sta", ["--state"]],
  ["flow ", ["show"]],
];
/** Where a file may stand: `package.json` of the folder that it is typed in. */
const FILE_LINES = ["queue import mail pack", "worker start pack", "worker profile web --out pack"];

/** @returns what stands in this shell where its tab is typed; undefined where there is no such shell */
const COMPLETERS: Readonly<Record<(typeof SHELLS)[number], (script: string, line: string) => Promise<string[]>>> = {
  async bash(script, line) {
    const words = ["millrace", ...line.split(" ")];
    const { stdout } = await run("bash", ["-c", `${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _millrace; printf '%s\\n' "\${COMPREPLY[@]}"`, "bash", ...words]);
    return stdout.split("\n").filter(Boolean);
  },
  async fish(script, line) {
    const cwd = folder();
    writeFileSync(join(cwd, "script.fish"), script);
    const { stdout } = await run("fish", ["--no-config", "-c", 'source script.fish; complete -C "millrace $argv[1]"', line], { cwd });
    return stdout.split("\n").filter(Boolean).map((row) => row.split("\t")[0]!);
  },
  /** In a terminal of its own, as somebody types: what it makes of the line is read off the terminal. */
  async zsh(script, line) {
    const cwd = folder();
    writeFileSync(join(cwd, "script.zsh"), script);
    writeFileSync(join(cwd, "setup.zsh"), ZSH_SETUP);
    const { stdout } = await run("zsh", ["-f", "-c", ZSH, "zsh", "setup.zsh", `millrace ${line}`], { cwd, timeout: 50_000 });
    return stdout.trim().split(" ").slice(line.split(" ").length).filter(Boolean);
  },
};

/** Types the line and tab, then a key that writes down what the line has become. */
const ZSH = `
zmodload zsh/zpty
zpty typed zsh -f -i
read_to() { local all="" part; until [[ $all == *$1* ]]; do zpty -r typed part || exit 1; all+=$part; done }
zpty -w typed "source $1"
read_to 'is ready'
zpty -w -n typed "$2"$'\\t\\x14'
read_to 'is told'
zpty -d typed
cat told`;
const ZSH_SETUP = `
PS1=
unsetopt auto_menu beep
source ./script.zsh
tell() { print -r -- "$BUFFER" >| told; zle kill-whole-line; print "is" "told" }
zle -N tell
bindkey '^T' tell
print "is" "ready"`;

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "millrace-completion-"));
  onTestFinished(() => rmSync(made, { recursive: true }));
  writeFileSync(join(made, "package.json"), "{}");
  return made;
}

const isHere = (shell: string): Promise<boolean> => run(shell, ["-c", "exit 0"]).then(() => true, () => false);

describe.each(SHELLS)("%s", (shell) => {
  test("completes commands and options where they may stand", { timeout: 120_000 }, async ({ skip }) => {
    if (!(await isHere(shell))) skip(`no ${shell} here`);
    for (const [line, words] of LINES) expect(await COMPLETERS[shell](completionScript(program, shell), line), line).toEqual(words);
  });

  // What bash does by itself where we say nothing, its function does not tell.
  test.skipIf(shell === "bash")("completes files where they may stand, and nowhere else", { timeout: 120_000 }, async ({ skip }) => {
    if (!(await isHere(shell))) skip(`no ${shell} here`);
    for (const line of FILE_LINES) expect(await COMPLETERS[shell](completionScript(program, shell), line), line).toEqual(["package.json"]);
    expect((await COMPLETERS[shell](completionScript(program, shell), "queue pause pack")).filter((word) => word !== "pack")).toEqual([]);
  });
});

test.each(SHELLS)("the script for %s names every command", (shell) => {
  const script = completionScript(program, shell);
  for (const command of commandsBelow(program)) expect(script).toContain(`"${pathOf(command)}"`);
});

test("prints the script; another shell ends with 2", async () => {
  const [bash, wrong] = await Promise.all([millrace(["completion", "bash"]), millrace(["completion", "zhs"])]);
  expect(bash.code).toBe(0);
  expect(bash.stdout).toContain("complete -o default -F _millrace millrace\n");
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('did you mean "zsh"?') as string });
});
