/**
 * What Prometheus scrapes of a process: it listens at the channels, in prom-client's words. Loaded only where somebody may
 * ask, since every event is made then.
 *
 * Labels are bounded: beyond so many names of jobs, which stock producers may make up at will, the rest is one, `other`.
 */
import type { Gauge, MetricObjectWithValues, MetricValue } from "prom-client";
import { listen, type DeliveryFacts, type JobFacts, type Outcome } from "./channels.ts";

/** Read when it is scraped. */
export interface MetricsSource {
  readonly worker: () => { readonly running: number; readonly stuck: number; readonly ready: boolean; readonly redis: boolean };
  /** Jobs by state of each queue; none where Redis does not tell. */
  readonly queues: () => Promise<readonly { readonly queue: string; readonly jobs: Readonly<Record<string, number>> }[]>;
}

/** What a process hands to another one, which tells it in its stead. */
export type MetricsData = readonly MetricObjectWithValues<MetricValue<string>>[];

export interface Metrics extends Disposable {
  readonly data: () => Promise<MetricsData>;
}

export interface Scrape {
  readonly contentType: string;
  readonly body: string;
}

const MOST_NAMES = 200;const QUEUE_JOBS = "millrace_queue_jobs";
/** From half a millisecond to ten minutes, then hours; in seconds, as Prometheus has it. */
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600, 3600, 21_600];
const OUTCOMES: { readonly [O in Outcome]: string } = {
  completed: "Jobs that completed.",
  failed: "Jobs that failed for good: dead letters.",
  retried: "Attempts that failed and are tried again.",
  cancelled: "Jobs that ended as cancelled.",
  released: "Deliveries that were given back, no attempt spent.",
  lost: "Deliveries that ended after their lease had passed on.",
};

/** Counts from now on. */
export async function openMetrics(source: MetricsSource): Promise<Metrics> {
  const { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } = await import("prom-client");
  const register = new Registry();
  const registers = [register];
  collectDefaultMetrics({ register });
  const labelNames = ["queue", "job"] as const;
  const counter = (name: string, help: string) => new Counter({ name: `millrace_${name}_total`, help, labelNames, registers });
  const seconds = (name: string, help: string) => new Histogram({ name: `millrace_job_${name}_seconds`, help, labelNames, buckets: SECONDS, registers });
  const put = counter("jobs_put", "Jobs that Redis acknowledged to producers of this process.");
  const started = counter("jobs_started", "Deliveries that began.");
  const recovered = counter("jobs_recovered", "Jobs that were taken from workers that were lost.");
  const ended = Object.entries(OUTCOMES).map(([outcome, help]) => [outcome, counter(`jobs_${outcome}`, help)] as const);
  const counterOf = new Map<string, (typeof ended)[number][1]>(ended);
  const waited = seconds("wait", "How long jobs were ready before their first delivery began.");
  const ran = seconds("run", "How long tasks ran.");
  const blocked = new Counter({ name: "millrace_event_loop_blocked_seconds_total", help: "Time for which the event loop did not turn, a second or more at once.", registers });
  gauges(source, (name, help, labels, collect) => new Gauge({ name, help, labelNames: labels, registers, collect, aggregator: "first" }));

  const labelsOf = boundedLabels();
  const calledOff = [
    listen("millrace:job:put", (event) => put.inc(labelsOf(event))),
    listen("millrace:job:recovered", (event) => recovered.inc(labelsOf(event))),
    listen("millrace:loop:blocked", ({ blockedMs }) => blocked.inc(blockedMs / 1000)),
    listen("millrace:delivery:started", (event) => {
      const labels = labelsOf(event);
      started.inc(labels);
      if (event.waitMs !== undefined) waited.observe(labels, event.waitMs / 1000);
    }),
    listen("millrace:delivery:ended", (event) => {
      const labels = labelsOf(event);
      counterOf.get(event.outcome)?.inc(labels);
      if (event.runMs !== undefined) ran.observe(labels, event.runMs / 1000);
    }),
  ];
  return {
    data: () => register.getMetricsAsJSON(),
    [Symbol.dispose]() {
      for (const callOff of calledOff) callOff();
      register.clear();
    },
  };
}

/**
 * What is told of several processes: each value with its process as the label `worker`, but for what they all tell alike.
 *
 * @param processes  without data where one did not answer
 */
export async function scrape(processes: readonly { readonly worker: string; readonly data: MetricsData | undefined }[]): Promise<Scrape> {
  const { AggregatorRegistry, Gauge } = await import("prom-client");
  const labelled = processes.map(({ worker, data = [] }) =>
    data.map((metric) => ({
      ...metric,
      aggregator: "first" as const,
      values: metric.name === QUEUE_JOBS ? metric.values : metric.values.map((value) => ({ ...value, labels: { worker, ...value.labels } })),
    })),
  );
  const registry = AggregatorRegistry.aggregate(labelled);
  const up = new Gauge({ name: "millrace_worker_up", help: "1 where a process answers, 0 where one does not.", labelNames: ["worker"], registers: [registry] });
  for (const { worker, data } of processes) up.set({ worker }, data === undefined ? 0 : 1);
  return { contentType: registry.contentType, body: await registry.metrics() };
}

type MakeGauge = (name: string, help: string, labels: string[], collect: (this: Gauge) => void | Promise<void>) => unknown;

function gauges({ worker, queues }: MetricsSource, make: MakeGauge): void {
  const simple = (name: string, help: string, value: () => number): void => {
    make(name, help, [], function () {
      this.set(value());
    });
  };
  simple("millrace_tasks_running", "Tasks that run now.", () => worker().running);
  simple("millrace_handlers_stuck", "Handlers that ignored their signal and run on.", () => worker().stuck);
  simple("millrace_worker_ready", "1 while it takes jobs.", () => Number(worker().ready));
  simple("millrace_redis_connected", "1 while its connection to Redis stands.", () => Number(worker().redis));
  make(QUEUE_JOBS, "Jobs of the queue by state, whoever put them.", ["queue", "state"], async function () {
    this.reset();
    for (const { queue, jobs } of await queues()) for (const [state, count] of Object.entries(jobs)) this.set({ queue, state }, count);
  });
}

/** One object a queue and name, made once. */
function boundedLabels(): (of: JobFacts | DeliveryFacts) => { queue: string; job: string } {
  const known = new Map<string, Map<string, { queue: string; job: string }>>();
  let names = 0;
  return ({ queue, job }) => {
    let ofQueue = known.get(queue);
    if (ofQueue === undefined) known.set(queue, (ofQueue = new Map()));
    const labels = ofQueue.get(job);
    if (labels !== undefined) return labels;
    if (names >= MOST_NAMES) return { queue, job: OTHER };
    names += 1;
    const made = { queue, job };
    ofQueue.set(job, made);
    return made;
  };
}

const OTHER = "other";
