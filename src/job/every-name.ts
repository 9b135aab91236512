/** The contract of every job of a queue, whatever its name: what a processor takes that was written for BullMQ's Worker. */
import { jobOf, typed, type Job } from "./contract.ts";
import type { KeepDefinition, StockRules } from "./definition.ts";
import type { QueueDef } from "./queue-def.ts";

/** Stands for every name that no other handler takes. */
export const EVERY_NAME = "*";

/** What a stock Worker does with a job that says nothing: one attempt, the next one at once, and all is kept. */
export function everyName(queue: QueueDef, stock: StockRules, keep: { readonly completed: KeepDefinition; readonly failed: KeepDefinition }): Job {
  return jobOf(
    Object.freeze({
      name: EVERY_NAME,
      queue,
      version: 1,
      payload: typed<unknown>(),
      previous: {},
      attempts: 1,
      backoff: Object.freeze({ type: "fixed", baseMs: 0, maxMs: 0, jitter: 0 }),
      keep: Object.freeze(keep),
      stock: Object.freeze(stock),
    }),
  );
}
