import { expect, test } from "vitest";
import { millrace, project } from "../support/command.ts";

test("config prints every value with its origin, asks no Redis, and shows no secret", async () => {
  const cwd = project({ "millrace.config.ts": "export default { concurrency: 7 };" });
  const env = { REDIS_URL: "redis://:hunter2@127.0.0.1:1" };
  const [text, json, wrong] = await Promise.all([millrace(["config"], { cwd, env }), millrace(["admin", "config", "--json", "--prefix", "shop"], { cwd, env }), millrace(["config"], { cwd, env: { MILLRACE_DRAIN: "soon" } })]);
  const lines = text.stdout.split("\n");
  expect(lines[0]).toMatch(/^SETTING +VALUE +FROM$/);
  expect(lines).toEqual(expect.arrayContaining([
    expect.stringMatching(/^redis +redis:\/\/:\*\*\*@127\.0\.0\.1:1 +REDIS_URL$/), expect.stringMatching(/^concurrency +7 +millrace\.config\.ts$/), expect.stringMatching(/^drain +25000 ms +default$/), expect.stringMatching(/^maxRss +no limit +default$/),
    expect.stringMatching(/^who +\S+@\S+ +default$/),
  ]));
  const rows = json.stdout.trim().split("\n").map((line) => JSON.parse(line) as object);
  expect(rows).toContainEqual({ setting: "prefix", value: "shop", origin: "--prefix" });
  expect(text.stdout + json.stdout).not.toContain("hunter2");
  expect(lines.filter((line) => / - /.test(line))).toEqual([]);
  expect(wrong.code).toBe(2);
});
