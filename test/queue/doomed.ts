/** Starts worker processes that are to be killed. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { redisUrl } from "../support/redis.ts";

/** A worker process of its own; `runs` fills as it starts to run. */
export function doomedWorker(prefix: string, env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, ["-C", "millrace-source", fileURLToPath(new URL("doomed-worker.ts", import.meta.url))], {
    env: { ...process.env, REDIS_URL: redisUrl(), PREFIX: prefix, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const runs: { readonly id: string; readonly attempt: number }[] = [];
  createInterface(child.stdout).on("line", (line) => runs.push(JSON.parse(line) as { id: string; attempt: number }));
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  };
  onTestFinished(kill);
  return { runs, kill };
}
