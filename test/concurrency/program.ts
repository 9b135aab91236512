/** Programs of the toolkit in processes of their own, in TypeScript, so that lines are told through type stripping. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

const toolkit = JSON.stringify(new URL("../../src/concurrency/index.ts", import.meta.url).href);

export interface ProgramOptions {
  readonly debug?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly flags?: readonly string[];
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Program {
  readonly file: string;
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = "";
  stderr = "";
  readonly #lines: readonly string[];

  /** @param source  its body: `run`, `sleep`, `spawn` and the like are there */
  constructor(source: string, { debug = false, env = {}, flags = [] }: ProgramOptions = {}) {
    const text = `import * as toolkit from ${toolkit};\nconst { gather, Queue, run, sleep, spawn, taskGroup } = toolkit;\n${source}`;
    this.#lines = text.split("\n");
    const folder = mkdtempSync(join(tmpdir(), "millrace-program-"));
    this.file = join(folder, "program.ts");
    writeFileSync(this.file, text);
    this.process = spawn(process.execPath, [...flags, this.file], { env: { PATH: process.env["PATH"], ...(debug && { MILLRACE_DEBUG: "1" }), ...env }, stdio: ["ignore", "pipe", "pipe"] });
    this.process.stdout?.on("data", (chunk: Buffer) => ((this.stdout += chunk.toString()), this.process.emit("said")));
    this.process.stderr?.on("data", (chunk: Buffer) => ((this.stderr += chunk.toString()), this.process.emit("said")));
    this.ended = once(this.process, "close").then(() => ({ code: this.process.exitCode, stdout: this.stdout, stderr: this.stderr }));
    void this.ended.then(() => this.process.emit("said"));
    onTestFinished(() => {
      this.process.kill("SIGKILL");
      rmSync(folder, { recursive: true });
    });
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  /** `/tmp/…/program.ts:12:`, of the line that ends with this comment. */
  place(comment: string): string {
    const at = this.#lines.findIndex((line) => line.endsWith(`// ${comment}`));
    if (at === -1) throw new Error(`no line of the program ends with // ${comment}`);
    return `${this.file}:${at + 1}:`;
  }

  /** Until standard output and error together hold the text. */
  async says(text: string): Promise<void> {
    while (!(this.stdout + this.stderr).includes(text)) {
      if (this.process.exitCode !== null) throw new Error(`expected ${JSON.stringify(text)}, but it ended and said:\n${this.stdout}${this.stderr}`);
      await once(this.process, "said");
    }
  }
}

/** The lines of standard error that are warnings of one name, without process ids. */
export function warningsIn(stderr: string, name: string): string[] {
  return stderr.split("\n").filter((line) => line.includes(`) ${name}: `)).map((line) => line.slice(line.indexOf(`${name}: `) + name.length + 2));
}
