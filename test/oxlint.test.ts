/** Holds that the lint rules for users load the way the README says, from an installed package, and refuse what they should. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { project } from "./support/command.ts";

const root = new URL("../", import.meta.url);
const oxlint = fileURLToPath(new URL("node_modules/.bin/oxlint", root));
const config = '{ "extends": ["./node_modules/millrace/oxlint.json"] }';
const tsconfig = JSON.stringify({
  compilerOptions: { module: "nodenext", target: "es2023", strict: true, noEmit: true, customConditions: ["millrace-source"], allowImportingTsExtensions: true, types: [] },
  include: ["*.ts"],
});

/** The rules that refuse this program, by line. */
function refused(program: string): string[] {
  const folder = project({ ".oxlintrc.json": config, "tsconfig.json": tsconfig, "program.ts": program });
  const { stdout, stderr } = spawnSync(oxlint, ["-f", "unix", "program.ts"], { cwd: folder, encoding: "utf8", timeout: 60_000 });
  if (!/problem/.test(stdout) && stdout.trim() !== "") throw new Error(stdout + stderr);
  return stdout.split("\n").flatMap((line) => /^program\.ts:(\d+):.*typescript\(([\w-]+)\)/.exec(line)?.slice(1).join(" ") ?? []);
}

test("a project that extends oxlint.json has the rules against forgotten promises, with types", () => {
  const folder = project({ ".oxlintrc.json": config });
  const { stdout } = spawnSync(oxlint, ["--print-config"], { cwd: folder, encoding: "utf8" });
  const shown = JSON.parse(stdout) as { rules: Record<string, string>; options: { typeAware: boolean } };
  expect(shown.rules).toMatchObject({ "typescript/no-floating-promises": "deny", "typescript/no-misused-promises": "deny", "typescript/await-thenable": "deny" });
  expect(shown.options.typeAware).toBe(true);
});

test("a forgotten await, a promise as a condition and an async listener that nobody waits for are refused", () => {
  const program = `import { connect, defineJob } from "millrace";
const app = connect({ redis: "redis://localhost" });
const job = defineJob("job");
app.put(job);
if (app.put(job)) console.log("always");
process.on("exit", async () => void (await app.put(job)));
`;
  expect(refused(program)).toEqual(["4 no-floating-promises", "5 no-misused-promises", "6 no-misused-promises"]);
});

test("spawn alone is not refused, in a group or outside; its forgotten result of gather is", () => {
  const program = `import { gather, sleep, spawn, taskGroup } from "millrace/concurrency";
spawn((signal) => sleep("1s", { signal }));
await taskGroup(async (group) => {
  group.spawn((signal) => sleep("1s", { signal }));
});
gather([sleep("1s")]);
`;
  expect(refused(program)).toEqual(["6 no-floating-promises"]);
});
