/** The embedded server as a process: its folders, its record, how it is started, asked and stopped. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, realpathSync, renameSync, statSync, writeFileSync } from "node:fs";
import { lstat, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { sleep } from "../concurrency/sleep.ts";
import { RedisServerError } from "../errors.ts";
import { Client } from "./client.ts";
import { describeError } from "./errors.ts";
import { findServer, missingServer } from "./server.ts";

const run = promisify(execFile);

/** What we know of a server that we started; kept in the data folder as `redis.json`. */
export interface ServerRecord {
  readonly pid: number;
  readonly socket: string;
  /** Started by hand: stays when its last user leaves. */
  readonly stays: boolean;
}

/** The longest path that the system takes for a socket (`sun_path`, less its closing zero). */
const LONGEST_SOCKET_PATH = process.platform === "darwin" ? 103 : 107;
const START_MS = 20_000;
const STOP_MS = 5000;
const ANSWER_MS = 2000;
const LARGEST_LOG = 1024 * 1024;

/** Where the server of a data folder listens: by the folder's real path, so that every process finds the same. */
export function socketPathOf(dir: string): string {
  let real = dir;
  try {
    real = realpathSync(dir);
  } catch {
    // Not made yet.
  }
  return join(tmpdir(), `millrace-${createHash("sha256").update(real).digest("hex").slice(0, 16)}`, "redis.sock");
}

export function readRecord(dir: string): ServerRecord | undefined {
  try {
    const record: Partial<ServerRecord> = JSON.parse(readFileSync(recordPathOf(dir), "utf8"));
    if (typeof record.pid !== "number" || typeof record.socket !== "string") return undefined;
    return { pid: record.pid, socket: record.socket, stays: record.stays === true };
  } catch {
    // None, or cut short by a full disk: the socket is asked then.
    return undefined;
  }
}

/** Synchronous, so that nothing can come between a start and its record. */
export function writeRecord(dir: string, record: ServerRecord): void {
  const path = recordPathOf(dir);
  writeFileSync(`${path}.new`, `${JSON.stringify(record)}\n`);
  renameSync(`${path}.new`, path);
}

/** Under the lock: starts a server and waits until it answers. @throws RedisServerError when it does not */
export async function startServer(dir: string, assertHeld: () => void): Promise<ServerRecord> {
  const program = await findServer();
  if (program === undefined) throw missingServer();
  const socket = await prepareFolders(dir);
  const data = dataPathOf(dir);
  const logPath = join(data, "redis.log");
  const log = openSync(logPath, (statSync(logPath, { throwIfNoEntry: false })?.size ?? 0) > LARGEST_LOG ? "w" : "a", 0o600);
  let server: ChildProcess;
  let record: ServerRecord;
  try {
    assertHeld();
    // A session of its own: Ctrl-C on the terminal of its first user is not for it.
    server = spawn(program.path, settings(socket), { cwd: data, detached: true, stdio: ["ignore", log, log] });
    record = { pid: server.pid ?? 0, socket, stays: false };
    if (server.pid !== undefined) writeRecord(dir, record);
  } finally {
    closeSync(log);
  }
  const ended = new Promise<string>((resolve) => {
    server.once("error", (error) => resolve(error.message));
    server.once("exit", (code, signal) => resolve(`it ended with ${signal ?? `code ${code}`}`));
  });
  server.unref();
  const giveUp = new AbortController();
  const why = await Promise.race([ended, answers(socket, giveUp.signal)]);
  giveUp.abort();
  if (why === undefined) return record;
  await stopServer(dir, record);
  const lines = (await readFile(logPath, "utf8").catch(() => "")).trim().split("\n").slice(-3).join(" | ");
  throw new RedisServerError(`${program.path} did not start: ${why}; ${logPath} ends with: ${lines}`);
}

/** Under the lock: ends the server, saved, and forgets it. One that does not listen any more is ended by its id. */
export async function stopServer(dir: string, record: ServerRecord): Promise<void> {
  if (!(await shutDown(record)) || !(await isGone(record, STOP_MS))) {
    signal(record, "SIGTERM");
    if (!(await isGone(record, STOP_MS))) signal(record, "SIGKILL");
    if (!(await isGone(record, STOP_MS))) throw new RedisServerError(`the embedded server (pid ${record.pid}) does not end: stop it, then try again`);
  }
  await rm(recordPathOf(dir), { force: true });
  await rm(dirname(record.socket), { recursive: true, force: true });
}

/** What a socket says: `absent` nobody listens, `silent` somebody does and does not answer. */
export interface Answer {
  readonly state: "ready" | "loading" | "silent" | "absent";
  readonly pid: number | undefined;
}

