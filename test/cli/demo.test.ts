import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, cp, link, mkdir, mkdtemp, readFile, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { demo, type DemoOptions } from "../../src/cli/demo.ts";
import type { Summary } from "../../src/cli/demo-summary.ts";
import { freshPrefix, redisClient, redisUrl } from "../support/redis.ts";

const exec = promisify(execFile);
let dir: string;
let prefix: string;
let manifest: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "demo-"));
  prefix = freshPrefix();
  manifest = `${dir}.ndjson`;
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  onTestFinished(() => rm(manifest, { force: true }));
});

/** Runs the demo in this process. */
async function run(options: Partial<DemoOptions> = {}): Promise<Summary> {
  let text = "";
  const { exitCode } = await demo({
    dir, manifest, prefix, redis: redisUrl(), json: true, signal: new AbortController().signal,
    out: { write: (piece) => (text += piece) }, err: { write: () => {} }, ...options,
  });
  expect(exitCode).toBe(0);
  return (options.json === false ? {} : JSON.parse(text)) as Summary;
}

interface Line {
  path: string;
  pathBase64?: string;
  bytes: number;
  sha256: string;
  lines: number;
  mime: string;
  error?: string;
}

async function linesOf(path = manifest): Promise<Line[]> {
  return (await readFile(path, "utf8")).trim().split("\n").map((line) => JSON.parse(line) as Line);
}

const nameOf = ({ path, pathBase64 }: Line): string => (pathBase64 === undefined ? Buffer.from(path) : Buffer.from(pathBase64, "base64")).toString("latin1");

/** `path sha256` of each file, by name, as sha256sum has it. Names are bytes, as latin1. */
async function sha256sum(root = dir): Promise<string[]> {
  const script = 'cd -- "$1" && find . \\( -type f -o -type l -xtype f \\) -printf "%P\\0" | LC_ALL=C sort -z | xargs -0 -r sha256sum --zero --';
  const { stdout } = await exec("sh", ["-c", script, "sh", root], { encoding: "latin1", maxBuffer: 2 ** 28 });
  return stdout.split("\0").slice(0, -1).map((line) => `${line.slice(66)} ${line.slice(0, 64)}`);
}

/** The same of the manifest, in its own order. */
async function digests(path = manifest): Promise<string[]> {
  return (await linesOf(path)).filter(({ error }) => error === undefined).map((line) => `${nameOf(line)} ${line.sha256}`);
}

async function writeFiles(count: number, content: (index: number) => string = (index) => `file ${index}\n`): Promise<void> {
  await Promise.all(Array.from({ length: 10 }, (_, i) => mkdir(join(dir, `d${i}`), { recursive: true })));
  await Promise.all(Array.from({ length: count }, (_, i) => writeFile(join(dir, `d${i % 10}`, `file ${i}`), content(i))));
  await sleep(50); // until their times are past what the walk does not trust yet
}

test("writes a manifest that equals sha256sum on every file, sorted by the bytes of the path", async () => {
  const names = ["a b", "quote'\"", "new\nline", "Zürich", "e\u0301", "\u00e9", "東京🎉", "-rf", "--", "a/b.txt", "a/b/c", "a-b", "a.b", "A", "empty", "back\\slash"];
  for (const name of names) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), name === "empty" ? "" : `${name}\n`.repeat(name.length * 1000));
  }
  await writeFile(Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff, 0xfe])]), "not UTF-8");
  await link(join(dir, "a b"), join(dir, "hard link"));
  await symlink("a b", join(dir, "link"));
  await symlink(".", join(dir, "circle"));
  await writeFile(join(dir, "copy"), await readFile(join(dir, "a b")));
  await symlink("nowhere", join(dir, "dangling"));
  execFileSync("mkfifo", [join(dir, "fifo")]);
  const server = createServer().listen(join(dir, "socket"));
  onTestFinished(() => void server.close());
  await once(server, "listening");

  const summary = await run();

  expect(await digests()).toEqual(await sha256sum());
  const lines = await linesOf();
  expect(lines.filter(({ error }) => error !== undefined)).toEqual([
    { path: "dangling", error: "ENOENT: dangling link" },
    { path: "fifo", error: "FIFO: not a regular file" },
    { path: "socket", error: "socket: not a regular file" },
  ]);
  expect(lines.find(({ path }) => path === "empty")).toEqual({ path: "empty", bytes: 0, sha256: expect.stringMatching(/^e3b0c442/), lines: 0, mime: "inode/x-empty" });
  expect(summary).toMatchObject({
    interrupted: false, files: names.length + 7, put: names.length + 7, known: 0, failed: 3,
    failures: { "ENOENT: dangling link": 1, "FIFO: not a regular file": 1, "socket: not a regular file": 1 },
    duplicates: { groups: 1, files: 2, wastedBytes: 12_000 }, manifest,
  });
  expect(summary.bytes).toBe(lines.reduce((sum, { bytes = 0 }) => sum + bytes, 0));
});

