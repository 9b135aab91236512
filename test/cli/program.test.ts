import { readFileSync } from "node:fs";
import { Command } from "commander";
import { expect, test } from "vitest";
import { commandLine } from "../../src/cli/command-line.ts";
import { commandsBelow, leavesOf, pathOf, WIDTH } from "../../src/cli/commands.ts";
import { suggestion } from "../../src/cli/suggestion.ts";
import { millrace, project } from "../support/command.ts";

const program = commandLine(new Command("millrace").configureOutput({ getOutHelpWidth: () => WIDTH }), "1.2.3", async () => undefined);
const commands = [...new Set([program, ...commandsBelow(program)])];

/** What `--help` prints, with what stands after the options. */
function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({ writeOut: (part) => void (text += part), getOutHelpWidth: () => WIDTH }).outputHelp();
  return text;
}

test.each(commands.map((command) => [pathOf(command) || "millrace", command] as const))("help of %s fits 80 columns and explains every option and argument", (_, command) => {
  const lines = helpOf(command).split("\n");
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
  for (const { description } of [...command.options, ...command.registeredArguments]) expect(description).not.toBe("");
});

test.each(leavesOf(program).filter(({ registeredArguments }) => registeredArguments.at(-1)?.variadic !== true).map((command) => [pathOf(command), command] as const))("%s refuses a word that it does not take", async (_, command) => {
  for (let at: Command | null = command; at !== null; at = at.parent) at.exitOverride().configureOutput({ outputError: () => undefined });
  const flags = command.options.filter(({ mandatory }) => mandatory).flatMap(({ long }) => [long!, "x"]);
  const words = [...command.registeredArguments.map(() => "word"), "another"];
  await expect(command.parseAsync([...flags, ...words], { from: "user" })).rejects.toMatchObject({ code: "commander.excessArguments" });
});

const admin = program.commands.find((command) => command.name() === "admin")!;
const ofOperators = leavesOf(admin).map((command) => pathOf(command).replace("admin ", ""));

test("the first help names every command but those of operators, the settings and the exit codes", () => {
  const help = helpOf(program);
  const paths = leavesOf(program).map(pathOf);
  const named = paths.filter((path) => help.includes(`  ${path} `));
  expect(named).toEqual(paths.filter((path) => !path.startsWith("admin ") && !ofOperators.includes(path)));
  expect(help).toContain("  admin ");
  const variables = Array.from(readFileSync(new URL("../../src/config.ts", import.meta.url), "utf8").matchAll(/variable: "(\w+)"/g), ([, variable]) => variable!);
  expect(variables.length).toBeGreaterThan(10);
  for (const word of [...variables, "REDIS_URL_FILE", "millrace.config.ts", "3 timed out", "141"]) expect(help).toContain(word);
});

test("the help of admin names every command of operators, and each goes without admin too", () => {
  const help = helpOf(admin);
  expect(ofOperators).toEqual(expect.arrayContaining(["queue list", "job put", "audit"]));
  for (const path of ofOperators) {
    expect(help).toContain(`  admin ${path} `);
    expect(leavesOf(program).map(pathOf)).toContain(path);
  }
});

test.each([
  ["drain", "queue purge empties a queue; worker quiet"],
  ["queue drain", "queue purge empties a queue; worker quiet"],
  ["admin queue obliterate", "did you mean queue delete?"],
  ["worker quit", "did you mean worker quiet"],
  ["worker kill", "did you mean worker stop"],
])("%s, typed from habit, does nothing and names the right command: %s", async (typed, hint) => {
  const { code, stdout, stderr } = await millrace([...typed.split(" "), "mail", "--redis", "redis://127.0.0.1:1"]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain(hint);
});

test.each([
  ["wroker", "did you mean worker?"],
  ["strat", "did you mean worker start?"],
  ["worker strat", "did you mean worker start?"],
  ["redis strat", "did you mean redis start?"],
  ["redis statsu", "did you mean redis status?"],
  ["jion", "did you mean join?"],
  ["xyzzy", "see millrace --help"],
  ["queue xyzzy", "see millrace queue --help"],
])("after %o it says: %s", (typed, hint) => {
  const argv = typed.split(" ");
  expect(suggestion(program, argv, `error: unknown command '${argv.at(-1)}'`)).toBe(hint);
});

test.each([
  ["put digest --wiat", "--wait"],
  ["worker start --concurency 3", "--concurrency"],
  ["job put --jsno", "--json"],
])("after %o it suggests %s", (typed, option) => {
  const argv = typed.split(" ");
  const unknown = argv.find((word) => word.startsWith("--"));
  expect(suggestion(program, argv, `error: unknown option '${unknown}'`)).toBe(`did you mean ${option}?`);
});

test("wrong usage ends with 2 and one line on standard error", async () => {
  const cases = [["wroker"], ["put", "--wiat"], ["join"], ["join", "a", "b"], ["redis", "status", "--log-level", "loud"], ["redis", "status", "--redis", "localhost"]];
  for (const { code, stdout, stderr } of await Promise.all(cases.map((args) => millrace(args)))) {
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^error: .+\n$/);
  }
});

