/**
 * Holds that the examples in docstrings work: each is type-checked and run as a program of its own, with what it uses of
 * the package imported, and what else it speaks of set up here. A new example that stands alone needs no line in this file.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as millrace from "millrace";
import * as concurrency from "millrace/concurrency";
import { type Example, examplesIn } from "./support/docstring.ts";
import { freshPrefix, redisUrl } from "./support/redis.ts";

interface Surroundings {
  /** What the example takes for given. */
  readonly before?: string;
  /** What must hold when it has run; `assert` is Node's. */
  readonly after?: string;
  /** What it prints, line by line. */
  readonly prints?: readonly string[];
}

const signal = "const { signal } = new AbortController();";

const app = 'await using app = connect({ prefix: process.env["MILLRACE_PREFIX"] ?? "bull" });';

const surroundings: Readonly<Record<string, Surroundings>> = {
  "src/concurrency/as-completed.ts": {
    before: 'const pages = ["slow", "fast"].map((name) => spawn(async () => { await sleep(name === "slow" ? 50 : 0); return `page ${name}`; }, { name }));',
    prints: ["fast page fast", "slow page slow"],
  },
  "src/concurrency/condition.ts": {
    before: `${signal} let stock = 0; const condition = new Condition();
      spawn(async () => { using _ = await condition.acquire(); stock = 1; condition.notify(); });`,
    after: "assert.equal(stock, 1); assert.equal(condition.locked, true);",
  },
  "src/concurrency/gather.ts": {
    before: `const url = "data:,page"; const id = 7;
      const fetchPage = async (url: string): Promise<string> => (await fetch(url)).text();
      const loadUser = async (id: number, options: { signal: AbortSignal }) => ({ id, aborted: options.signal.aborted });`,
    after: 'page satisfies string; assert.deepEqual([page, user], ["page", { id: 7, aborted: false }]);',
  },
  "src/concurrency/lock.ts": { before: `${signal} const lock = new Lock();`, after: "assert.equal(lock.locked, true); held[Symbol.dispose](); assert.equal(lock.locked, false);" },
  "src/concurrency/offload.ts": { after: "sum satisfies number; assert.equal(sum, 832_040);" },
  "src/concurrency/queue.ts": {
    before: `${signal} const handled: string[] = []; const handle = (item: string): void => { handled.push(item); queue.shutdown(); };`,
    after: 'assert.deepEqual(handled, ["a"]); await queue.join();',
  },
  "src/concurrency/run.ts": { prints: ["Hello", "World"] },
  "src/concurrency/semaphore.ts": { before: signal, after: "assert.equal(connections.available, 9); permit[Symbol.dispose](); assert.equal(connections.available, 10);" },
  "src/concurrency/shield.ts": {
    before: 'const record = "record"; const saved: string[] = []; const save = async (one: string, options: { signal: AbortSignal }) => { options.signal.throwIfAborted(); saved.push(one); };',
    after: 'assert.deepEqual(saved, ["record"]);',
  },
  "src/concurrency/task-group.ts": { before: 'const first = "data:,1", second = "data:,2";' },
  "src/concurrency/task.ts": { after: "await assert.rejects(async () => { await task; }, { code: 'CANCELLED' });" },
  "src/concurrency/timeout.ts": { before: 'const url = "data:,page";' },
  "src/concurrency/transfer.ts": { after: "const bytes = noise(8); assert.equal(bytes.length, 8);" },
  "src/options.ts": {
    before: `import { check, checkOptions } from ${JSON.stringify(new URL("../src/options.ts", import.meta.url).pathname)}; const options = { concurrency: 3 };`,
    after: "assert.equal(concurrency, 3);",
  },
  "src/queue/deliveries.ts": {
    before: `const app = connect({ prefix: process.env["MILLRACE_PREFIX"] ?? "bull" });
      const queue = app.queue(defineJob("double", { payload: typed<number>(), result: typed<number>() }));
      const handle = await queue.put(21);
      const work = async (payload: number, task: { readonly attempt: number }) => (handled.push(task.attempt), payload * 2);
      const handled: number[] = [];
      const result = handle.result();
      void result.then(() => app[Symbol.asyncDispose]());`,
    after: "assert.equal(await result, 42); assert.deepEqual(handled, [1]);",
  },
  "src/sync/barrier.ts": {
    before: `${app} const others = [app.barrier("start", 3).wait(), app.barrier("start", 3).wait()];`,
    after: `assert.deepEqual([...(await Promise.all(others)), number].toSorted(), [0, 1, 2]);`,
  },
  "src/sync/event.ts": { before: `${app} await app.event("migrated").set();`, after: "assert.equal(await migrated.isSet(), true);" },
  "src/sync/lock.ts": {
    before: `${app} const row = 42; const fences: number[] = [];
      const write = async (_: number, options: { fence: number; signal: AbortSignal }) => void fences.push(options.fence);`,
    after: "assert.equal(fences[0], held.fence);",
  },
  "src/sync/semaphore.ts": { before: `${app} ${signal}`, after: "assert.ok(permit.remainingMs > 0);" },
};

