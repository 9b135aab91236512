/** What happened in one queue since it was asked last: counts and durations, ready to be added to those of others. */
import { Histogram } from "./histogram.ts";

export const COUNTED = Object.freeze(["put", "started", "completed", "failed", "retried", "cancelled", "released"] as const);
export type Counted = (typeof COUNTED)[number];

/** How the buckets of a histogram are named: `w17` counts waits, `r17` runs. */
const WAIT = "w";
const RUN = "r";

export class Tally {
  readonly counts: Record<Counted, number> = { put: 0, started: 0, completed: 0, failed: 0, retried: 0, cancelled: 0, released: 0 };
  readonly wait = new Histogram();
  readonly run = new Histogram();

  /** By field, those that are not 0: how it is written down, and added to what others wrote. */
  *fields(): Generator<[field: string, count: number]> {
    for (const name of COUNTED) if (this.counts[name] > 0) yield [name, this.counts[name]];
    for (const [bucket, count] of this.wait.buckets()) yield [WAIT + bucket, count];
    for (const [bucket, count] of this.run.buckets()) yield [RUN + bucket, count];
  }

  /** Adds what was written down; fields that are not of a tally are passed over. */
  add(fields: Iterable<readonly [field: string, count: number]>): void {
    for (const [field, count] of fields) {
      if (Object.hasOwn(this.counts, field)) this.counts[field as Counted] += count;
      else if (/^w\d+$/.test(field)) this.wait.add(Number(field.slice(WAIT.length)), count);
      else if (/^r\d+$/.test(field)) this.run.add(Number(field.slice(RUN.length)), count);
    }
  }
}
