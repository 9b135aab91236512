/** Runs the programs of the README as a new user would: each block that names its file is written there. */
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freshPrefix, redisUrl } from "./support/redis.ts";

const root = dirname(import.meta.dirname);
const run = promisify(execFile);
const node = ["-C", "millrace-source"];
const millrace = [...node, join(root, "src/cli/main.ts")];
let folder: string;
let readme: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "readme-"));
  await mkdir(join(folder, "node_modules"));
  await symlink(root, join(folder, "node_modules/millrace"));
  await symlink(join(root, "node_modules/zod"), join(folder, "node_modules/zod"));
  await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  readme = await readFile(join(root, "README.md"), "utf8");
  for (const [, path, program] of readme.matchAll(/^```ts\n\/\/ (\S+\.ts)\n(.*?)^```$/gms)) {
    await mkdir(dirname(join(folder, path!)), { recursive: true });
    await writeFile(join(folder, path!), program!);
  }
  env = { ...process.env, REDIS_URL: redisUrl(), MILLRACE_PREFIX: freshPrefix() };
});

afterAll(() => rm(folder, { recursive: true, force: true }));

test("the producer's handles give the results of the worker, and the worker ends by SIGTERM", async () => {
  const worker = spawn(process.execPath, [...millrace, "worker", "start"], { cwd: folder, env, stdio: ["ignore", "ignore", "inherit"] });
  const ended = new Promise<number | null>((resolve) => worker.once("exit", resolve));
  try {
    const produced = await run(process.execPath, [...millrace, "produce", "greet", "World"], { cwd: folder, env });
    expect(produced.stdout).toBe("Hello, World\n");
    const put = await run(process.execPath, [...millrace, "put", "greet", '{"name":"you"}', "--wait"], { cwd: folder, env });
    expect(put.stdout).toContain("Hello, you");
  } finally {
    worker.kill("SIGTERM");
  }
  expect(await ended).toBe(0);
});

test("the ninth program consumes fifteen numbers and ends by itself", async () => {
  const { stdout } = await run(process.execPath, [...node, "nine.ts"], { cwd: folder, env });
  expect(stdout.trim().split("\n").sort()).toEqual([0, 1, 2, 3, 4].flatMap((item) => Array<string>(3).fill(`Consumed ${item}`)).sort());
});

test("the program of the toolkit alone prints every line once", async () => {
  const [, program = ""] = /^## asyncio's tools, in process\n[^]*?^```ts\n([^]*?)^```$/m.exec(readme) ?? [];
  await writeFile(join(folder, "toolkit.ts"), program);
  const { stdout } = await run(process.execPath, [...node, "toolkit.ts"], { cwd: folder, env });
  expect(stdout.trim().split("\n").map((line) => line.split(" ")[1]).sort()).toEqual(["a", "b", "c"]);
});

test("every file that it names in a link is there", () => {
  const targets = [...readme.matchAll(/\]\((?!https?:|#)([^)\s]+)\)/g)].map(([, target]) => target!);
  expect(targets.length).toBeGreaterThan(10);
  expect(targets.filter((target) => !existsSync(join(root, target)))).toEqual([]);
});

test("each program of the article has its place in the table, each practice and pitfall its paragraph", async () => {
  const shared = new Set(["article.test.ts", "program.ts", "nine-numbers.ts"]);
  const programs = (await readdir(join(root, "test/article"))).filter((name) => !shared.has(name));
  expect(programs.length).toBeGreaterThanOrEqual(10);
  expect(programs.filter((name) => !readme.includes(`(test/article/${name})`))).toEqual([]);
  expect(paragraphsUnder("Its five practices")).toHaveLength(5);
  expect(paragraphsUnder("Its four pitfalls")).toHaveLength(4);
});

/** The bold beginnings of the paragraphs of a section. */
function paragraphsUnder(title: string): string[] {
  const [, section = ""] = readme.split(`### ${title}\n`);
  return [...(section.split(/^##/m)[0] ?? "").matchAll(/^\*\*([^*]+)\.\*\*/gm)].map(([, begins]) => begins!);
}
