/** What a measure is: some work, who does it, and what the figures must reach. */
import type { SubjectName } from "./subject.ts";

export type Kind = "put" | "put-many" | "consume" | "latency" | "memory" | "start" | "demo" | "loop";

export interface Work {
  readonly kind: Kind;
  /** That count; half as many more go before them to warm up. */
  readonly jobs: number;
  /** Puts in flight at once, or slots of a consumer. */
  readonly width: number;
  readonly payloadBytes: number;
  /** Completed jobs that are kept. */
  readonly keep: number;
  /** A handler waits up to so long; 0 is a handler that does nothing. */
  readonly handlerMs: number;
  readonly schema: boolean;
  /** Jobs that still wait when the last one that counts is consumed. */
  readonly waiting: number;
  /** Processes that consume. */
  readonly processes: number;
  readonly queues: number;
  /** Puts a second; 0 puts the next one when the last has been consumed. */
  readonly pace: number;
}

export interface Side {
  /** What the table calls it. */
  readonly label: string;
  readonly subject: SubjectName;
  readonly work: Work;
}

/** What a figure must reach, itself or as a ratio. */
export interface Goal {
  readonly quantity: string;
  readonly least?: number;
  readonly most?: number;
}

export interface Other {
  readonly side: Side;
  /** For the ratio of the first side by this one. */
  readonly goals: readonly Goal[];
}

export interface Measure {
  readonly name: string;
  readonly title: string;
  /** The one that is measured; ratios are its figures by those of the others. */
  readonly first: Side;
  readonly others: readonly Other[];
  /** For the first side's own figures. */
  readonly goals: readonly Goal[];
  /** It does not vary, or takes long: one round will do. */
  readonly once: boolean;
  /** It is a point of a curve, whose rate alone is told. */
  readonly point?: { readonly curve: string; readonly x: number };
}

/** What one turn of one side gives, by quantity. */
export type Reading = Readonly<Record<string, number>>;

export interface Quantity {
  readonly key: string;
  readonly label: string;
  readonly unit: string;
}

const consumed = [
  { key: "jobsPerSecond", label: "rate", unit: "jobs/s" },
  { key: "processUs", label: "worker CPU", unit: "us/job" },
  { key: "storeUs", label: "server CPU", unit: "us/job" },
];
const put = [
  { key: "jobsPerSecond", label: "rate", unit: "jobs/s" },
  { key: "processUs", label: "producer CPU", unit: "us/job" },
  { key: "storeUs", label: "server CPU", unit: "us/job" },
];

const program = [
  { key: "seconds", label: "time", unit: "s" },
  { key: "cpuSeconds", label: "CPU, the server's too", unit: "s" },
];

/** By what a kind of work is judged. */
export const quantities: Readonly<Record<Kind, readonly Quantity[]>> = {
  consume: consumed,
  put,
  "put-many": put,
  latency: [
    { key: "p50Us", label: "p50", unit: "us" },
    { key: "p99Us", label: "p99", unit: "us" },
  ],
  memory: [{ key: "bytes", label: "memory", unit: "bytes/job" }],
  start: [
    { key: "startMs", label: "to the first job", unit: "ms" },
    { key: "startCpuMs", label: "CPU to the first job", unit: "ms" },
    { key: "residentMb", label: "resident memory", unit: "MB" },
  ],
  demo: program,
  loop: program,
};

export function sidesOf({ first, others }: Measure): readonly Side[] {
  return [first, ...others.map(({ side }) => side)];
}

export function warmUpOf({ jobs }: Work): number {
  return Math.ceil(jobs / 2);
}

/** The same with a tenth of the jobs: to see that it runs, not to learn a number. */
export function smaller(work: Work): Work {
  return { ...work, jobs: Math.ceil(work.jobs / 10), waiting: Math.ceil(work.waiting / 10) };
}