test("does not do again what was done and has not changed", async () => {
  await writeFiles(300);
  await symlink("nowhere", join(dir, "dangling"));
  expect(await run()).toMatchObject({ put: 301, known: 0, processed: 301, failed: 1 });
  // What failed is tried again, every time.
  expect(await run()).toMatchObject({ put: 1, known: 300, processed: 1, failed: 1 });
  expect(await run()).toMatchObject({ put: 1, known: 300, processed: 1, failed: 1 });

  await appendFile(join(dir, "d3/file 3"), "changed\n");
  await unlink(join(dir, "d4/file 4"));
  await unlink(join(dir, "dangling"));
  await writeFile(join(dir, "nowhere"), "now here");
  await symlink("nowhere", join(dir, "dangling"));
  expect(await run()).toMatchObject({ files: 301, put: 3, known: 298, failed: 0 });
  expect(await digests()).toEqual(await sha256sum());
});

test("keeps two trees apart that are digested at once", async () => {
  await writeFiles(500);
  const other = `${dir}-other`;
  onTestFinished(() => rm(other, { recursive: true, force: true }));
  await cp(dir, other, { recursive: true });
  await writeFile(join(other, "one more"), "x");
  const otherManifest = join(other, "manifest");
  onTestFinished(() => rm(otherManifest, { force: true }));

  const [one, two] = await Promise.all([run(), run({ dir: other, manifest: otherManifest })]);

  expect(one).toMatchObject({ files: 500, processed: 500 });
  expect(two).toMatchObject({ files: 501, processed: 501 });
  expect(one.queue).not.toBe(two.queue);
  expect(await digests()).toEqual(await sha256sum());
  expect(await digests(otherManifest)).toEqual((await sha256sum(other)).filter((line) => !line.startsWith("manifest ")));
});

test("digests a tree once when two runs are on it at once, and both find all of it", async () => {
  await writeFiles(500);
  const second = `${manifest}.2`;
  onTestFinished(() => rm(second, { force: true }));

  const [one, two] = await Promise.all([run(), run({ manifest: second })]);

  expect(one.queue).toBe(two.queue);
  expect(one.processed + two.processed).toBe(500);
  expect(one.put + two.put).toBe(500);
  expect(await digests()).toEqual(await sha256sum());
  expect(await readFile(second)).toEqual(await readFile(manifest));
});

test("finds one by several names: the directory may be given through a link", async () => {
  await writeFiles(20);
  const alias = `${dir}-alias`;
  await symlink(dir, alias);
  onTestFinished(() => rm(alias, { force: true }));
  await run();
  expect(await run({ dir: `${alias}/d1/..` })).toMatchObject({ put: 0, known: 20 });
});