test("with --json errors are JSON too, whatever is wrong", async () => {
  const cases = [["wroker", "--json"], ["--json", "put", "--wiat"], ["worker", "--json"], ["join", "--json"], ["put", "--json", "x", "{}"]];
  for (const { stdout, stderr } of await Promise.all(cases.map((args) => millrace(args)))) {
    expect(stdout).toBe("");
    expect(JSON.parse(stderr)).toEqual({ error: { code: expect.stringMatching(/^[A-Z_]+$/) as string, message: expect.any(String) as string } });
  }
});

test("a noun without its verb ends with 2 and lists the verbs", async () => {
  const { code, stdout, stderr } = await millrace(["redis"]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain("redis status");
});

test("flags go over the environment, that over the config file; global ones may stand on either side", async () => {
  const cwd = project({ "millrace.config.ts": 'export default { redis: "redis://:from-file@127.0.0.1:1" };' });
  const address = async (args: readonly string[], env = {}): Promise<string> => (await millrace(args, { cwd, env })).stderr;
  const put = ["put", "--queue", "q", "--name", "n", "--unchecked"];
  const environment = { REDIS_URL: "redis://127.0.0.1:2" };
  const [byFile, byEnvironment, byFlagAfter, byFlagBefore] = await Promise.all([
    address(put),
    address(put, environment),
    address([...put, "--redis", "redis://127.0.0.1:3"], environment),
    address(["--redis", "redis://127.0.0.1:4", ...put], environment),
  ]);
  expect(byFile).toContain("127.0.0.1:1");
  expect(byFile).not.toContain("from-file");
  expect(byEnvironment).toContain("127.0.0.1:2");
  expect(byFlagAfter).toContain("127.0.0.1:3");
  expect(byFlagBefore).toContain("127.0.0.1:4");
});

test("a config file that Node cannot take is explained", async () => {
  const cwd = project({ "millrace.config.ts": "enum Where { Here }\nexport default {};" });
  const { code, stderr } = await millrace(["redis", "status"], { cwd });
  expect(code).toBe(2);
  expect(stderr).toMatch(/^error: millrace\.config\.ts:1: an enum needs a compiler/);
});

test("warns of a password on the command line, and never shows it", async () => {
  const { stderr } = await millrace(["put", "--queue", "q", "--name", "n", "--unchecked", "--redis", "redis://:hunter2@127.0.0.1:1"]);
  expect(stderr).toMatch(/^warning: the password in --redis/);
  expect(stderr).not.toContain("hunter2");
});

test("Redis that does not answer ends with 6, and says that nothing was put; none that is named ends with 2", async () => {
  const cwd = project({ "producers/jobs/tick.ts": 'import { defineJob } from "millrace/job";\nexport const tick = defineJob("tick");' });
  const nowhere = ["--redis", "redis://127.0.0.1:1"];
  const unchecked = ["put", "--queue", "q", "--name", "n", "--unchecked", "--json"];
  const [known, unknown, unnamed] = await Promise.all([
    millrace(["put", "tick", "--json", ...nowhere], { cwd }),
    millrace([...unchecked, ...nowhere], { cwd }), // asks first in how many partitions the queue is
    millrace(unchecked, { cwd }),
  ]);
  expect([known.code, unknown.code]).toEqual([6, 6]);
  expect(JSON.parse(known.stderr)).toMatchObject({ error: { code: "ENQUEUE_TIMEOUT" } });
  expect(JSON.parse(unknown.stderr)).toMatchObject({ error: { code: "BACKEND_UNAVAILABLE" } });
  expect(unnamed.code).toBe(2);
  expect(JSON.parse(unnamed.stderr)).toMatchObject({ error: { code: "NO_REDIS", message: expect.stringContaining("--redis") as string } });
});