export async function ask(socket: string): Promise<Answer> {
  const client = controlClient(socket);
  try {
    await client.connect();
    const info = await client.info();
    const pid = /^process_id:(\d+)/m.exec(info)?.[1];
    return { state: /^loading:1/m.test(info) ? "loading" : "ready", pid: pid === undefined ? undefined : Number(pid) };
  } catch (error) {
    const fault = client.connectionFault ?? describeError(error);
    if (/timed out|ETIMEDOUT/i.test(fault)) return { state: "silent", pid: undefined };
    if (/EACCES|EPERM/.test(fault)) throw new RedisServerError(`expected to reach the embedded server at ${socket}, got ${fault}: it belongs to another user`);
    return { state: "absent", pid: undefined };
  } finally {
    client.abandon();
  }
}

/** A client for a few commands: tries once, gives up after 2 s. */
export function controlClient(socket: string, options: { readonly connectionName?: string; readonly retryStrategy?: () => number } = {}): Client {
  return new Client({
    path: socket,
    lazyConnect: true,
    connectTimeout: ANSWER_MS,
    commandTimeout: ANSWER_MS,
    disconnectTimeout: 100,
    enableReadyCheck: false,
    maxRetriesPerRequest: null,
    autoResendUnfulfilledCommands: false,
    retryStrategy: () => null,
    ...options,
  });
}

function recordPathOf(dir: string): string {
  return join(dir, "redis.json");
}

function dataPathOf(dir: string): string {
  return join(dir, "redis");
}

/** No port, everything on disk, nothing evicted; an empty name keeps a configuration file of the machine out. */
function settings(socket: string): string[] {
  const given = {
    port: "0",
    unixsocket: socket,
    unixsocketperm: "700",
    dir: ".",
    appendonly: "yes",
    appendfsync: "everysec",
    save: "",
    "maxmemory-policy": "noeviction",
    daemonize: "no",
  };
  return Object.entries(given).flatMap(([name, value]) => [`--${name}`, value]);
}

/** Makes the folders of data and socket. @returns the socket's path */
async function prepareFolders(dir: string): Promise<string> {
  await mkdir(dataPathOf(dir), { recursive: true, mode: 0o700 });
  await writeFile(join(dir, ".gitignore"), "*\n");
  const socket = socketPathOf(dir);
  const length = Buffer.byteLength(socket);
  if (length > LONGEST_SOCKET_PATH) {
    throw new RedisServerError(`expected a socket path of at most ${LONGEST_SOCKET_PATH} bytes, got ${length}: ${socket}: set TMPDIR to a shorter folder`);
  }
  const folder = dirname(socket);
  await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw new RedisServerError(`could not make ${folder}: ${error.message}`, { cause: error });
  });
  // The temporary folder is everybody's: somebody else may have made one of this name to listen in.
  const [made, data] = [await lstat(folder), await stat(dir)];
  if (!made.isDirectory() || made.uid !== data.uid || (made.mode & 0o077) !== 0) {
    throw new RedisServerError(`expected ${folder} to be a folder of the owner of ${dir} with mode 0700, found another: remove it`);
  }
  return socket;
}

/** Waits until the server answers. @returns why it does not; `undefined` when it does */
async function answers(socket: string, signal: AbortSignal): Promise<string | undefined> {
  const giveUpAt = performance.now() + START_MS;
  for (;;) {
    const { state } = await ask(socket);
    if (state === "ready" || signal.aborted) return undefined;
    // However long the data takes to load.
    if (state !== "loading" && performance.now() > giveUpAt) return `it did not answer within ${START_MS / 1000} s`;
    await sleep(10);
  }
}

/** @returns whether the server could be told */
async function shutDown({ socket }: ServerRecord): Promise<boolean> {
  const client = controlClient(socket);
  try {
    await client.connect();
    // No answer is the answer: the connection ends with the server.
    await client.shutdown().catch(() => undefined);
    return true;
  } catch {
    return false;
  } finally {
    client.abandon();
  }
}

async function isGone(record: ServerRecord, withinMs: number): Promise<boolean> {
  const giveUpAt = performance.now() + withinMs;
  while (await isServer(record)) {
    if (performance.now() > giveUpAt) return false;
    await sleep(10);
  }
  return true;
}

function signal({ pid }: ServerRecord, name: NodeJS.Signals): void {
  try {
    if (pid > 0) process.kill(pid, name);
  } catch {
    // Gone by itself.
  }
}

/** Whether the process of that id is our server: ids are used again. A server shows its socket in its command line. */
async function isServer({ pid, socket }: ServerRecord): Promise<boolean> {
  if (pid <= 0) return false;
  if (process.platform === "linux") return (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).includes(socket);
  const { stdout } = await run("ps", ["-o", "command=", "-p", String(pid)]).catch(() => ({ stdout: "" }));
  return stdout.includes(socket);
}
