/** Starts a worker process that a test blocks, stops or kills. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import type { PoolOptions } from "../../src/index.ts";
import { redisUrl } from "../support/redis.ts";
import type { Told } from "./tried-worker.ts";

export interface StartedWorker {
  readonly child: ChildProcess;
  readonly told: readonly Told[];
  /** When it has ended, however it did. */
  readonly ended: Promise<void>;
}

export function startWorker(prefix: string, options: PoolOptions): StartedWorker {
  const child = spawn(process.execPath, ["-C", "millrace-source", fileURLToPath(new URL("tried-worker.ts", import.meta.url))], {
    env: { ...process.env, REDIS_URL: redisUrl(), PREFIX: prefix, OPTIONS: JSON.stringify(options) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const told: Told[] = [];
  createInterface(child.stdout).on("line", (line) => told.push(JSON.parse(line) as Told));
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  return { child, told, ended };
}

