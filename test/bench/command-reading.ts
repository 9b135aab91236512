/** Runs a command of the built package, and reads how soon its first line came and what memory it held. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { built } from "./built.ts";

/** Times from the start of the process. */
export interface CommandReading {
  readonly firstLineMs: number;
  readonly seconds: number;
  /** The most that it held at once. */
  readonly peakMb: number;
  readonly cpuSeconds: number;
  readonly lines: number;
  readonly bytes: number;
  /** The first of what it printed. */
  readonly head: string;
}

const LOOK_MS = 20;
/** Of a process's `/proc/PID/stat`, the times are in these; there is nothing to ask how long a tick is, and all systems have 10 ms. */
const TICK_S = 0.01;
const HEAD = 1000;
const NEW_LINE = 10;

/** @throws when it fails, or says anything on standard error */
export async function readCommand(redisUrl: string, args: readonly string[]): Promise<CommandReading> {
  const main = join(await built(), "dist/src/cli/main.js");
  const startedAt = performance.now();
  const child = spawn(process.execPath, [main, ...args], { env: { ...process.env, NODE_ENV: "production", REDIS_URL: redisUrl }, stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "close") as Promise<[number | null]>;
  let [firstLineMs, lines, bytes, head, said] = [Number.NaN, 0, 0, "", ""];
  child.stdout.on("data", (chunk: Buffer) => {
    if (head.length < HEAD) head += chunk.toString();
    bytes += chunk.length;
    for (let at = chunk.indexOf(NEW_LINE); at !== -1; at = chunk.indexOf(NEW_LINE, at + 1)) lines += 1;
    if (lines > 0 && Number.isNaN(firstLineMs)) firstLineMs = performance.now() - startedAt;
  });
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const [memory, [code]] = await Promise.all([watched(child.pid ?? 0, ended), ended]);
  if (code !== 0) throw new Error(`millrace ${args.join(" ")} exited with ${code}: ${said}`);
  return { firstLineMs, seconds: (performance.now() - startedAt) / 1000, ...memory, lines, bytes, head };
}

/** Looks again and again what Linux has noted of it; the last look counts, since both only grow. */
async function watched(pid: number, ended: Promise<unknown>): Promise<Pick<CommandReading, "peakMb" | "cpuSeconds">> {
  let [peakMb, cpuSeconds] = [Number.NaN, Number.NaN];
  for (let running = true; running; running = await Promise.race([ended.then(() => false), sleep(LOOK_MS, true)])) {
    const [status, stat] = await Promise.all(["status", "stat"].map((name) => readFile(`/proc/${pid}/${name}`, "utf8").catch(() => "")));
    const peak = /^VmHWM:\s*(\d+) kB/m.exec(status ?? "")?.[1];
    if (peak !== undefined) peakMb = Number(peak) / 1024;
    const times = (stat ?? "").split(") ")[1]?.split(" ");
    if (peak !== undefined && times !== undefined) cpuSeconds = (Number(times[11]) + Number(times[12])) * TICK_S;
  }
  return { peakMb, cpuSeconds };
}