/** What an example reads from beside it. */
const beside = { "cpu.ts": "export function fib(n: number): number { return n < 2 ? n : fib(n - 1) + fib(n - 2); }\n" };

const root = new URL("../", import.meta.url);
const examples = examplesIn(root, ["src"]);
const fileOf = ({ name }: Example): string => `${name.replace(/^src\/|\.ts/g, "").replaceAll(/[/ ]/g, "-")}.ts`;

let folder = "";
let complaints = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "docstrings-"));
  await mkdir(join(folder, "node_modules"));
  await symlink(root.pathname, join(folder, "node_modules/millrace"));
  await symlink(new URL("node_modules/@types", root).pathname, join(folder, "node_modules/@types"));
  await writeFile(join(folder, "package.json"), '{"type":"module"}');
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(await tsconfig()));
  for (const [name, text] of Object.entries(beside)) await writeFile(join(folder, name), text);
  for (const example of examples) await writeFile(join(folder, fileOf(example)), programOf(example));
  const compiler = new URL("node_modules/.bin/tsc", root).pathname;
  complaints = await promisify(execFile)(compiler, ["-p", folder], { cwd: folder }).then(
    () => "",
    (error: { stdout: string }) => error.stdout,
  );
}, 120_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

test("there is an example for everything that is set up here", () => {
  const names = new Set(examples.map(({ name }) => name));
  expect(Object.keys(surroundings).filter((name) => !names.has(name))).toEqual([]);
  expect(names.size).toBeGreaterThan(0);
});

test.each(examples)("the example of $name fits the types", (example) => {
  expect(complaints.split("\n").filter((line) => line.startsWith(fileOf(example)))).toEqual([]);
});

test("nothing else is wrong with their types", () => {
  const own = new Set(examples.map(fileOf));
  expect(complaints.split("\n").filter((line) => /^\S+\.ts\(/.test(line) && !own.has(line.replace(/\(.*/, "")))).toEqual([]);
});

test.each(examples)("the example of $name runs to its end", async (example) => {
  const env = { ...process.env, REDIS_URL: redisUrl(), MILLRACE_PREFIX: freshPrefix() };
  const child = spawn(process.execPath, ["-C", "millrace-source", fileOf(example)], { cwd: folder, env, timeout: 25_000 });
  const said = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) child[stream].on("data", (chunk: Buffer) => (said[stream] += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  const lines = (surroundings[example.name]?.prints ?? []).map((line) => `${line}\n`).join("");
  expect({ code, ...said }).toEqual({ code: 0, stdout: lines, stderr: "" });
});

/** Imports what it names of the package: of the toolkit where that is the example's, of the whole otherwise. */
function programOf(example: Example): string {
  const { before = "", after = "" } = surroundings[example.name] ?? {};
  const program = `${before}\n${example.code}\n${after}\n`;
  const inToolkit = example.path.startsWith("src/concurrency/");
  const entries = inToolkit ? [["millrace/concurrency", concurrency] as const] : [["millrace", millrace] as const, ["millrace/concurrency", concurrency] as const];
  const known = new Set<string>();
  const imports = entries.map(([entry, exported]) => {
    const names = Object.keys(exported).filter((name) => !known.has(name) && speaksOf(program, name));
    for (const name of names) known.add(name);
    return names.length === 0 ? "" : `import { ${names.join(", ")} } from "${entry}";\n`;
  });
  return `import assert from "node:assert/strict";\n${imports.join("")}${program}`;
}

/** Uses a name and does not declare it. */
function speaksOf(program: string, name: string): boolean {
  const declared = new RegExp(`\\b(const|let|function|class|using) ${name}\\b`).test(program);
  return !declared && new RegExp(`(?<![.\\w"])${name}\\b(?!")`).test(program);
}

async function tsconfig(): Promise<object> {
  const { compilerOptions } = JSON.parse(await readFile(new URL("tsconfig.json", root), "utf8")) as { compilerOptions: object };
  return { compilerOptions: { ...compilerOptions, rewriteRelativeImportExtensions: false, noUnusedLocals: false, noUnusedParameters: false }, include: ["*.ts"] };
}
