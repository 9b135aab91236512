import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import { stockQueue } from "../interop/stock.ts";
import { millrace, type Ended } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

test("is a script that Node runs", () => {
  expect(readFileSync(new URL("../../src/cli/main.ts", import.meta.url), "utf8").split("\n")[0]).toBe("#!/usr/bin/env node");
});

/** Runs a command; what it loads of packages and of those of our modules that `ours` names is the last line of its standard error. */
async function loadedBy(args: readonly string[], ours: string, env: Readonly<Record<string, string>> = {}): Promise<Ended & { loaded: string[] }> {
  const spy = `import { registerHooks } from "node:module";
    const loaded = new Set();
    const watched = new RegExp(${JSON.stringify(`/node_modules/([^/]+)/|/src/(${ours})\\.ts$`)});
    registerHooks({ load(url, context, next) { const name = watched.exec(url); if (name) loaded.add(name[1] ?? name[2]); return next(url, context); } });
    process.on("exit", () => console.error(JSON.stringify([...loaded])));`;
  const ended = await millrace(args, { node: ["--import", `data:text/javascript,${encodeURIComponent(spy)}`], env });
  const lines = ended.stderr.trim().split("\n");
  const loaded = JSON.parse(lines.pop() ?? "") as string[];
  return { ...ended, stderr: lines.join("\n"), loaded };
}

test("prints the version, and loads none of what only commands need", async () => {
  const { code, stdout, stderr, loaded } = await loadedBy(["--version"], "-");
  expect({ code, stdout, stderr, loaded }).toEqual({ code: 0, stdout: `${packageJson.version}\n`, stderr: "", loaded: ["commander"] });
});

test.each([["job", "list"], ["dead", "list"], ["dead", "export"], ["queue", "export"], ["job", "retry", "--all"]])(
  "%s %s loads nothing of what puts and runs jobs, nor what only some of its output needs",
  async (noun, verb, ...flags) => {
    const prefix = freshPrefix();
    await stockQueue(prefix, "mail").add("welcome", {});
    const { code, loaded } = await loadedBy([noun!, verb!, "mail", ...flags], "app|queue/.*|pool/.*|redis/embedded|redis/connection", { REDIS_URL: redisUrl(), MILLRACE_PREFIX: prefix });
    expect(code).toBe(0);
    expect(loaded).toEqual(expect.arrayContaining(["commander", "ioredis", "redis/connection"])); // it saw them
    const heavy = loaded.filter((name) => /^(app|queue|pool|redis\/embedded|bullmq|pino|zod|uuid|piscina|prom-client|proper-lockfile|string-width)/.test(name));
    expect(heavy).toEqual([]);
  },
  60_000,
);

test.each(["20.19.0", "22.17.1"])("says which Node it needs under %s", async (version) => {
  const older = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } })`;
  const { code, stdout, stderr } = await millrace(["--version"], { node: ["--import", `data:text/javascript,${encodeURIComponent(older)}`] });
  expect(code).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toContain(`expected Node 22.18 or newer, got ${version}`);
});
