/** The process of a turn, seen by the one that runs it. */
import { fork, type ChildProcess } from "node:child_process";
import { EventEmitter, once } from "node:events";
import type { Told, Turn } from "./turn.ts";

/** Nothing here takes that long; a subject that hangs is a failure, not a wait. */
const TURN_MS = 300_000;

export class TurnProcess {
  readonly #child: ChildProcess;
  readonly #exit: Promise<void>;
  readonly #arrived: Told[] = [];
  readonly #news = new EventEmitter();

  constructor(turn: Turn) {
    this.#child = fork(new URL("turn.ts", import.meta.url), [JSON.stringify(turn)], {
      execArgv: ["--conditions=millrace-source"],
      env: { ...process.env, NODE_ENV: "production" },
      timeout: TURN_MS,
      killSignal: "SIGKILL",
    });
    this.#child.on("message", (told: Told) => {
      this.#arrived.push(told);
      this.#news.emit("news");
    });
    this.#exit = this.#untilExit(`${turn.subject} (${turn.role}, ${JSON.stringify(turn.work)})`);
    // Whoever waits for a message or the end hears of it; nobody may be waiting just then.
    this.#exit.catch(() => undefined);
  }

  async #untilExit(name: string): Promise<void> {
    const [code, signal] = (await once(this.#child, "exit")) as [number | null, string | null];
    if (code !== 0) throw new Error(`${name} ended with ${code ?? signal}`);
  }

  /** The next message, which must be of that name. */
  async told<N extends Told["told"]>(name: N): Promise<Extract<Told, { told: N }>> {
    if (this.#arrived.length === 0) await Promise.race([once(this.#news, "news"), this.#exit]);
    const told = this.#arrived.shift();
    if (told?.told !== name) throw new Error(`expected a turn to tell "${name}", got ${told?.told ?? "its end"}`);
    return told as Extract<Told, { told: N }>;
  }

  tell(message: "go" | "put" | "close"): void {
    this.#child.send(message);
  }

  /** Of one that has ended: nothing. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  /** What it has done, when it is gone. */
  async ended(): Promise<Extract<Told, { told: "closed" }>> {
    const closed = await this.told("closed");
    this.#child.disconnect();
    await this.#exit;
    return closed;
  }
}
