/** Runs one program of the article as a process of its own, and notes when it said what. */
import { spawn } from "node:child_process";
import { once } from "node:events";

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** From the first thing it printed to the last, so without the start of the process. */
  readonly tookMs: number;
  /** From its start to the first thing it printed. */
  readonly silentMs: number;
}

export interface Program {
  readonly ended: Promise<Ended>;
  /** Resolves at the first word on standard error; rejects when the program ends without one. */
  readonly ready: Promise<void>;
  kill(signal: NodeJS.Signals): void;
}

/** @param file  beside this module, such as `one-hello.ts` */
export function start(file: string, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Program {
  const startedAt = performance.now();
  const child = spawn(process.execPath, ["-C", "millrace-source", new URL(file, import.meta.url).pathname, ...args], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { stdout: "", stderr: "" };
  const saidAt: number[] = [];
  child.stdout.on("data", (chunk: Buffer) => {
    said.stdout += chunk.toString();
    saidAt.push(performance.now());
  });
  const ready = new Promise<void>((resolve, reject) => {
    child.stderr.on("data", (chunk: Buffer) => {
      said.stderr += chunk.toString();
      resolve();
    });
    child.once("close", () => reject(new Error(`${file} ended without a word on standard error`)));
  });
  ready.catch(() => undefined); // most programs have nothing to say there
  const ended = once(child, "close").then(([code]) => {
    const [first = startedAt, last = first] = [saidAt[0], saidAt.at(-1)];
    return { code: code as number | null, ...said, tookMs: last - first, silentMs: first - startedAt };
  });
  return { ended, ready, kill: (signal) => void child.kill(signal) };
}
