/**
 * Says in the log when the event loop did not turn for a second or more, and which tasks that may have been. It costs a
 * timer, and a look at the clock a task; the line where a task is stuck debug mode tells, at a higher price.
 */
import { startTicker } from "../concurrency/timer.ts";
import type { Logger } from "../log.ts";
import { publish } from "../telemetry/channels.ts";

interface Named {
  readonly name: string;
  readonly id: string;
}

const BLOCKED_MS = 1000;
const BEAT_MS = 250;
const MOST_TOLD = 10;

export class BlockedLoop {
  readonly #running: () => Iterable<Named>;
  readonly #log: Logger;
  #turnedAt = performance.now();
  #use = performance.eventLoopUtilization();
  /** Those that have ended since the loop turned last. */
  #endedSince: string[] = [];

  /** @param running  what runs, whenever it is asked */
  constructor(running: () => Iterable<Named>, log: Logger) {
    this.#running = running;
    this.#log = log;
  }

  watch(signal: AbortSignal): void {
    this.#turned();
    signal.addEventListener("abort", startTicker(BEAT_MS, () => this.#look(), { keepsAlive: false }), { once: true });
  }

  /** To be told of every task that ends: who blocked the loop has often ended before it turns again. */
  ended(task: Named): void {
    if (performance.now() - this.#turnedAt >= BLOCKED_MS && this.#endedSince.length < MOST_TOLD) this.#endedSince.push(textOf(task));
  }

  #look(): void {
    const ms = Math.round(performance.now() - this.#turnedAt);
    // The time of a process that was stopped while it waited does not count.
    if (ms >= BLOCKED_MS && performance.eventLoopUtilization(this.#use).active >= BLOCKED_MS) {
      const running = Array.from(this.#running(), textOf);
      const tasks = [...this.#endedSince, ...running].slice(0, MOST_TOLD);
      publish("millrace:loop:blocked", () => ({ blockedMs: ms, tasks }));
      this.#log.warn({ ms, tasks }, `the event loop was blocked for ${ms} ms${tasks.length === 0 ? "" : `, by ${tasks.length === 1 ? "" : "one of "}${tasks.join(", ")}`}: MILLRACE_DEBUG=1 tells where`);
    }
    this.#turned();
  }

  #turned(): void {
    this.#turnedAt = performance.now();
    this.#use = performance.eventLoopUtilization();
    this.#endedSince = [];
  }
}

function textOf({ name, id }: Named): string {
  return `${name} ${id}`;
}
