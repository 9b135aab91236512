/**
 * Answers who asks this process for its tasks, on a Unix socket that only its owner can reach: in a folder of mode 0700
 * below the system's temporary folder, named by the process id. Whoever connects is sent a report and nothing is read.
 */
import { lstatSync, mkdirSync, rmSync } from "node:fs";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMainThread } from "node:worker_threads";
import { taskReport } from "./task-report.ts";
import { timeTasks } from "./task.ts";

let users = 0;
let close: (() => void) | undefined;

/** Until the last of those who called it has disposed of theirs. It never holds the process, and fails silently. */
export function serveTasks(): Disposable {
  users += 1;
  if (users === 1) close = open();
  let left = false;
  return {
    [Symbol.dispose]() {
      if (left) return;
      left = true;
      users -= 1;
      if (users > 0) return;
      close?.();
      close = undefined;
    },
  };
}

/** Where a process of this user answers; undefined where there are no such sockets. */
export function taskSocketOf(pid: number, uid: number | undefined = process.getuid?.()): string | undefined {
  return uid === undefined ? undefined : join(tmpdir(), `millrace-${uid}`, `${pid}.sock`);
}

function open(): (() => void) | undefined {
  const path = isMainThread ? taskSocketOf(process.pid) : undefined;
  if (path === undefined) return undefined;
  timeTasks();
  let server: Server | undefined;
  let closed = false;
  const listen = async (): Promise<void> => {
    const { createServer } = await import("node:net");
    if (closed || !isOwnFolder(join(path, ".."))) return;
    process.on("exit", remove);
    // Of a process of the same number that was killed.
    rmSync(path, { force: true });
    server = createServer((socket) => {
      socket.on("error", () => undefined).unref();
      socket.end(JSON.stringify(taskReport()));
    });
    server.on("error", () => undefined).listen(path).unref();
  };
  const remove = (): void => rmSync(path, { force: true });
  listen().catch(() => undefined);
  return () => {
    closed = true;
    server?.close();
    process.off("exit", remove);
  };
}

/** Made by us and for us alone: anybody may make a folder of that name before us. */
function isOwnFolder(folder: string): boolean {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0;
}
