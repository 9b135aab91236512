/**
 * Holds that what is published works: the packed tarball is installed into an empty project and used there, as its
 * users do, on the oldest Node that package.json promises.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import packageJson from "../package.json" with { type: "json" };
import { freshPrefix, redisUrl } from "./support/redis.ts";

const root = new URL("../", import.meta.url);
const compiler = new URL("node_modules/.bin/tsc", root).pathname;
const oldestNode = `${packageJson.engines.node.replace(/^>=/, "")}.0`;
/** Node as a package of files alone, without an install script. */
const nodePackage = `node${process.platform === "darwin" && process.arch === "arm64" ? "-bin" : ""}-${process.platform}-${process.arch}`;
const entries = Object.entries(packageJson.exports).flatMap(([entry, target]) =>
  typeof target === "string" ? [] : [{ name: entry.replace(".", packageJson.name), source: new URL(target["millrace-source"], root).href }],
);

const contract = `
  import { defineJob } from "millrace/job";
  import { z } from "zod";
  export const double = defineJob("double", { payload: z.number(), result: z.number() });`;

let project = "";

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "millrace-package-"));
  await run("npm", ["pack", "--silent", "--pack-destination", project], {}, root.pathname);
  const [tarball = ""] = await readdir(project);
  await write("package.json", JSON.stringify({ name: "consumer", private: true }));
  const types = `@types/node@${packageJson.devDependencies["@types/node"]}`;
  const packages = [`./${tarball}`, `${nodePackage}@${oldestNode}`, `zod@${packageJson.dependencies.zod}`, types];
  await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", ...packages]);
}, 300_000);

afterAll(() => rm(project, { recursive: true, force: true }));

test("the tarball holds what runs, its types and its papers, and nothing else", async () => {
  const folder = join(project, "node_modules", packageJson.name);
  const packed = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const files = packed.map(({ name, parentPath }) => relative(folder, join(parentPath, name)));
  const papers = files.filter((path) => !/^dist\/(src|workers|producers)\/.+\.(js|d\.ts)$/.test(path));
  expect(papers.toSorted()).toEqual(["CHANGELOG.md", "LICENSE", "README.md", "oxlint.json", "package.json"]);
});

test("it runs on the oldest Node that is promised", async () => {
  expect(await node("console.log(process.version)")).toBe(`v${oldestNode}`);
});

test.each(entries)("import of $name gives what its source exports", async ({ name, source }) => {
  const expected = Object.keys((await import(source)) as object).toSorted();
  expect(JSON.parse(await node(`console.log(JSON.stringify(Object.keys(await import("${name}")).sort()))`))).toEqual(expected);
  expect(expected).not.toEqual([]);
});

test.each(entries)("require of $name works from CommonJS", async ({ name, source }) => {
  await write("required.cjs", `console.log(JSON.stringify(Object.keys(require("${name}")).filter((key) => key !== "__esModule").sort()));`);
  const expected = Object.keys((await import(source)) as object).toSorted();
  expect(JSON.parse(await run("node", ["required.cjs"]))).toEqual(expected);
});

test("npx finds the command", async () => {
  expect(await run("npx", ["--no-install", "millrace", "--version"])).toBe(packageJson.version);
});

test("a job goes through a queue, from put to its result", async () => {
  await write("jobs.mjs", contract);
  await write("program.mjs", `
    import { connect, defineHandler } from "millrace";
    import { double } from "./jobs.mjs";
    const app = connect({ redis: ${JSON.stringify(redisUrl())}, prefix: ${JSON.stringify(freshPrefix())} });
    const pool = app.pool([defineHandler(double, { handle: async (value) => value * 2 })], { concurrency: 2 });
    const queue = app.queue(double);
    const handles = await Promise.all([1, 2, 3].map((value) => queue.put(value)));
    await queue.join();
    console.log(JSON.stringify(await Promise.all(handles.map((handle) => handle.result()))));
    await pool[Symbol.asyncDispose]();
    await app[Symbol.asyncDispose]();`);
  expect(await run("node", ["program.mjs"])).toBe("[2,4,6]");
});

