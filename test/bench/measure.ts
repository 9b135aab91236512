/** What is measured: each measure is taken of both subjects, in turn, once a round. */

/** One thing a subject is made to do, so often and so widely. */
export interface Measure {
  readonly name: string;
  readonly kind: "put" | "putMany" | "consume" | "latency";
  /** Puts in flight at once, or slots of the consumer. */
  readonly width: number;
  /** Jobs that count; a tenth more goes before them to warm up. */
  readonly jobs: number;
}

export const measures: readonly Measure[] = [
  { name: "put-1", kind: "put", width: 1, jobs: 3000 },
  { name: "put-100", kind: "put", width: 100, jobs: 30_000 },
  { name: "put-many", kind: "putMany", width: 1000, jobs: 50_000 },
  { name: "consume-1", kind: "consume", width: 1, jobs: 5000 },
  { name: "consume-100", kind: "consume", width: 100, jobs: 30_000 },
  { name: "consume-500", kind: "consume", width: 500, jobs: 30_000 },
  { name: "latency-idle", kind: "latency", width: 100, jobs: 300 },
];

/** Those of a name, or of the first words of it: "consume" is all that begin with "consume-". */
export function measuresOf(word: string): readonly Measure[] {
  return measures.filter(({ name }) => name === word || name.startsWith(`${word}-`));
}

/** The same with a tenth of the jobs: to see that it runs, not to learn a number. */
export function smaller(measure: Measure): Measure {
  return { ...measure, jobs: Math.ceil(measure.jobs / 10) };
}

export function warmUpOf({ jobs }: Measure): number {
  return Math.ceil(jobs / 10);
}

/** What one turn of one subject gives, by quantity. */
export interface Reading {
  readonly [quantity: string]: number;
}

/** How a quantity is read: a rate is better when it is higher, a cost or a delay when it is lower. */
export interface Quantity {
  readonly key: string;
  readonly label: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
}

export function quantitiesOf({ kind }: Measure): readonly Quantity[] {
  if (kind === "latency") {
    return [
      { key: "p50Us", label: "p50", unit: "us", better: "lower" },
      { key: "p99Us", label: "p99", unit: "us", better: "lower" },
    ];
  }
  const process = kind === "consume" ? "worker CPU" : "producer CPU";
  return [
    { key: "jobsPerSecond", label: "rate", unit: "jobs/s", better: "higher" },
    { key: "processUs", label: process, unit: "us/job", better: "lower" },
    { key: "redisUs", label: "Redis CPU", unit: "us/job", better: "lower" },
  ];
}
