import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import { millrace } from "../support/command.ts";

test("is a script that Node runs", () => {
  expect(readFileSync(new URL("../../src/cli/main.ts", import.meta.url), "utf8").split("\n")[0]).toBe("#!/usr/bin/env node");
});

test("prints the version, and loads none of what only commands need", async () => {
  const spy = `import { registerHooks } from "node:module";
    const heavy = new Set();
    registerHooks({ load(url, context, next) { const name = /node_modules\\/(bullmq|ioredis|pino|zod|proper-lockfile)\\//.exec(url); if (name) heavy.add(name[1]); return next(url, context); } });
    process.on("exit", () => console.error(JSON.stringify([...heavy])));`;
  const { code, stdout, stderr } = await millrace(["--version"], { node: ["--import", `data:text/javascript,${encodeURIComponent(spy)}`] });
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${packageJson.version}\n`, stderr: "[]\n" });
});

test.each(["20.19.0", "22.17.1"])("says which Node it needs under %s", async (version) => {
  const older = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } })`;
  const { code, stdout, stderr } = await millrace(["--version"], { node: ["--import", `data:text/javascript,${encodeURIComponent(older)}`] });
  expect(code).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toContain(`expected Node 22.18 or newer, got ${version}`);
});