test("the command runs the project's own handlers, in threads too, and producers, in TypeScript", async () => {
  const settings = { REDIS_URL: redisUrl(), MILLRACE_PREFIX: freshPrefix() };
  await write("producers/jobs/double.mts", contract);
  await write("producers/numbers.mts", `
    import type { App } from "millrace";
    import { double } from "./jobs/double.mts";
    export default async function numbers(app: App, args: readonly string[]): Promise<void> {
      const handles = await Promise.all(args.map((arg) => app.put(double, Number(arg))));
      console.log((await Promise.all(handles.map((handle) => handle.result()))).join(" "));
    }`);
  await write("workers/double.mts", `
    import { defineHandler } from "millrace";
    import { double } from "../producers/jobs/double.mts";
    export default defineHandler(double, { threads: { module: import.meta.url, count: 1 }, handle: async (value: number) => value * 2 });`);
  const worker = spawn("millrace", ["worker", "start"], { cwd: project, env: environment(settings), stdio: "ignore" });
  try {
    expect(await run("millrace", ["job", "put", "double", "21", "--wait", "--timeout", "20s"], settings)).toContain("42");
    expect(await run("millrace", ["produce", "numbers", "1", "2"], settings)).toBe("2 4");
    worker.kill("SIGTERM");
    expect(await once(worker, "exit")).toEqual([0, null]);
  } finally {
    worker.kill("SIGKILL");
  }
});

test("the main job runs", async () => {
  await write("tree/one.txt", "one\n");
  await write("tree/two words.txt", "");
  const settings = { REDIS_URL: redisUrl(), MILLRACE_PREFIX: freshPrefix() };
  await run("millrace", ["demo", "tree", "--manifest", "manifest.ndjson"], settings);
  const lines = (await readFile(join(project, "manifest.ndjson"), "utf8")).trim().split("\n");
  const digests = lines.map((line) => JSON.parse(line) as { path: string; bytes: number; sha256: string });
  expect(digests.map(({ path, bytes, sha256 }) => [path, bytes, sha256.slice(0, 8)])).toEqual([
    ["one.txt", 4, "2c8b08da"],
    ["two words.txt", 0, "e3b0c442"],
  ]);
});

test.each(["nodenext", "bundler"])("a strict TypeScript project finds the types (%s)", async (moduleResolution) => {
  await write("typed.mts", `
    import { connect, defineHandler } from "millrace";
    import { gather } from "millrace/concurrency";
    import { defineJob } from "millrace/job";
    import { z } from "zod";
    const job = defineJob("mail", { payload: z.object({ to: z.string() }), result: z.number() });
    export const handler = defineHandler(job, { handle: async ({ to }) => to.length });
    const app = connect();
    export const [first]: [number] = await gather([(await app.put(job, { to: "a" })).result()]);
    // @ts-expect-error a number is no address
    await app.put(job, { to: 1 });`);
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: true,
    target: "es2023",
    lib: ["es2023", "esnext.disposable"],
    types: ["node"],
    module: moduleResolution === "bundler" ? "esnext" : "nodenext",
    moduleResolution,
  };
  await write("tsconfig.json", JSON.stringify({ compilerOptions, include: ["typed.mts"] }));
  expect(await run(compiler, ["-p", "."])).toBe("");
});

/** Runs a program in the project; its standard output. Fails with both outputs when the program fails. */
async function run(command: string, args: readonly string[], settings: Record<string, string> = {}, cwd = project): Promise<string> {
  const running = promisify(execFile)(command, args, { cwd, env: cwd === project ? environment(settings) : process.env });
  running.child.stdin?.end();
  const { stdout } = await running.catch((error: Error & { stdout: string; stderr: string }) => {
    throw new Error(`${error.message}\n${error.stdout}\n${error.stderr}`);
  });
  return stdout.trim();
}

/** The project's commands and its Node come first on the PATH; nothing of ours leads to the sources. */
function environment(settings: Record<string, string>): NodeJS.ProcessEnv {
  const folders = [join(project, "node_modules", nodePackage, "bin"), join(project, "node_modules", ".bin"), process.env["PATH"]];
  return { ...process.env, NODE_OPTIONS: "", ...settings, PATH: folders.join(delimiter) };
}

function node(program: string): Promise<string> {
  return run("node", ["--input-type=module", "-e", program]);
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(project, path)), { recursive: true });
  await writeFile(join(project, path), text);
}
