/** Runs the real command in a process of its own, in a project of its own. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly pid: number;
  /** Until standard output and error together hold the text, so often as said. */
  readonly says: (text: string, times?: number) => Promise<void>;
  /** The line of either that holds the text, once there is one. */
  readonly said: (text: string) => Promise<string>;
  readonly kill: (signal: NodeJS.Signals) => void;
  readonly write: (text: string) => void;
  readonly endInput: () => void;
  /** Stops reading standard output, as `head` does. */
  readonly closeOutput: () => void;
  readonly ended: Promise<Ended>;
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** All of standard input; it stays open where there is none. */
  readonly input?: string;
  /** In a process group of its own, as a shell starts it: `process.kill(-pid)` then reaches all of it. */
  readonly ownGroup?: true;
  /** Flags of Node itself. */
  readonly node?: readonly string[];
  /** Of the user that runs it; only root may say so. */
  readonly uid?: number;
}

/** A folder with these files in which `millrace` and zod can be imported; gone when the test is over. */
export function project(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "millrace-project-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(ROOT, join(folder, "node_modules/millrace"));
  symlinkSync(join(ROOT, "node_modules/zod"), join(folder, "node_modules/zod"));
  for (const [path, text] of Object.entries({ "package.json": '{"type":"module"}', ...files })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

/** Starts `millrace …`. Nothing of this process's settings reaches it. */
export function start(args: readonly string[], options: CommandOptions = {}): Running {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|REDIS_|MILLRACE_|VITEST|NODE_)/.test(name)));
  const main = join(ROOT, "src/cli/main.ts");
  const child = spawn(process.execPath, [...(options.node ?? []), "-C", "millrace-source", main, ...args], { cwd: options.cwd, env: { ...env, ...options.env }, detached: options.ownGroup ?? false, uid: options.uid });
  let stdout = "";
  let stderr = "";
  let heard: (() => void)[] = [];
  const hear = (): void => {
    const told = heard;
    heard = [];
    for (const tell of told) tell();
  };
  child.stdout.on("data", (chunk: Buffer) => ((stdout += chunk.toString()), hear()));
  child.stderr.on("data", (chunk: Buffer) => ((stderr += chunk.toString()), hear()));
  child.stdin.on("error", () => undefined); // it need not read all
  if (options.input !== undefined) child.stdin.end(options.input);
  let over = false;
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (code) => {
      over = true;
      resolve({ code, stdout, stderr });
      hear();
    });
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const says = async (text: string, times = 1): Promise<void> => {
    while ((stdout + stderr).split(text).length <= times) {
      if (over) throw new Error(`expected ${JSON.stringify(text)}, but it ended and said:\n${stdout}${stderr}`);
      await new Promise<void>((resolve) => heard.push(resolve));
    }
  };
  return {
    pid: child.pid ?? 0,
    says,
    async said(text) {
      await says(text);
      return `${stdout}\n${stderr}`.split("\n").find((line) => line.includes(text)) ?? "";
    },
    kill: (signal) => void child.kill(signal),
    write: (text) => void child.stdin.write(text),
    endInput: () => void child.stdin.end(),
    closeOutput: () => void child.stdout.destroy(),
    ended,
  };
}

/** Runs `millrace …` to its end. */
export function millrace(args: readonly string[], options: CommandOptions = {}): Promise<Ended> {
  return start(args, { input: "", ...options }).ended;
}
