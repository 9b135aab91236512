/** What one process sees happen in one queue: counted in place, and told to whoever subscribes. On the way of every job. */
import { deliveryFacts, publish, type Delivered } from "./channels.ts";
import { Tally } from "./tally.ts";

/** How a delivery ended, and why. */
export type End =
  | { readonly outcome: "completed" | "released" }
  | { readonly outcome: "lost" }
  | { readonly outcome: "failed" | "cancelled"; readonly reason: string }
  | { readonly outcome: "retried"; readonly reason: string; readonly delayMs: number };

export class QueueMeter {
  readonly queue: string;
  /** A pool lives on the queue in this process. */
  isConsumed = false;
  #tally = new Tally();
  #isNews = false;

  constructor(queue: string) {
    this.queue = queue;
  }

  put(job: string, id: string): void {
    this.#isNews = true;
    this.#tally.counts.put += 1;
    publish("millrace:job:put", () => ({ queue: this.queue, job, id }));
  }

  /** @param waitMs  how long it was ready before; `undefined` where that is not known */
  started(delivered: Delivered, waitMs: number | undefined): void {
    this.#isNews = true;
    this.#tally.counts.started += 1;
    if (waitMs !== undefined) this.#tally.wait.record(waitMs);
    publish("millrace:delivery:started", () => ({ ...deliveryFacts(this.queue, delivered), waitMs }));
  }

  /** @param runMs  how long its task ran; `undefined` where it did not run here */
  ended(delivered: Delivered, end: End, runMs: number | undefined): void {
    const { outcome } = end;
    if (outcome !== "lost") this.#tally.counts[outcome] += 1;
    if (runMs !== undefined) this.#tally.run.record(runMs);
    this.#isNews = true;
    publish("millrace:delivery:ended", () => ({ ...deliveryFacts(this.queue, delivered), outcome, runMs }));
    if (outcome === "retried") publish("millrace:job:retried", () => ({ ...deliveryFacts(this.queue, delivered), reason: end.reason, delayMs: end.delayMs }));
    else if (outcome === "failed") publish("millrace:job:dead", () => ({ ...deliveryFacts(this.queue, delivered), reason: end.reason }));
    else if (outcome === "cancelled") publish("millrace:job:cancelled", () => ({ ...deliveryFacts(this.queue, delivered), reason: end.reason }));
  }

  recovered(delivered: Delivered, worker: string | undefined, crashes: number): void {
    publish("millrace:job:recovered", () => ({ ...deliveryFacts(this.queue, delivered), worker, crashes }));
  }

  leaseLost(delivered: Delivered): void {
    publish("millrace:lease:lost", () => deliveryFacts(this.queue, delivered));
  }

  /** What was counted since the last call; `undefined` when nothing was. */
  take(): Tally | undefined {
    if (!this.#isNews) return undefined;
    const taken = this.#tally;
    this.#tally = new Tally();
    this.#isNews = false;
    return taken;
  }

  /** Counts again what was taken, and could not be written down. */
  giveBack(tally: Tally): void {
    this.#tally.add(tally.fields());
    this.#isNews = true;
  }
}
