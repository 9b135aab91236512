/** What is to become of a delivery, as the turn script is told of it. */
import { packValues } from "../redis/script.ts";
import type { Leased } from "./reserve-script.ts";
import { packBound, type Retention } from "./retention-script.ts";
import type { StoredJob } from "./stored-job.ts";

/** What is to become of a delivery. */
export type Settlement = { readonly leased: Leased } & (
  /** `isUnsure`: it may be to be cancelled, and the request goes with it; or its processor may have given it children. */
  | { readonly kind: "ack"; readonly result: string; readonly keep: Retention; readonly isUnsure?: boolean }
  /** For good: the job becomes a dead letter. */
  | { readonly kind: "fail"; readonly reason: string; readonly stack: readonly string[]; readonly attempts: number; readonly keep: Retention }
  | { readonly kind: "retry"; readonly reason: string; readonly stack: readonly string[]; readonly delayMs: number }
  /** Given back, no attempt spent. `unknown` notes since when nobody knew its name or version; `limitedForMs`: so long the queue is rate limited. */
  | { readonly kind: "release"; readonly delayMs: number; readonly unknown?: boolean; readonly limitedForMs?: number }
);

/** What the script says of a settlement. */
export const SETTLE_CODES = Object.freeze({ done: 0, leftToStock: 1, refused: 2 });

export type SettleCode = number | string;

/**
 * What the script takes of the settlements: of each its id, and what is to become of it, or `false` where that is the same as of the one before. They stand
 * one behind the other, which Redis unpacks for half of what a list of them costs.
 */
export function packSettlements(settlements: readonly Settlement[]): Buffer {
  const values: unknown[] = [];
  let last: readonly unknown[] = [];
  for (const settlement of settlements) {
    const row = rowOf(settlement);
    values.push(settlement.leased.job.id);
    if (row.every((value, n) => value === last[n])) values.push(false);
    else values.push(...row);
    last = row;
  }
  return packValues(values);
}

/** Where a row's values stand; some have another meaning by kind. */
export const AT = Object.freeze({ token: 0, starts: 1, kind: 2, value: 3, first: 4, second: 5, text: 6, limit: 7 });
export const WIDTH = 8;

function rowOf(settlement: Settlement): unknown[] {
  const { job, token } = settlement.leased;
  const { starts } = job;
  switch (settlement.kind) {
    case "ack": {
      const made = standsAlone(job) && settlement.isUnsure !== true ? String(job.attemptsMade + 1) : "";
      return [token, starts, 1, settlement.result, packBound(settlement.keep.count), packBound(settlement.keep.ageMs), made, 0];
    }
    case "fail":
      return [token, starts, 2, settlement.reason, packBound(settlement.keep.count), packBound(settlement.keep.ageMs), JSON.stringify(settlement.stack), settlement.attempts];
    case "retry":
      return [token, starts, 3, settlement.reason, packDelay(settlement.delayMs), job.options.lifo === true ? 1 : 0, JSON.stringify(settlement.stack), 0];
    case "release":
      return [token, starts, 4, "", packDelay(settlement.delayMs), settlement.unknown === true ? 1 : 0, "", 0];
  }
}

/** What somebody's own strategy made of a delay may be anything, and must not stop the script half-way. */
function packDelay(value: unknown): number {
  return typeof value === "number" && value > 0 ? Math.round(value) : 0;
}

/**
 * Whether what the reservation showed of a job still tells that it waits for nobody, and nobody for it: it was put by us,
 * under no parent and no deduplication id. Others a flow may have made its own since.
 */
function standsAlone({ version, isLinked }: StoredJob): boolean {
  return version !== undefined && !isLinked;
}
