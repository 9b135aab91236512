/** Holds the layout: which folders there are, who imports whom, and that every source has its test. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { basename } from "node:path";
import { expect, test } from "vitest";
import packageJson from "../package.json" with { type: "json" };
import { type Import, isNodeModule, type Module, packageOf, parseModules, readSources, type Sources } from "./support/source-tree.ts";

/** Low to high. What stands on one floor does not know its neighbours; the files of the ground floor are one. */
const floors: readonly (readonly string[])[] = [
  ["src/errors.ts", "src/options.ts", "src/config.ts", "src/log.ts"],
  ["src/concurrency"],
  ["src/job"],
  ["src/redis"],
  ["src/store", "src/telemetry"],
  ["src/queue", "src/sync", "src/control"],
  ["src/pool"],
  ["src/app.ts"],
  ["src/admin"],
  ["src/cli", "src/dashboard"],
  ["src/index.ts", "src/bullmq.ts"],
];
const topLevel = new Set([
  "src",
  "workers",
  "producers",
  "test",
  "docker-compose.yml",
  "package.json",
  "package-lock.json",
  "tsconfig.json",
  "tsconfig.build.json",
  "oxlint.json",
  "README.md",
  "CHANGELOG.md",
  "LICENSE",
]);
/** What a contract may be written with, and what the pure floors may name: all of it bundles for a browser. */
const schemaLibraries = new Set(["zod", "valibot", "arktype", "@standard-schema/spec"]);
/** Loaded when it is there, and asked for by name when it is not: what only the project itself needs. */
const developmentOnly = new Map([["src/redis/container.ts", "testcontainers"]]);
/** Who may set timers of its own, and why. All others wait with what `src/concurrency` has. */
const timekeepers = new Map([
  ["src/redis/client.ts", "stands in for the timer that ioredis would set on a silent socket, and ioredis clears it"],
]);
const ownTimer = /(?<![.\w])(?:setTimeout|setInterval)\(|\bAbortSignal\.timeout\(/;
/** Named after a part of the toolkit, or of its durable counterpart: there is one of each. */
const ownPart = /\bclass \w*(?:Semaphore|Mutex|Limiter|RateLimit|TaskGroup|Timer|Deadline)\b/;
const nameless = /^(utils?|common|helpers?|types?)\.ts$/;
const longest = 300;

const root = new URL("../", import.meta.url);
const ownNames = new Map(
  Object.entries(packageJson.exports).flatMap(([entry, target]) =>
    typeof target === "string" ? [] : [[entry.replace(".", "millrace"), target["millrace-source"].replace("./", "")] as const],
  ),
);

/** Each rule gives what breaks it, one line each. */
const rules = {
  "every folder and file has its place in the layout": (modules) =>
    modules.flatMap(({ path }) => {
      if (path.startsWith("workers/")) return path.split("/").length === 2 ? [] : [`${path}: workers/ holds one file each`];
      if (path.startsWith("producers/")) return /^producers\/(jobs\/)?[^/]+$/.test(path) ? [] : [`${path}: outside the layout`];
      const known = !path.startsWith("src/") || (floorOf(path) !== undefined && path.split("/").length <= 3);
      return known ? [] : [`${path}: outside the layout`];
    }),

  "files are named after their one concept, in kebab-case": (modules) =>
    modules.flatMap(({ path }) => {
      if (nameless.test(basename(path))) return [`${path}: name the concept`];
      return /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|config))?\.ts$/.test(basename(path)) ? [] : [`${path}: not kebab-case`];
    }),

  "no source file is longer than 300 lines": (modules) =>
    modules.filter(isSource).flatMap(({ path, source }) => {
      const lines = source.split("\n").length - 1;
      return lines > longest ? [`${path}: ${lines} lines`] : [];
    }),

  "a file imports only from its own folder and from floors below": (modules) =>
    imports(modules, "src/").flatMap(([path, { target, specifier }]) => {
      if (/^millrace(\/(?!package\.json$)|$)/.test(specifier)) return [`${path} imports ${specifier} by its public name`];
      if (target === undefined) return [];
      const [from, to] = [floorOf(path), floorOf(target)];
      if (to === undefined) return path.startsWith("src/cli/") ? [] : [`${path} imports ${target}: only src/cli may`];
      if (from === undefined || folderOf(path) === folderOf(target) || to < from) return [];
      return [`${path} (floor ${from}) imports ${target} (floor ${to})`];
    }),

  "nothing imports itself by way of others": (modules) => {
    return circles(modules.filter(isSource)).map((circle) => circle.join(" -> "));
  },

  "only src/store imports bullmq": (modules) =>
    ["src/", "workers/", "producers/"]
      .flatMap((folder) => imports(modules, folder))
      .filter(([path, { specifier }]) => packageOf(specifier) === "bullmq" && !path.startsWith("src/store/"))
      .map(([path]) => `${path} imports bullmq`),

  "what ships imports only what the package depends on": (modules) =>
    imports(modules.filter(isSource), "")
      .map(([path, { specifier }]) => [path, packageOf(specifier)] as const)
      .filter(([, name]) => name !== undefined && name !== packageJson.name && !(name in packageJson.dependencies) && !(name in packageJson.peerDependencies))
      .filter(([path, name]) => developmentOnly.get(path) !== name)
      .map(([path, name]) => `${path} imports ${name}`),

  "contracts, options and errors reach nothing that a browser lacks": (modules) =>
    [...reach(modules, (path) => /^src\/(job\/|errors\.ts|options\.ts)/.test(path))].flatMap(({ path, imports: all }) =>
      all
        .filter(({ specifier }) => !specifier.startsWith(".") && !schemaLibraries.has(packageOf(specifier) ?? ""))
        .map(({ specifier }) => `${path} imports ${specifier}`),
    ),

  "the concurrency toolkit stands on errors, options, Node and piscina alone": (modules) =>
    imports(modules, "src/concurrency/")
      .filter(([, { target = "" }]) => !/^src\/(concurrency\/|errors\.ts|options\.ts)/.test(target))
      .filter(([, { specifier }]) => !isNodeModule(specifier) && packageOf(specifier) !== "piscina")
      .map(([path, { specifier }]) => `${path} imports ${specifier}`),

  "timers, limiters and groups are the toolkit's": (modules) =>
    modules
      .filter((one) => isSource(one) && !one.path.startsWith("src/concurrency/"))
      .flatMap(({ path, source, imports: all }) => [
        ...(ownTimer.test(source) && !timekeepers.has(path) ? [`${path} sets a timer: src/concurrency has startTimer, startTicker, sleep, timeout, Limit and endsWithin`] : []),
        ...all.filter(({ specifier }) => /^(node:)?timers/.test(specifier)).map(({ specifier }) => `${path} imports ${specifier}: src/concurrency has sleep`),
        ...(ownPart.test(source) && !path.startsWith("src/sync/") ? [`${path} has a limiter, a group or a timer of its own`] : []),
      ]),

  "contracts import millrace/job and schema libraries alone": (modules) =>
    imports(modules, "producers/jobs/")
      .filter(([, { target = "" }]) => !target.startsWith("producers/jobs/"))
      .filter(([, { specifier }]) => specifier !== "millrace/job" && !schemaLibraries.has(packageOf(specifier) ?? ""))
      .map(([path, { specifier }]) => `${path} imports ${specifier}`),

  "producers know no worker, and both import the package by its name": (modules) => [
    ...imports(modules, "producers/")
      .filter(([, { target }]) => target?.startsWith("workers/"))
      .map(([path, { target }]) => `${path} imports ${target}`),
    ...[...imports(modules, "producers/"), ...imports(modules, "workers/")]
      .filter(([, { specifier, target }]) => target?.startsWith("src/") && !specifier.startsWith("millrace"))
      .map(([path, { specifier }]) => `${path} imports ${specifier}: import "millrace"`),
  ],

  "addresses of modules survive the build": (modules) =>
    modules.filter(isSource).flatMap(({ path, imports: all }) =>
      all
        .filter(({ byUrl, specifier }) => byUrl && specifier.endsWith(".ts"))
        .map(({ specifier }) => `${path}: new URL("${specifier}") names a file that dist/ does not hold`),
    ),

  /** Its own test; or a test of its folder imports it; or it is a piece of its folder alone, and a file that uses it has a test. */
  "every source file is tested": (modules) => {
    const tested = new Set<string>();
    for (const { path, imports: all } of modules.filter((one) => /^test\/.*\.test\.ts$/.test(one.path))) {
      tested.add(path.replace(/^test\/(?!workers\/|producers\/)/, "src/").replace(/^test\//, "").replace(/\.test\.ts$/, ".ts"));
      for (const { target = "", typeOnly } of all) if (!typeOnly && mirrored(folderOf(target)) === folderOf(path)) tested.add(target);
    }
    const isPiece = (path: string) => {
      const users = modules.filter((one) => isSource(one) && one.imports.some(({ target }) => target === path));
      const byFolder = users.every((one) => folderOf(one.path) === folderOf(path));
      return byFolder && users.some((one) => tested.has(one.path) && basename(one.path) !== "index.ts");
    };
    return modules
      .filter((one) => isSource(one) && !one.declaresOnly && !one.path.startsWith("producers/jobs/"))
      .filter(({ path }) => !tested.has(path) && !isPiece(path))
      .map(({ path }) => `${path}: no test`);
  },
} satisfies Record<string, (modules: readonly Module[]) => readonly string[]>;

const modules = parseModules(readSources(root, ["src", "workers", "producers", "test"]), ownNames);

for (const [title, rule] of Object.entries(rules)) test(title, () => expect(rule(modules)).toEqual([]));

test("the top level holds nothing that grows", ({ skip }) => {
  if (!existsSync(new URL(".git", root))) skip("no checkout: nothing says which files are the project's");
  const tracked = execFileSync("git", ["ls-files"], { cwd: root, encoding: "utf8" }).trim().split("\n");
  const places = new Set(tracked.map((path) => path.split("/")[0] ?? ""));
  expect([...places].filter((name) => !name.startsWith(".") && !topLevel.has(name))).toEqual([]);
});

/** A small tree that keeps every rule; each case below breaks one. */
const sound: Sources = new Map([
  ["src/errors.ts", "export class Gone {}"],
  ["src/options.ts", 'import { Gone } from "./errors.ts"; export const options = Gone;'],
  ["src/concurrency/task.ts", 'import { on } from "node:events"; import { options } from "../options.ts"; export const task = [on, options];'],
  ["src/job/index.ts", 'export { contract } from "./contract.ts";'],
  ["src/job/contract.ts", 'import type { StandardSchemaV1 } from "@standard-schema/spec"; export const contract = {} as StandardSchemaV1;'],
  ["src/store/put.ts", 'import { Queue } from "bullmq"; import { key } from "./key.ts"; export const put = [Queue, key];'],
  ["src/store/key.ts", "export const key = 1;"],
  ["src/pool/pool.ts", 'import { put } from "../store/put.ts"; import { task } from "../concurrency/task.ts"; export { put, task };'],
  ["src/cli/main.ts", 'const files = await import("../../producers/files.ts"); export const main = files;'],
  ["src/index.ts", 'export { task } from "./pool/pool.ts";'],
  ["producers/files.ts", 'import { task } from "millrace"; import { digest } from "./jobs/digest.ts"; export default [task, digest];'],
  ["producers/jobs/digest.ts", 'import { z } from "zod"; import { contract } from "millrace/job"; export const digest = [z, contract];'],
  ["workers/digest.ts", 'import { task } from "millrace"; import { digest } from "../producers/jobs/digest.ts"; export default [task, digest];'],
  ...["errors", "options", "concurrency/task", "store/put", "pool/pool", "cli/main", "producers/files", "workers/digest"].map(
    (name) => [`test/${name}.test.ts`, ""] as const,
  ),
  ["test/job/schema.test.ts", 'import { contract } from "../../src/job/contract.ts"; contract;'],
]);
type Case = readonly [path: string, source: string, finding: string];
const broken: Record<keyof typeof rules, readonly Case[]> = {
  "every folder and file has its place in the layout": [
    ["src/engine/loop.ts", "", "src/engine/loop.ts: outside the layout"],
    ["src/cli/commands/put.ts", "", "src/cli/commands/put.ts: outside the layout"],
    ["producers/lib/walk.ts", "", "producers/lib/walk.ts: outside the layout"],
    ["workers/lib/walk.ts", "", "workers/lib/walk.ts: workers/ holds one file each"],
  ],
  "files are named after their one concept, in kebab-case": [
    ["src/pool/utils.ts", "", "src/pool/utils.ts: name the concept"],
    ["test/support/helpers.ts", "", "test/support/helpers.ts: name the concept"],
    ["src/pool/leaseKeeper.ts", "", "src/pool/leaseKeeper.ts: not kebab-case"],
  ],
  "no source file is longer than 300 lines": [["src/pool/pool.ts", "\n".repeat(301), "src/pool/pool.ts: 301 lines"]],
  "a file imports only from its own folder and from floors below": [
    ["src/store/put.ts", 'import type { p } from "../pool/pool.ts";', "src/store/put.ts (floor 4) imports src/pool/pool.ts (floor 6)"],
    ["src/store/put.ts", 'export { p } from "../pool/pool.ts";', "src/store/put.ts (floor 4) imports src/pool/pool.ts (floor 6)"],
    ["src/store/put.ts", 'type P = import("../pool/pool.ts").p;', "src/store/put.ts (floor 4) imports src/pool/pool.ts (floor 6)"],
    ["src/store/put.ts", 'new URL("../pool/pool.ts", import.meta.url);', "src/store/put.ts (floor 4) imports src/pool/pool.ts (floor 6)"],
    ["src/telemetry/metrics.ts", 'import { put } from "../store/put.ts";', "src/telemetry/metrics.ts (floor 4) imports src/store/put.ts (floor 4)"],
    ["src/pool/pool.ts", 'import files from "../../producers/files.ts";', "src/pool/pool.ts imports producers/files.ts: only src/cli may"],
    ["src/pool/pool.ts", 'import { contract } from "millrace/job";', "src/pool/pool.ts imports millrace/job by its public name"],
  ],
  "nothing imports itself by way of others": [
    ["src/store/key.ts", 'import type { put } from "./put.ts";', "src/store/put.ts -> src/store/key.ts -> src/store/put.ts"],
    ["src/pool/pool.ts", 'await import("millrace");', "src/index.ts -> src/pool/pool.ts -> src/index.ts"],
  ],
  "only src/store imports bullmq": [["src/pool/pool.ts", 'import type { Job } from "bullmq";', "src/pool/pool.ts imports bullmq"]],
  "what ships imports only what the package depends on": [
    ["src/pool/pool.ts", 'import fc from "fast-check";', "src/pool/pool.ts imports fast-check"],
    ["workers/digest.ts", 'import type { X } from "@scope/x/y";', "workers/digest.ts imports @scope/x"],
  ],
  "contracts, options and errors reach nothing that a browser lacks": [
    ["src/errors.ts", 'import { inspect } from "util";', "src/errors.ts imports util"],
    ["src/job/contract.ts", 'import pino from "pino";', "src/job/contract.ts imports pino"],
  ],
  "the concurrency toolkit stands on errors, options, Node and piscina alone": [
    ["src/concurrency/task.ts", 'import { log } from "../log.ts";', "src/concurrency/task.ts imports ../log.ts"],
  ],
  "timers, limiters and groups are the toolkit's": [
    ["src/pool/pool.ts", "setTimeout(() => {}, 10);", "src/pool/pool.ts sets a timer: src/concurrency has startTimer, startTicker, sleep, timeout, Limit and endsWithin"],
    ["src/pool/pool.ts", "fetch(url, { signal: AbortSignal.timeout(10) });", "src/pool/pool.ts sets a timer: src/concurrency has startTimer, startTicker, sleep, timeout, Limit and endsWithin"],
    ["src/pool/pool.ts", 'import { setTimeout } from "node:timers/promises";', "src/pool/pool.ts imports node:timers/promises: src/concurrency has sleep"],
    ["src/pool/pool.ts", "class SlotLimiter {}", "src/pool/pool.ts has a limiter, a group or a timer of its own"],
  ],
  "contracts import millrace/job and schema libraries alone": [
    ["producers/jobs/digest.ts", 'import { defineJob } from "millrace";', "producers/jobs/digest.ts imports millrace"],
    ["producers/jobs/digest.ts", 'import { lstat } from "node:fs";', "producers/jobs/digest.ts imports node:fs"],
  ],
  "producers know no worker, and both import the package by its name": [
    ["producers/files.ts", 'import digest from "../workers/digest.ts";', "producers/files.ts imports workers/digest.ts"],
    ["workers/digest.ts", 'import { pool } from "../src/pool/pool.ts";', 'workers/digest.ts imports ../src/pool/pool.ts: import "millrace"'],
  ],
  "addresses of modules survive the build": [
    ["src/pool/pool.ts", 'new URL("./keep.ts", import.meta.url);', 'src/pool/pool.ts: new URL("./keep.ts") names a file that dist/ does not hold'],
  ],
  "every source file is tested": [
    ["src/pool/executor.ts", "export const executor = 1;", "src/pool/executor.ts: no test"],
    ["workers/webhook.ts", "export default 1;", "workers/webhook.ts: no test"],
  ],
};

test("the rules pass a sound tree", () => {
  const findings = Object.values(rules).flatMap((rule) => rule(parseModules(sound, ownNames)));
  expect(findings).toEqual([]);
});

for (const [title, rule] of Object.entries(rules)) {
  for (const [path, source, finding] of broken[title as keyof typeof rules]) {
    test(`"${title}" finds: ${finding} (${source.trim().slice(0, 50)})`, () => {
      expect(rule(parseModules(new Map([...sound, [path, source]]), ownNames))).toEqual([finding]);
    });
  }
}

function isSource({ path }: Module): boolean {
  return /^(src|workers|producers)\//.test(path);
}

function imports(modules: readonly Module[], below: string): [path: string, Import][] {
  return modules.flatMap(({ path, imports: all }) => (path.startsWith(below) ? all.map((one): [string, Import] => [path, one]) : []));
}

function floorOf(path: string): number | undefined {
  const floor = floors.findIndex((places) => places.some((place) => path === place || path.startsWith(`${place}/`)));
  return floor === -1 ? undefined : floor;
}

function folderOf(path: string): string {
  return floors[0]?.includes(path) ? "src" : path.slice(0, path.lastIndexOf("/"));
}

/** The folder of the tests of a folder: `src/pool` -> `test/pool`, `workers` -> `test/workers`. */
function mirrored(folder: string): string {
  return folder.replace(/^src(?=\/|$)/, "test").replace(/^(?!test)/, "test/");
}

/** The modules that the chosen ones import, and they, at run time or for types. */
function reach(modules: readonly Module[], chosen: (path: string) => boolean): Set<Module> {
  const byPath = new Map(modules.map((one) => [one.path, one]));
  const reached = new Set(modules.filter(({ path }) => chosen(path)));
  for (const { imports: all } of reached) {
    for (const { target } of all) {
      const next = target === undefined ? undefined : byPath.get(target);
      if (next !== undefined) reached.add(next);
    }
  }
  return reached;
}

/** One way round for every set of modules that import each other. */
function circles(modules: readonly Module[]): string[][] {
  const byPath = new Map(modules.map((one) => [one.path, one]));
  const finished = new Set<string>();
  const found: string[][] = [];
  const visit = (path: string, way: readonly string[]) => {
    if (way.includes(path)) found.push([...way.slice(way.indexOf(path)), path]);
    if (way.includes(path) || finished.has(path)) return;
    const targets = new Set(byPath.get(path)?.imports.map((one) => one.target));
    for (const target of targets) if (target !== undefined && byPath.has(target)) visit(target, [...way, path]);
    finished.add(path);
  };
  for (const path of [...byPath.keys()].toSorted()) visit(path, []);
  return found;
}
