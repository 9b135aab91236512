/** The supervisor's side of one worker process: what it told last, how it is ended, and how it ended. */
import type { ChildProcess } from "node:child_process";
import { endsWithin } from "../concurrency/limit.ts";
import { startTimer } from "../concurrency/timer.ts";
import type { Order, Steer, ToSupervisor, ToWorker, WorkerReport } from "./supervision.ts";

export interface Exit {
  /** `null` when a signal ended it, or it could not be started. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class WorkerProcess {
  readonly place: number;
  readonly pid: number | undefined;
  readonly ended: Promise<Exit>;
  /** It has taken jobs. */
  wasReady = false;
  /** It did not end in its time. */
  killed = false;
  report: WorkerReport | undefined;
  readonly #child: ChildProcess;
  readonly #startedAt = performance.now();
  #heardAt = this.#startedAt;
  #endedAt: number | undefined;
  readonly #over = new AbortController();
  readonly #listeners = new Set<() => void>();
  #spare: (() => void) | undefined;
  /** Its answer to the question for metrics that is open. */
  #asked: PromiseWithResolvers<object> | undefined;

  constructor(child: ChildProcess, place: number) {
    this.#child = child;
    this.place = place;
    this.pid = child.pid;
    child.on("message", (message: ToSupervisor | null) => this.#hear(message));
    this.ended = new Promise((resolve) => {
      const end = (exit: Exit): void => {
        this.#spare?.();
        this.#endedAt = performance.now();
        this.#over.abort();
        resolve(exit);
        for (const listener of this.#listeners) listener();
      };
      child.once("exit", (code, signal) => end({ code, signal }));
      child.on("error", () => {
        if (child.pid === undefined) end({ code: null, signal: null });
      });
    });
  }

  /** Fires when it has ended. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  get livedMs(): number {
    return (this.#endedAt ?? performance.now()) - this.#startedAt;
  }

  /** How long it has told nothing of itself. */
  get silentMs(): number {
    return performance.now() - this.#heardAt;
  }

  /** The first that `find` finds in what it tells, the last report included; `undefined` when it ends before. */
  firstOf<T>(find: (report: WorkerReport) => T | undefined): Promise<T | undefined> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.over.aborted || this.report === undefined ? undefined : find(this.report);
        if (found === undefined && !this.over.aborted) return;
        this.#listeners.delete(look);
        resolve(found);
      };
      this.#listeners.add(look);
      look();
    });
  }

  /** @param withinMs  how long it may take, before it is killed */
  order(order: Order, withinMs: number): void {
    if (this.over.aborted) return;
    const message: ToWorker = { millrace: order };
    // A module of the user's may have closed the channel: then the signal has to do.
    this.#child.send(message, (error) => {
      if (error !== null) this.#child.kill(order.by);
    });
    this.#spare?.();
    this.#spare = startTimer(withinMs, () => {
      this.killed = true;
      this.#child.kill("SIGKILL");
    });
  }

  steer(steer: Steer): void {
    const message: ToWorker = { millrace: steer };
    if (!this.over.aborted) this.#child.send(message, () => undefined);
  }

  /** What it has counted; `undefined` when it does not tell within so many milliseconds. */
  async metrics(withinMs: number): Promise<object | undefined> {
    if (this.over.aborted) return undefined;
    if (this.#asked === undefined) {
      this.#asked = Promise.withResolvers();
      const question: ToWorker = { millraceAsks: "metrics" };
      this.#child.send(question, () => undefined);
    }
    const { promise } = this.#asked;
    const isAnswered = await endsWithin(withinMs, promise);
    if (!isAnswered) this.#asked = undefined;
    return isAnswered ? promise : undefined;
  }

  #hear(message: ToSupervisor | null): void {
    if (message?.millraceMetrics !== undefined) {
      this.#asked?.resolve(message.millraceMetrics);
      this.#asked = undefined;
    }
    const report = message?.millrace;
    if (report === undefined) return;
    this.report = report;
    this.wasReady ||= isUp(report);
    this.#heardAt = performance.now();
    for (const listener of this.#listeners) listener();
  }
}

/** It has begun to take jobs, or would if it were not quiet. */
export function isUp({ state }: WorkerReport): boolean {
  return state === "ready" || state === "quiet";
}
