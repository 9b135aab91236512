/** A copy of a checkout of BullMQ's repository in which its suite can run: on its own backend, and on ours made from its sources. */
import { spawn } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readRun, type SuiteCounts, type SuiteRun } from "./verdict.ts";

export interface Checkout extends AsyncDisposable {
  readonly version: string;
  /** @param filters  files to run, as vitest takes them; none is all shared files */
  run(backend: "stock" | "drop-in", redisPort: number, filters: readonly string[]): Promise<{ readonly run: SuiteRun; readonly counts: SuiteCounts }>;
}

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly scripts: Record<string, string>;
  devDependencies: Record<string, string>;
}

/** What no file imports, and the suite needs all the same. */
const TOOLS = /^(?:@types\/|typescript$|ts-node$|vitest$)/;
const SCRIPTS = ["generate:raw:scripts", "transform:commands", "generate:sql:scripts"];
const ours = fileURLToPath(new URL("../../src/store/batched-backend.ts", import.meta.url));

/** Copies it, installs what its suite needs, and generates its scripts. */
export async function openCheckout(path: string): Promise<Checkout> {
  const root = await realpath(await mkdtemp(join(tmpdir(), "millrace-bullmq-")));
  await cp(path, root, { recursive: true, filter: (source) => !/\/(?:\.git|node_modules|docs|python|elixir|rust|php|dotnet)$/.test(source) });
  const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as Manifest;
  const imported = await importedBy(["src", "tests", "scripts"].map((folder) => join(root, folder)));
  const isNeeded = ([name]: [string, string]): boolean => TOOLS.test(name) || imported.has(name);
  manifest.devDependencies = Object.fromEntries(Object.entries(manifest.devDependencies).filter(isNeeded));
  delete manifest.scripts["prepare"];
  await writeFile(join(root, "package.json"), JSON.stringify(manifest, undefined, 2));
  await run(root, "npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]);
  for (const script of SCRIPTS) if (script in manifest.scripts) await run(root, "npm", ["run", script]);
  // What its sandboxes run. It is written in spite of errors of types, such as those of packages that are not installed.
  await run(root, "npx", ["tsc", "-p", "tsconfig-cjs.json"]).catch(() => {});
  await writeFile(join(root, "vitest.millrace.setup.ts"), SETUP);
  await writeFile(join(root, "vitest.millrace.config.ts"), CONFIG);
  return {
    version: manifest.version,
    async run(backend, redisPort, filters) {
      const [report, counts] = [join(root, `${backend}.json`), join(root, `${backend}.ndjson`)];
      const config = backend === "stock" ? "vitest.config.ts" : "vitest.millrace.config.ts";
      const settings = { REDIS_HOST: "127.0.0.1", REDIS_PORT: String(redisPort), MILLRACE_COUNTS: counts };
      // A second try for both, since many of its tests hold limits in time.
      const args = ["vitest", "run", "--no-file-parallelism", "--config", config, "--retry=1", "--reporter=json", `--outputFile=${report}`, ...filters];
      await run(root, "npx", args, settings).catch(() => {});
      return { run: readRun(JSON.parse(await readFile(report, "utf8")) as Parameters<typeof readRun>[0], root), counts: await readCounts(counts, root) };
    },
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

/** Packages that files below these folders name. */
async function importedBy(folders: readonly string[]): Promise<Set<string>> {
  const names = new Set<string>();
  for (const folder of folders) {
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !/\.[cm]?[jt]s$/.test(entry.name)) continue;
      const source = await readFile(join(entry.parentPath, entry.name), "utf8");
      for (const [, specifier] of source.matchAll(/(?:from|import|require)\s*\(?\s*['"]([^.'"][^'"]*)['"]/g)) names.add(specifier!.split("/").slice(0, specifier!.startsWith("@") ? 2 : 1).join("/"));
    }
  }
  return names;
}

async function readCounts(path: string, root: string): Promise<SuiteCounts> {
  const lines = (await readFile(path, "utf8").catch(() => "")).trim().split("\n").filter(Boolean);
  return new Map(
    lines.map((line) => {
      const { file, ...counts } = JSON.parse(line) as { file: string } & (SuiteCounts extends ReadonlyMap<string, infer C> ? C : never);
      return [file.replace(`${root}/`, ""), counts];
    }),
  );
}

/** @throws with the end of what it wrote */
function run(cwd: string, command: string, args: readonly string[], settings: Readonly<Record<string, string>> = {}): Promise<void> {
  const child = spawn(command, args, { cwd, env: { ...process.env, NODE_OPTIONS: "", ...settings }, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (output = (output + data.toString()).slice(-4000)));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => (code === 0 ? resolve() : reject(new Error(`${command} ${args.join(" ")} ended with ${code}\n${output}`))));
  });
}

const SETUP = `
import { appendFileSync } from 'node:fs';
import { afterAll, expect } from 'vitest';
import { millraceBackend } from ${JSON.stringify(ours)};
import { RedisQueueBackend, raw2NextJobData } from './src/classes/redis-queue-backend';
import { createRedisBackend, setDefaultBackendFactory } from './src/utils/create-backend';
import { isRedisVersionLowerThan, optsEncodeMap } from './src/utils';

const create = millraceBackend({ RedisQueueBackend, createRedisBackend, raw2NextJobData, optsEncodeMap, isRedisVersionLowerThan } as never) as any;
const all: Record<string, number>[] = [];
setDefaultBackendFactory(((...args: unknown[]) => {
  const backend = create(...args);
  all.push(backend.counts);
  return backend;
}) as never);
afterAll(() => {
  const sum: Record<string, number> = { batches: 0, added: 0, finished: 0, fetched: 0, fallbacks: 0 };
  for (const counts of all) for (const name of Object.keys(sum)) sum[name] += counts[name];
  appendFileSync(process.env.MILLRACE_COUNTS, JSON.stringify({ file: expect.getState().testPath, ...sum }) + '\\n');
});
`;

const CONFIG = `
import { mergeConfig } from 'vitest/config';
import base from './vitest.config';
export default mergeConfig(base, { test: { setupFiles: ['./vitest.millrace.setup.ts'] } });
`;
