/** What a worker answers to Prometheus: one process, and a supervisor for all of its own. */
import type { Queue } from "../queue/queue.ts";
import type { WorkerReport } from "../pool/supervision.ts";
import type { WorkerProcess } from "../pool/worker-process.ts";
import { openMetrics, scrape, type Metrics, type MetricsData, type Scrape } from "../telemetry/prometheus.ts";

/** Of one process that has no supervisor: its own place. */
const FIRST = "1";
/** A process that does not answer within this is told as one that is not up. */
const ANSWER_MS = 2000;

/**
 * Counts from now on.
 *
 * @param report  how the process fares
 * @param queues  those that it works on, once it does
 */
export function openWorkerMetrics(report: () => WorkerReport, queues: () => readonly Queue[]): Promise<Metrics> {
  const jobsOf = async (queue: Queue): Promise<{ queue: string; jobs: Record<string, number> }> => {
    const { unfinished: _, ...jobs } = await queue.counts();
    return { queue: queue.name, jobs };
  };
  return openMetrics({
    worker: () => {
      const { running, stuck, state, redis } = report();
      return { running, stuck, ready: state === "ready", redis };
    },
    queues: async () => (report().redis ? Promise.all(queues().map(jobsOf)).catch(() => []) : []),
  });
}

export async function scrapeOne(metrics: Metrics): Promise<Scrape> {
  return scrape([{ worker: FIRST, data: await metrics.data() }]);
}

/** Of the process that was started last in each place: an older one is only ending. */
export async function scrapeAll(workers: readonly WorkerProcess[]): Promise<Scrape> {
  const newest = [...new Map(workers.map((worker) => [worker.place, worker])).values()];
  const answers = await Promise.all(newest.map(async (worker) => ({ worker: String(worker.place), data: (await worker.metrics(ANSWER_MS)) as MetricsData | undefined })));
  return scrape(answers);
}
