/** The worker process's side of its supervisor: it tells how it fares, takes orders, and notices when nobody is there any more. */
import { startTicker } from "../concurrency/timer.ts";
import { PLACE_VARIABLE, type Order, type Steer, type ToSupervisor, type ToWorker, type WorkerReport } from "./supervision.ts";

const REPORT_MS = 1000;

export interface Obedience {
  readonly onOrder: (order: Order) => void;
  readonly onSteer: (steer: Steer) => void;
  /** The supervisor is gone, as after `kill -9`. */
  readonly onOrphaned: () => void;
}

export class Supervised {
  /** From 1; that of the process whose place this one takes is the same. */
  readonly place: number;
  #report: (() => WorkerReport) | undefined;

  private constructor(place: number) {
    this.place = place;
  }

  /** `undefined` where this process has no supervisor. What it starts itself is not to think that it has one. */
  static here(): Supervised | undefined {
    const place = Number(process.env[PLACE_VARIABLE]);
    delete process.env[PLACE_VARIABLE];
    return process.send === undefined || !(place >= 1) ? undefined : new Supervised(place);
  }

  /** What was ordered before this call is told now. */
  obey({ onOrder, onSteer, onOrphaned }: Obedience): void {
    process.on("message", (message: ToWorker | null) => {
      const told = message?.millrace;
      if (told === undefined) return;
      if ("by" in told) onOrder(told);
      else onSteer(told);
    });
    if (process.connected) process.once("disconnect", onOrphaned);
    else onOrphaned();
  }

  /** Answers with what `read` gives, whenever it is asked for metrics. */
  answerMetrics(read: () => Promise<object>): void {
    const answer = async (): Promise<void> => {
      const message: ToSupervisor = { millraceMetrics: await read() };
      if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
    };
    process.on("message", (message: ToWorker | null) => {
      if (message?.millraceAsks === "metrics") void answer().catch(() => undefined);
    });
  }

  /** Tells what `report` gives, now and every second. */
  keepTelling(report: () => WorkerReport): void {
    this.#report = report;
    startTicker(REPORT_MS, () => this.tell(), { keepsAlive: false });
    this.tell();
  }

  tell(): void {
    if (this.#report === undefined || !process.connected) return;
    const message: ToSupervisor = { millrace: this.#report() };
    // Who is not there to hear it has been noticed already.
    process.send?.(message, undefined, undefined, () => undefined);
  }
}
