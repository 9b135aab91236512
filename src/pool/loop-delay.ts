/** How late the event loop turns: Node measures it by a timer, and tells what that found since it was asked last. */
import { monitorEventLoopDelay } from "node:perf_hooks";

/** Blocks that are longer are always found; each look costs an idle process some 40 us. */
const RESOLUTION_MS = 50;
const NS_PER_MS = 1e6;

export class LoopDelay implements Disposable {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #last = { p99: 0, max: 0 };
  #resetAt = performance.now();
  #isBegun = false;

  begin(): void {
    this.#isBegun = true;
    this.#histogram.enable();
    this.#resetAt = performance.now();
  }

  /** In milliseconds; what was taken last. */
  get last(): { readonly p99: number; readonly max: number } {
    return this.#last;
  }

  /** What was found since it was called before. */
  take(): { readonly p99: number; readonly max: number } {
    const { count, mean } = this.#histogram;
    const [p99, max] = count === 0 ? [0, 0] : [lateMs(this.#histogram.percentile(99)), lateMs(this.#histogram.max)];
    const now = performance.now();
    // Who asks may be due at the end of a block before Node's timer is: what nobody has measured is the block. A reset forgets it.
    const unmeasuredMs = Math.round(now - this.#resetAt - (count === 0 ? 0 : (count * mean) / NS_PER_MS) - 2 * RESOLUTION_MS);
    this.#last = { p99, max: Math.max(max, this.#isBegun ? unmeasuredMs : 0, 0) };
    this.#histogram.reset();
    this.#resetAt = now;
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
