/**
 * How a pool ends, once nothing more is fetched, phase by phase:
 *
 * ```
 * drain   what runs may finish; then what is left is interrupted
 * grace   what was interrupted may end; then what is left is abandoned, which gives it back
 * flush   what ended and what was given back reaches Redis; then nobody waits for Redis any longer
 * ```
 *
 * A phase is over as soon as nothing is left to wait for.
 */
import { startTimer } from "../concurrency/timer.ts";
import { CancelledError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { DeliveredTask } from "../queue/delivered-task.ts";

export interface StopTimes {
  readonly drainMs: number;
  readonly graceMs: number;
  readonly flushMs: number;
}

export interface Stoppable {
  /** Handlers that run. */
  tasks(): readonly DeliveredTask[];
  /** How many deliveries have not ended: those that run, and those whose end is on its way to Redis. */
  open(): number;
}

/** So many are named in the log. */
const NAMED = 20;

export class Stopping {
  /** Resolves when the time of all phases has passed. */
  readonly late: Promise<void>;
  readonly #pool: Stoppable;
  readonly #log: Logger;
  readonly #late = Promise.withResolvers<void>();
  #interruptAt = Infinity;
  #abandonAt = Infinity;
  #flushMs = Infinity;
  #isOver = false;
  #wake: () => void = () => {};

  constructor(pool: Stoppable, log: Logger) {
    this.#pool = pool;
    this.#log = log;
    this.late = this.#late.promise;
  }

  get begun(): boolean {
    return this.#interruptAt < Infinity;
  }

  /** Begins; called again with shorter times it hurries. */
  begin({ drainMs, graceMs, flushMs }: StopTimes): void {
    const { begun } = this;
    this.#interruptAt = Math.min(this.#interruptAt, performance.now() + drainMs);
    this.#abandonAt = Math.min(this.#abandonAt, this.#interruptAt + graceMs);
    this.#flushMs = Math.min(this.#flushMs, flushMs);
    if (begun) this.#wake();
    else void this.#run();
  }

  /** A delivery has ended: there may be nothing left to wait for. */
  look(): void {
    if (this.#pool.open() === 0) this.#wake();
  }

  /** The pool has ended. */
  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  async #run(): Promise<void> {
    await this.#phase("drain", () => this.#interruptAt, ["what ran has ended", "interrupts what still runs"]);
    const reason = new CancelledError("the worker stops");
    for (const task of this.#pool.tasks()) task.interrupt(reason);
    await this.#phase("grace", () => this.#abandonAt, ["what was interrupted has ended", "gives back what does not end"]);
    for (const task of this.#pool.tasks()) task.abandon();
    const flushedAt = performance.now();
    await this.#phase("flush", () => flushedAt + this.#flushMs, ["all that ended is in Redis", "waits for Redis no longer"], () => !this.#isOver);
    this.#late.resolve();
  }

  async #phase(phase: string, endsAt: () => number, [done, left]: readonly [string, string], isOpen = () => !this.#isOver && this.#pool.open() > 0): Promise<void> {
    const startedAt = performance.now();
    const before = this.#pool.open();
    for (let leftMs = endsAt() - startedAt; leftMs > 0 && isOpen(); leftMs = endsAt() - performance.now()) await this.#changeWithin(leftMs);
    if (before === 0) return;
    const after = this.#pool.open();
    const facts = { phase, tookMs: Math.round(performance.now() - startedAt), left: after };
    if (after === 0) this.#log.info(facts, `stopping: ${done}`);
    else this.#log.warn({ ...facts, jobs: this.#pool.tasks().slice(0, NAMED).map(({ name, id }) => `${name} ${id}`) }, `stopping: ${left}`);
  }

  async #changeWithin(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const callOff = startTimer(ms, resolve);
    await promise;
    callOff();
  }
}
