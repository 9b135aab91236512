/**
 * Handlers that were told to end, were waited for, and run on. Their slots are free and their jobs settled; their code
 * nobody can stop, short of the process. One in a thread is ended with it, and is stuck only where even that fails.
 */
import { startTimer } from "../concurrency/timer.ts";
import type { Logger } from "../log.ts";
import { deliveryFacts, publish } from "../telemetry/channels.ts";
import type { DeliveredTask } from "../queue/delivered-task.ts";

export interface StuckTask {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly attempt: number;
  /** When it was no longer waited for. */
  readonly since: Date;
}

/** A thread takes a moment to end. */
const NOTICED_AFTER_MS = 500;

export class StuckTasks {
  readonly #log: Logger;
  readonly #stuck = new Set<StuckTask>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Those that still run, in the order in which they were given up. */
  list(): StuckTask[] {
    return [...this.#stuck];
  }

  /** @param work  settles when the handler has ended after all */
  add(task: DeliveredTask, queue: string, work: Promise<unknown>): void {
    const { id, name, attempt } = task;
    const stuck: StuckTask = Object.freeze({ id, name, queue, attempt, since: new Date() });
    const why = task.interruption?.message;
    const notice = (): void => {
      this.#stuck.add(stuck);
      publish("millrace:handler:stuck", () => deliveryFacts(queue, task.leased));
      this.#log.warn({ queue, job: name, id, why }, "a handler ignores its signal: its slot is free, and it runs on");
    };
    const callOff = startTimer(NOTICED_AFTER_MS, notice, { keepsAlive: false });
    const ended = (): void => {
      callOff();
      if (this.#stuck.delete(stuck)) this.#log.info({ queue, job: name, id, afterMs: Date.now() - stuck.since.getTime() }, "a handler that ignored its signal has ended after all");
    };
    work.then(ended, ended);
  }
}
