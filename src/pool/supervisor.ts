/**
 * Keeps so many worker processes running, each in a place of its own, until it is told to stop.
 *
 * One that ends is started again, at once after a life of some length and else after a pause that doubles. One that has
 * used up what it may is replaced: the other starts first, and when that is ready it stops gracefully; one place after
 * the other, so that there is never more than one process too many, nor one too few.
 */
import type { ChildProcess } from "node:child_process";
import { Semaphore } from "../concurrency/index.ts";
import { sleep } from "../concurrency/sleep.ts";
import type { Logger } from "../log.ts";
import { BackOff } from "./back-off.ts";
import type { Order, Steer, WorkerReport } from "./supervision.ts";
import { isUp, WorkerProcess, type Exit } from "./worker-process.ts";

/** Beyond which of these a process is replaced; none is no limit. */
export interface Limits {
  readonly maxStuck: number;
  readonly maxRssBytes: number | undefined;
  readonly maxJobs: number | undefined;
}

export interface SupervisorOptions {
  readonly processes: number;
  /** Starts the process of a place, with a channel to it. */
  readonly fork: (place: number) => ChildProcess;
  readonly limits: Limits;
  /** How long a process may take to stop, and to give back at once, before it is killed. */
  readonly withinMs: Readonly<Record<Order["order"], number>>;
  readonly log: Logger;
  /** Told of what is logged, for programs. */
  readonly onEvent: (event: { readonly event: string; readonly [fact: string]: unknown }) => void;
}

export class Supervisor {
  /** Settles when it was told to stop and all processes have ended: with the exit code of them all. */
  readonly done: Promise<number>;
  readonly #options: SupervisorOptions;
  readonly #alive = new Set<WorkerProcess>();
  readonly #stopping = new AbortController();
  readonly #replacing = new Semaphore(1);
  /** Those that an operator has not emptied. */
  #places: number;
  #isQuiet = false;
  #wasReady = false;
  #exitCode = 0;

