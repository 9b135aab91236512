/**
 * The Unix socket at which a process answers who asks for its tasks. Only its owner can reach it: it is in a folder of
 * mode 0700 below the system's temporary folder, named by the process id. Whoever connects is sent a report, and
 * nothing is read.
 */
import { lstatSync, mkdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { isMainThread } from "node:worker_threads";
import { taskReport } from "./task-report.ts";

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
