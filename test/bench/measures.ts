/** All that is measured, as data. */
import type { Goal, Measure, Other, Side, Work } from "./measure.ts";
import { type SubjectName, titles } from "./subject.ts";

/** Of a measure's jobs, what a slower subject is given, so that its turn takes seconds and not a minute. */
const shares: Partial<Record<SubjectName, number>> = { "pg-boss": 0.5, "graphile-worker": 0.5 };

const atLeast = (least: number) => ({ least });
const atMost = (most: number) => ({ most });
/** Goals stand with the side that the first one's figures are taken by. */
const rate = (least: number) => ({ jobsPerSecond: atLeast(least) });
const time = { p50Us: atMost(1), p99Us: atMost(1) };
/** What telemetry may cost at its defaults: 5 %. */
const cost = { ...rate(0.95), processUs: atMost(1.05) };
/** What being seen and steered may cost: 1 %. */
const glance = { ...rate(0.99), processUs: atMost(1.01) };

const peers = { "bee-queue": rate(1), "pg-boss": rate(1), "graphile-worker": rate(1) };

/** Seconds of the faster ones, beyond the first: see `warmUpOf`. */
const MANY = 200_000;
const ONE_BY_ONE = 30_000;

export const measures: readonly Measure[] = [
  beside("consume-1", "consume, 1 slot", work("consume", { width: 1, jobs: ONE_BY_ONE }), { stock: rate(1.4), streams: {} }),
  beside("consume-100", "consume, 100 slots", consume100(), {
    stock: { ...rate(3), processUs: atMost(0.2), storeUs: atMost(0.4) },
    ...peers,
    streams: rate(0.35),
  }),
  beside("consume-500", "consume, 500 slots", work("consume", { width: 500, jobs: MANY }), { stock: rate(3.3) }),
  beside("consume-100-keep", "consume, 100 slots, the last 1000 kept", consume100({ keep: 1000 }), { stock: rate(2.2) }),
  beside("consume-100-1kib", "consume, 100 slots, payload of 1 KiB", consume100({ payloadBytes: 1024 }), { stock: rate(2.2) }),
  beside("consume-500-waits", "consume, 500 slots, a handler of 0-10 ms", work("consume", { width: 500, jobs: MANY, handlerMs: 10 }), { stock: rate(2.2) }),
  beside("consume-100-schema", "consume, 100 slots, as users get it: with a schema", consume100({ schema: true, keep: 1000 }), { stock: rate(2.5) }),
  beside("drop-in-consume", "a stock Worker with our backend, 100 slots", consume100(), { stock: rate(1.8) }, "drop-in"),
  beside("drop-in-add", "a stock Queue with our backend, add 100 in flight", work("put", { width: 100, jobs: MANY }), { stock: rate(1.4) }, "drop-in"),
  beside("put-1", "put, 1 in flight", work("put", { width: 1, jobs: ONE_BY_ONE }), { stock: rate(1.3), streams: {} }),
  beside("put-100", "put, 100 in flight", work("put", { width: 100, jobs: MANY }), { stock: rate(1.5) }),
  beside("put-1000", "put, 1000 in flight", work("put", { width: 1000, jobs: MANY }), { stock: rate(2) }),
  beside("put-many", "putMany of 100,000", work("put-many", { jobs: 100_000 }), { stock: rate(3), ...peers }),
  beside("latency-idle", "put to handler, idle", work("latency", { width: 100, jobs: 500 }), { stock: time }),
  beside("latency-2000", "put to handler, at 2,000 jobs/s", work("latency", { width: 100, jobs: 8000, pace: 2000 }), { stock: time }),
  { ...beside("memory", "a million waiting jobs", work("put-many", { kind: "memory", jobs: 1_000_000 }), { stock: { bytes: atMost(1.1) } }), once: true },
  growth("growth-waiting", "consume, 100 slots, jobs that wait meanwhile", [1_000_000, 100_000, 1000].map((waiting) => [`${whole(waiting)} waiting`, consume100({ waiting })])),
  ...curve("growth-slots", "slots", [1, 10, 100, 500, 1000, 2000], (width) => work("consume", { width, jobs: Math.min(50_000, 10_000 * width) })),
  ...curve("growth-processes", "processes of 100 slots", [1, 2], (processes) => consume100({ processes, jobs: 50_000, waiting: 25_000 })),
  ...curve("growth-queues", "queues that share 100 slots", [1, 10, 100], (queues) => consume100({ queues, jobs: 50_000, waiting: 25_000 })),
  beside("telemetry-100", "consume, 100 slots: what telemetry costs", consume100(), { untold: cost, scraped: {} }),
  beside("telemetry-500", "consume, 500 slots: what telemetry costs", work("consume", { width: 500, jobs: MANY }), { untold: cost }),
  beside("telemetry-put", "putMany: what telemetry costs", work("put-many", { jobs: 100_000 }), { untold: cost }),
  beside("control-100", "consume, 100 slots: what being seen and steered costs", consume100(), { unseen: glance }),
  {
    ...beside("start", "start of a worker process, the built package", work("start", {}), { stock: {} }),
    goals: [{ quantity: "startMs", most: 400 }, { quantity: "residentMb", most: 130 }],
  },
  {
    name: "demo",
    title: "millrace demo, 50,000 files of 4 KiB",
    first: { label: "millrace demo", subject: "millrace", work: work("demo", { jobs: 50_000 }) },
    others: [
      { side: { label: "a plain loop without a queue", subject: "millrace", work: work("loop", { jobs: 50_000 }) }, goals: [{ quantity: "seconds", most: 1.5 }] },
      { side: { label: "the same, as many at once as the demo", subject: "millrace", work: work("loop", { jobs: 50_000, width: 128 }) }, goals: [] },
    ],
    goals: [],
    once: false,
  },
];

