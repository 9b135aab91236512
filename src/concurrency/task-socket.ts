/**
 * The Unix socket at which a process answers who asks for its tasks. Only its owner can reach it: it is in a folder of
 * mode 0700 below the system's temporary folder, named by the process id. Whoever connects is sent a report, and
 * nothing is read.
 */
import { lstatSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { isMainThread } from "node:worker_threads";
import { taskReport } from "./task-report.ts";

/** Each takes a file descriptor for a moment, and the program needs some too. */
const REMOVED_AT_ONCE = 20;

/** Where a process of this user answers; undefined where there are no such sockets. */
export function taskSocketOf(pid: number, uid: number | undefined = process.getuid?.()): string | undefined {
  return uid === undefined ? undefined : join(tmpdir(), `millrace-${uid}`, `${pid}.sock`);
}

/** It never holds the process. Gives what closes it; undefined where it may not or cannot be opened. */
export function openTaskSocket(): (() => void) | undefined {
  const path = isMainThread ? taskSocketOf(process.pid) : undefined;
  if (path === undefined || !isOwnFolder(dirname(path))) return undefined;
  const remove = (): void => rmSync(path, { force: true });
  // Of a process of the same number that was killed.
  remove();
  process.on("exit", remove);
  const server = createServer((socket) => {
    socket.on("error", () => undefined).unref();
    socket.end(JSON.stringify(taskReport()));
  });
  server.on("error", () => undefined).listen(path).unref();
  removeDead(dirname(path));
  return () => {
    server.close();
    process.off("exit", remove);
  };
}

/** Made by us and for us alone: anybody may make a folder of that name before us. */
function isOwnFolder(folder: string): boolean {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0;
}

/**
 * Some of what killed processes left: nobody has the number, and nobody listens, in another container with these files
 * either.
 */
function removeDead(folder: string): void {
  const dead = readdirSync(folder).filter((name) => /^\d+\.sock$/.test(name) && !isAlive(Number.parseInt(name, 10)));
  for (const name of dead.slice(0, REMOVED_AT_ONCE)) {
    const path = join(folder, name);
    const socket = connect(path, () => socket.destroy()).unref();
    socket.on("error", ({ code }: NodeJS.ErrnoException) => code === "ECONNREFUSED" && rmSync(path, { force: true }));
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
