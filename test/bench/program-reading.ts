/** Takes readings of whole programs, as they are started by hand: a worker's first job, the demo. */
import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { built, temporary } from "./built.ts";
import type { Reading } from "./measure.ts";
import type { Store } from "./store.ts";
import { nowUs, type SubjectName } from "./subject.ts";

const run = promisify(execFile);
const at = (path: string): string => new URL(path, import.meta.url).pathname;
const command = ["--conditions=millrace-source", at("../../src/cli/main.ts")];

/** So long it has had nothing to do when its memory is read. */
const IDLE_MS = 1000;
/** Nothing here takes that long to start. */
const START_MS = 60_000;

/** Of the process that runs the first job, which waits already. */
export async function startReading(subject: SubjectName, redisUrl: string): Promise<Reading> {
  const args = subject === "millrace" ? [join(await built(), "dist/src/cli/main.js"), "worker", "start", join(await built(), "worker.ts")] : [at("programs/stock-worker.ts")];
  const startedUs = nowUs();
  const worker = spawn(process.execPath, args, { env: environment(redisUrl), stdio: ["ignore", "pipe", "ignore"], timeout: START_MS });
  const ended = once(worker, "exit");
  try {
    const [line] = (await Promise.race([once(createInterface(worker.stdout), "line"), ended.then(() => [])])) as [string?];
    if (line === undefined) throw new Error(`${subject}: expected a worker to run its first job within ${START_MS} ms, got its end`);
    await sleep(IDLE_MS);
    const { stdout } = await run("ps", ["-o", "rss=", "-p", String(worker.pid)]);
    const [ranNs, cpuUs] = line.split(" ").map(Number) as [number, number];
    return { startMs: ranNs / 1e6 - startedUs / 1000, startCpuMs: cpuUs / 1000, residentMb: Number(stdout) / 1024 };
  } finally {
    worker.kill("SIGTERM");
    await ended;
  }
}

export async function demoReading(files: number, store: Store): Promise<Reading> {
  const { reading, text } = await timed([...command, "demo", treeOf(files), "--json"], store);
  const summary = JSON.parse(text) as { files: number; failed: number; processed: number };
  if (summary.files !== files || summary.processed !== files || summary.failed !== 0) throw new Error(`expected ${files} files to be digested, got ${text}`);
  return reading;
}

/** @param together  files that are digested at once */
export async function loopReading(files: number, together: number, store: Store): Promise<Reading> {
  const { reading, text } = await timed(["--conditions=millrace-source", at("programs/plain-digest.ts"), treeOf(files), String(together)], store);
  if (Number(text) !== files) throw new Error(`expected ${files} files to be digested, got ${text}`);
  return reading;
}

/** Runs "$@", and prints what CPU it took below what it printed. */
const TIMES = '"$@" && times';

/** From the start of the process to its end; the CPU is its own and the server's. */
async function timed(args: readonly string[], store: Store): Promise<{ reading: Reading; text: string }> {
  const storeUs = await store.cpuUs();
  const startedUs = nowUs();
  const { stdout } = await run("sh", ["-c", TIMES, "sh", process.execPath, ...args], { env: environment(store.url) });
  const seconds = (nowUs() - startedUs) / 1e6;
  const [text = "", , ran = ""] = stdout.split("\n");
  const own = [...ran.matchAll(/(\d+)m([\d.]+)s/g)].reduce((sum, [, minutes, rest]) => sum + Number(minutes) * 60 + Number(rest), 0);
  return { reading: { seconds, cpuSeconds: own + ((await store.cpuUs()) - storeUs) / 1e6 }, text };
}

function environment(redisUrl: string): NodeJS.ProcessEnv {
  return { ...process.env, NODE_ENV: "production", REDIS_URL: redisUrl };
}

const trees = new Map<number, string>();
const FILE_BYTES = 4096;
const FILES_A_FOLDER = 500;

/** A tree of so many files, each unlike the others; gone with this process. */
function treeOf(files: number): string {
  const made = trees.get(files);
  if (made !== undefined) return made;
  const root = temporary("demo");
  for (let file = 0; file < files; file += 1) {
    const folder = join(root, String(Math.floor(file / FILES_A_FOLDER)));
    if (file % FILES_A_FOLDER === 0) mkdirSync(folder);
    writeFileSync(join(folder, `${file}.bin`), randomBytes(FILE_BYTES));
  }
  trees.set(files, root);
  return root;
}