/** The one of that name; else all of whose names it is the first words: "put" is all that begin with "put-". */
export function measuresOf(word: string): readonly Measure[] {
  const named = measures.filter(({ name }) => name === word);
  return named.length > 0 ? named : measures.filter(({ name }) => name.startsWith(`${word}-`));
}

function work(kind: Work["kind"], more: Partial<Work>): Work {
  return { kind, jobs: 1, width: 1, payloadBytes: 200, keep: 0, handlerMs: 0, schema: false, waiting: 0, processes: 1, queues: 1, pace: 0, ...more };
}

function consume100(more: Partial<Work> = {}): Work {
  return work("consume", { width: 100, jobs: MANY, ...more });
}

/** One beside others, all at the same work. */
function beside(name: string, title: string, same: Work, others: Readonly<Partial<Record<SubjectName, Bounds>>>, first: SubjectName = "millrace"): Measure {
  const of = (subject: SubjectName): Side => ({ label: titles[subject], subject, work: { ...same, jobs: Math.ceil(same.jobs * (shares[subject] ?? 1)) } });
  return {
    name,
    title,
    first: of(first),
    others: (Object.entries(others) as [SubjectName, Bounds][]).map(([subject, bounds]): Other => ({ side: of(subject), goals: goalsOf(bounds) })),
    goals: [],
    once: false,
  };
}

/** Millrace beside itself with less to bear: flat within 10 %. */
function growth(name: string, title: string, works: readonly (readonly [label: string, Work])[]): Measure {
  const [first, ...others] = works.map(([label, each]): Side => ({ label, subject: "millrace", work: each }));
  return { name, title, first: first!, others: others.map((side): Other => ({ side, goals: goalsOf(rate(0.9)) })), goals: [], once: false };
}

/** Millrace beside stock BullMQ, with more and more of something. */
function curve(name: string, title: string, xs: readonly number[], workAt: (x: number) => Work): Measure[] {
  return xs.map((x) => ({ ...beside(`${name}-${x}`, `${title}: ${whole(x)}`, workAt(x), { stock: {} }), point: { curve: title, x } }));
}

type Bounds = Readonly<Record<string, Omit<Goal, "quantity">>>;

function goalsOf(bounds: Bounds): Goal[] {
  return Object.entries(bounds).map(([quantity, bound]) => ({ quantity, ...bound }));
}

function whole(count: number): string {
  return new Intl.NumberFormat("en").format(count);
}