  /** Starts at once. The first process alone, since what keeps it from starting keeps them all. */
  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#places = options.processes;
    this.done = this.#run();
  }

  /** Those that have not ended, in the order of their start. */
  get alive(): readonly WorkerProcess[] {
    return [...this.#alive];
  }

  /** So many processes are to run. */
  get places(): number {
    return this.#places;
  }

  /** It was told to. */
  get isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** `stop` lets what runs finish, `hurry` has it given back; neither starts another process. */
  order(order: Order): void {
    this.#stopping.abort();
    for (const worker of this.#alive) worker.order(order, this.#options.withinMs[order.order]);
  }

  /** Hands on; who starts while they are to be quiet is quiet from its start. */
  steer(steer: Steer): void {
    if (steer.order !== "dump") this.#isQuiet = steer.order === "quiet";
    for (const worker of this.#alive) worker.steer(steer);
  }

  async #run(): Promise<number> {
    const first = this.#start(1);
    await first.firstOf(() => true);
    const others = Array.from({ length: this.#options.processes - 1 }, (_, i) => i + 2);
    await Promise.all([this.#keep(first), ...others.map((place) => this.isStopping || this.#keep(this.#start(place)))]);
    while (this.#alive.size > 0) await Promise.race([...this.#alive].map(({ ended }) => ended));
    return this.#exitCode;
  }

  /** Sees that somebody is in the place of this worker. */
  async #keep(first: WorkerProcess): Promise<void> {
    const { signal } = this.#stopping;
    const backOff = new BackOff();
    for (let current = first, newest = first; ; ) {
      const excess = await current.firstOf((report) => excessOf(report, this.#options.limits));
      if (signal.aborted) return;
      if (excess === undefined && current.report?.wish === "end") return this.#leave(current);
      const pauseMs = backOff.pauseAfterMs(newest.livedMs);
      if (excess === undefined) this.#tellLost(current, await current.ended, pauseMs);
      await sleep(pauseMs, { signal }).catch(() => {});
      if (signal.aborted) return;
      newest = excess === undefined ? this.#start(first.place) : await this.#replace(current, excess);
      if (excess === undefined || newest.wasReady) current = newest;
    }
  }

  /** An operator has told it to end: nobody takes its place. */
  #leave(worker: WorkerProcess): void {
    this.#places -= 1;
    this.#tell("info", "left", factsOf(worker), "a worker process was told to end by an operator: its place stays empty");
  }

  /** Gives who was started for it, which has its place once it was ready. */
  async #replace(current: WorkerProcess, excess: object): Promise<WorkerProcess> {
    const signal = AbortSignal.any([this.#stopping.signal, current.over]);
    const turn = await this.#replacing.acquire({ signal }).catch(() => undefined);
    if (turn === undefined) return current;
    const next = this.#start(current.place);
    const isReady = await next.firstOf(isReadyIn);
    if (this.isStopping) return next;
    if (isReady === true) {
      this.#tell("info", "recycled", { ...factsOf(current), ...excess, successor: next.pid }, "a worker process has done its share: another one takes its place");
      current.order({ order: "stop", by: "SIGTERM" }, this.#options.withinMs.stop);
      void current.ended.then(() => turn[Symbol.dispose]());
    } else {
      this.#tellLost(next, await next.ended, undefined);
      turn[Symbol.dispose]();
    }
    return next;
  }

  #start(place: number): WorkerProcess {
    const { fork, log } = this.#options;
    const worker = new WorkerProcess(fork(place), place);
    this.#alive.add(worker);
    if (this.#isQuiet) worker.steer({ order: "quiet" });
    log.debug(factsOf(worker), "a worker process starts");
    void worker.firstOf(isReadyIn).then((isReady) => (this.#wasReady ||= isReady === true));
    void worker.ended.then((exit) => this.#end(worker, exit));
    return worker;
  }

  #end(worker: WorkerProcess, exit: Exit): void {
    this.#alive.delete(worker);
    if (worker.killed) this.#tell("error", "killed", factsOf(worker), "a worker process did not end in its time: it was killed");
    // Who was signalled before it could listen held nothing.
    const isOrderly = exit.code === 0 || exit.signal === "SIGINT" || exit.signal === "SIGTERM";
    if (this.isStopping) this.#exitCode ||= isOrderly ? 0 : 1;
    else if (!this.#wasReady && exit.code !== null && exit.code !== 0) {
      // It said why. Starting it again would say it again.
      this.order({ order: "stop", by: "SIGTERM" });
      this.#exitCode = exit.code;
    }
  }

  #tellLost(worker: WorkerProcess, exit: Exit, restartInMs: number | undefined): void {
    this.#tell("warn", "lost", { ...factsOf(worker), ...exit, restartInMs }, "a worker process has ended: another one takes its place");
  }

  #tell(level: "info" | "warn" | "error", event: string, facts: object, message: string): void {
    this.#options.log[level](facts, message);
    this.#options.onEvent({ event, ...facts });
  }
}

function factsOf({ pid, place }: WorkerProcess): { readonly worker: number | undefined; readonly place: number } {
  return { worker: pid, place };
}

function isReadyIn(report: WorkerReport): true | undefined {
  return isUp(report) || undefined;
}

/** What it has used up, for the log; `undefined` while it may go on. */
function excessOf(report: WorkerReport, { maxRssBytes = Infinity, maxJobs = Infinity, maxStuck }: Limits): object | undefined {
  const { rssBytes, ended, stuck, wish } = report;
  if (!isUp(report) || wish === "end") return undefined;
  if (wish === "replacement") return { reason: "restart" };
  if (stuck > maxStuck) return { reason: "max-stuck", stuck };
  if (rssBytes > maxRssBytes) return { reason: "max-rss", rssBytes };
  return ended >= maxJobs ? { reason: "max-jobs", jobs: ended } : undefined;
}