test("reports files that vanish before their turn, and does not hang", async () => {
  await writeFiles(600);
  const running = run({ consumers: 1, concurrency: 1 });
  await countReached("completed", 50);
  await Promise.all([1, 3, 5, 7, 9].map((i) => rm(join(dir, `d${i}`), { recursive: true })));
  const summary = await running;
  const lines = await linesOf();
  expect(summary.files).toBe(lines.length);
  expect(summary.failed).toBeGreaterThan(0);
  expect(new Set(lines.flatMap(({ error }) => error ?? []))).toEqual(new Set(["ENOENT: no such file or directory"]));
  const left = await sha256sum();
  expect(left).toHaveLength(300);
  expect((await digests()).filter((line) => /^d[02468]\//.test(line))).toEqual(left);
});

test("digests again what its retention took before it was asked for", async () => {
  await writeFiles(100);
  const { queue } = await run();
  const client = redisClient();
  const base = `${prefix}:${queue}`;
  // A stranger's job holds the join up, so that the others can go between put and asking.
  await client.hset(`${base}:stranger`, { name: "stranger", data: "{}", opts: "{}", timestamp: Date.now(), delay: 0, priority: 0 });
  await client.zadd(`${base}:delayed`, String((Date.now() + 3_600_000) * 4096), "stranger");
  const { promise: allPut, resolve } = Promise.withResolvers<void>();
  const screen = { isTTY: true, columns: 200, write: (text: string) => void (text.includes("100 put,") && resolve()) };
  let out = "";
  const running = run({ json: false, out: { write: (text) => (out += text) }, err: screen });
  await allPut;
  const done = await client.zrange(`${base}:completed`, "0", "49");
  await client.zrem(`${base}:completed`, ...done);
  await client.del(...done.map((id) => `${base}:${id}`));
  await client.zrem(`${base}:delayed`, "stranger");
  await client.del(`${base}:stranger`);
  await running;
  expect(done).toHaveLength(50);
  expect(out).toContain("100 files");
  expect(await digests()).toEqual(await sha256sum());
});

/** Waits until so many jobs of this test's queue are in a state. */
async function countReached(state: "completed" | "active", least: number): Promise<number> {
  const client = redisClient();
  for (;;) {
    const [meta] = await client.keys(`${prefix}:*:meta`);
    const base = meta?.slice(0, -":meta".length) ?? "";
    const count = state === "active" ? await client.llen(`${base}:active`) : await client.zcard(`${base}:completed`);
    if (count >= least) return count;
    await sleep(5);
  }
}

interface Child {
  readonly process: ChildProcess;
  /** Exit code or signal, and what it wrote. */
  readonly ended: Promise<{ code: number | null; signal: string | null; out: string; err: string }>;
}

/** Runs the demo in a process of its own, one file at a time. */
function runProcess(): Child {
  const script = `
    const { demo } = await import(${JSON.stringify(new URL("../../src/cli/demo.ts", import.meta.url).href)});
    const controller = new AbortController();
    process.on("SIGINT", () => controller.abort(new Error("interrupted")));
    const options = ${JSON.stringify({ dir, manifest, prefix, redis: redisUrl(), consumers: 1, concurrency: 2 })};
    const { exitCode } = await demo({ ...options, signal: controller.signal, out: process.stdout, err: process.stderr });
    process.exitCode = exitCode;`;
  const child = spawn(process.execPath, ["--conditions=millrace-source", "--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const ended = Promise.all([child.stdout.setEncoding("utf8").toArray(), child.stderr.setEncoding("utf8").toArray(), once(child, "close")]).then(
    ([out, err, [code, signal]]) => ({ code: code as number | null, signal: signal as string | null, out: out.join(""), err: err.join("") }),
  );
  return { process: child, ended };
}

test("drains and gives back when it is interrupted, and continues with the same command", async () => {
  await writeFiles(1000, (i) => `line ${i}\n`.repeat(2000));
  const child = runProcess();
  await countReached("completed", 100);
  child.process.kill("SIGINT");
  const { code, out, err } = await child.ended;

  expect(err).toContain("digesting ");
  expect(out).toMatch(/^stopped after .* left in the queue; the same command continues\n$/);
  expect(code).toBe(1);
  await expect(readFile(manifest)).rejects.toThrow("ENOENT");
  const client = redisClient();
  const [active] = await client.keys(`${prefix}:*:active`);
  expect(active).toBeUndefined(); // a list that is empty is not there
  const done = await countReached("completed", 100);
  expect(done).toBeLessThan(1000);

  const summary = await run();
  expect(summary).toMatchObject({ files: 1000, failed: 0, processed: 1000 - done });
  expect(await digests()).toEqual(await sha256sum());
});

test("is complete and right after a kill in the middle of a run", async () => {
  await writeFiles(1000, (i) => `line ${i}\n`.repeat(2000));
  const child = runProcess();
  await countReached("completed", 100);
  await countReached("active", 1);
  child.process.kill("SIGKILL");
  expect((await child.ended).signal).toBe("SIGKILL");
  const done = await countReached("completed", 100);
  expect(done).toBeLessThan(1000);

  const startedAt = performance.now();
  const summary = await run();
  expect(performance.now() - startedAt).toBeLessThan(20_000);
  expect(summary).toMatchObject({ files: 1000, failed: 0, processed: 1000 - done });
  expect(await digests()).toEqual(await sha256sum());
}, 60_000);

test("refuses a directory that is none, and a place for the manifest that is none, before anything is put", async () => {
  await expect(run({ dir: join(dir, "none") })).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(run({ dir: "/dev/null" })).rejects.toMatchObject({ code: "OPTION_INVALID" });
  await expect(run({ manifest: dir })).rejects.toMatchObject({ code: "OPTION_INVALID" });
  expect(await redisClient().keys(`${prefix}:*`)).toEqual([]);
});
