/** How late the event loop turns: Node measures it by a timer, and tells what that found since it was asked last. */
import { monitorEventLoopDelay } from "node:perf_hooks";

const RESOLUTION_MS = 20;
const NS_PER_MS = 1e6;

export class LoopDelay implements Disposable {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #last = { p99: 0, max: 0 };

  begin(): void {
    this.#histogram.enable();
  }

  /** In milliseconds; what was taken last. */
  get last(): { readonly p99: number; readonly max: number } {
    return this.#last;
  }

  /** What was found since it was called before. */
  take(): { readonly p99: number; readonly max: number } {
    const { count } = this.#histogram;
    this.#last = count === 0 ? { p99: 0, max: 0 } : { p99: lateMs(this.#histogram.percentile(99)), max: lateMs(this.#histogram.max) };
    this.#histogram.reset();
    return this.#last;
  }

  [Symbol.dispose](): void {
    this.#histogram.disable();
  }
}

/** It tells the time between two turns of its timer. */
function lateMs(ns: number): number {
  return Math.max(0, Math.round(ns / NS_PER_MS - RESOLUTION_MS));
}
