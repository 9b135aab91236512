import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { findServer } from "../../src/redis/server.ts";
import { millrace, project, start } from "../support/command.ts";
import { freshPrefix, redisUrl } from "../support/redis.ts";

const files = (count: number): Record<string, string> => Object.fromEntries(Array.from({ length: count }, (_, i) => [`files/${i}.txt`, `file ${i}\n`]));

test("writes the manifest of a folder, on a Redis of its own where none is named", async (context) => {
  if ((await findServer()) === undefined) context.skip("no server program here");
  const cwd = project(files(3));
  const { code, stdout } = await millrace(["demo", "files", "--manifest", "files.ndjson", "--consumers", "1", "--json"], { cwd });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ files: 3, failed: 0, manifest: "files.ndjson" });
  const paths = readFileSync(join(cwd, "files.ndjson"), "utf8").trim().split("\n").map((line) => (JSON.parse(line) as { path: string }).path);
  expect(paths).toEqual(["0.txt", "1.txt", "2.txt"]);
  expect((await millrace(["redis", "status"], { cwd })).code).toBe(4);
});

test("Ctrl-C ends it with 130, and the same command goes on where it stopped", async () => {
  const cwd = project(files(3000));
  const env = { REDIS_URL: redisUrl(), MILLRACE_PREFIX: freshPrefix() };
  const args = ["demo", "files", "--consumers", "1", "--concurrency", "1"];
  const running = start(args, { cwd, env });
  await running.says("digesting");
  running.kill("SIGINT");
  expect((await running.ended).code).toBe(130);
  const { code, stdout } = await millrace([...args.slice(0, 2), "--json"], { cwd, env });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ files: 3000, failed: 0 });
});

test.each([
  [["--producers", "0"], 2, /--producers/],
  [["--consumers", "two"], 2, /--consumers/],
  [["--concurrency", "1.5"], 2, /--concurrency/],
  [["no-such-folder"], 4, /no-such-folder/],
])("refuses %j with %i", async (args, exitCode, message) => {
  const { code, stderr } = await millrace(["demo", ...args], { cwd: project({}), env: { REDIS_URL: redisUrl(), MILLRACE_PREFIX: freshPrefix() } });
  expect(code).toBe(exitCode);
  expect(stderr).toMatch(message);
});
