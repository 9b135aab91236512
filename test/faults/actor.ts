/** A process that takes part in a scenario. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { monotonicMs } from "../support/journal.ts";
import type { Job, Told } from "./producer.ts";
import type { PutSettings } from "./subject.ts";
import type { Work } from "./work.ts";

export interface Ended {
  readonly code: number | null;
  /** On the machine's monotonic clock, in milliseconds. */
  readonly at: number;
}

export class Actor implements AsyncDisposable {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** All that it wrote. */
  said = "";
  protected readonly child: ChildProcess;
  #isOver = false;

  /** @param logPath  keeps what it writes */
  constructor(argv: readonly string[], env: Readonly<Record<string, string>>, logPath: string) {
    const child = spawn(process.execPath, ["-C", "millrace-source", ...argv], { env: { ...inherited(), ...env }, stdio: ["ignore", "pipe", "pipe", "ipc"] });
    this.child = child;
    this.pid = child.pid ?? 0;
    const log = createWriteStream(logPath);
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.pipe(log, { end: false });
      stream.on("data", (bytes: Buffer) => (this.said += bytes.toString()));
    }
    this.ended = once(child, "exit").then(([code]) => {
      this.#isOver = true;
      return { code: code as number | null, at: monotonicMs() };
    });
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGKILL");
    await this.ended;
  }
}

export class Producer extends Actor {
  #told = 0;
  readonly #waiting = new Map<number, () => void>();

  constructor(argv: readonly string[], env: Readonly<Record<string, string>>, logPath: string) {
    super(argv, env, logPath);
    this.child.on("message", (number: number) => this.#waiting.get(number)?.());
  }

  /** Resolves when each put has been acknowledged or refused. */
  put(works: readonly Work[], settings: PutSettings = {}): Promise<void> {
    return this.#tell({ put: works, settings });
  }

  putMany(works: readonly Work[]): Promise<void> {
    return this.#tell({ putMany: works });
  }

  /** Resolves when it rests, and the last put has been acknowledged or refused. */
  load(work: Work, options: { readonly lanes: number; readonly pauseMs: number; readonly settings?: PutSettings }): Promise<void> {
    return this.#tell({ load: work, ...options });
  }

  rest(): Promise<void> {
    return this.#tell({ rest: true });
  }

  cancel(jobs: readonly Job[]): Promise<void> {
    return this.#tell({ cancel: jobs });
  }

  /** Resolves when it knows the outcome of each. */
  follow(jobs: readonly Job[]): Promise<void> {
    return this.#tell({ follow: jobs });
  }

  /** Resolves when it has been told that all is over. @param n  of the wait, in the ledger */
  join(n: number): Promise<void> {
    return this.#tell({ join: n });
  }

  /** Puts works that do nothing, and are not recorded. */
  flood(count: number, from: number): Promise<void> {
    return this.#tell({ flood: count, from });
  }

  #tell(told: Told extends infer T ? (T extends Told ? Omit<T, "number"> : never) : never): Promise<void> {
    const number = this.#told++;
    return new Promise((resolve) => {
      this.#waiting.set(number, resolve);
      this.child.send({ ...told, number });
    });
  }
}

/** Nothing of this process's own settings. */
function inherited(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|REDIS_|MILLRACE_|VITEST|NODE_)/.test(name)));
}
