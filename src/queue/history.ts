/** What happened in a queue of late: rates, and how long its jobs waited and ran, over all processes. */
import { HISTORY_MS, readHistorySteps } from "../store/history.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import type { Histogram } from "../telemetry/histogram.ts";
import { COUNTED, Tally, type Counted } from "../telemetry/tally.ts";

/** In milliseconds, within 12 %. */
export interface Times {
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

export interface History {
  /** What it tells of, by the server's clock, in milliseconds: all that is asked for, or since the queue has a history. The last five seconds may not be in it yet. */
  readonly from: number;
  readonly to: number;
  /** Of Millrace's producers and pools; `started` counts deliveries. */
  readonly counts: Readonly<Record<Counted, number>>;
  /** Over all of that time. */
  readonly perSecond: Readonly<Record<Counted, number>>;
  /**
   * Jobs that became ready a second, whoever put them: by how the backlog changed, and what ended. `undefined` where no
   * pool has told of the backlog for a step.
   */
  readonly arrivalsPerSecond: number | undefined;
  /** Of first deliveries, from when they were ready; `undefined` where none began. */
  readonly wait: Times | undefined;
  /** Of tasks that ended. */
  readonly run: Times | undefined;
  /** Ten seconds for at most an hour back, else five minutes. */
  readonly stepMs: number;
  /** Oldest first, without those in which nothing happened and nothing waited. */
  readonly steps: readonly { readonly at: number; readonly backlog: number; readonly counts: Readonly<Record<Counted, number>> }[];
}

export { HISTORY_MS };

/** The shortest step. */
const LEAST_MS = 10_000;

/**
 * @param queues   the queues of Redis that are one queue
 * @param sinceMs  how far back, in milliseconds: at most seven days
 * @throws BackendError
 */
export async function readHistory(queues: StoredQueue | readonly StoredQueue[], sinceMs: number): Promise<History> {
  const found = await Promise.all([queues].flat().map((queue) => readHistorySteps(queue, sinceMs)));
  const { stepMs, to, ...window } = found[0]!;
  const began = Math.min(...found.map(({ beganAt }) => beganAt ?? Infinity));
  const from = began === Infinity ? window.from : Math.max(window.from, began);
  const all = new Tally();
  const byInstant = Map.groupBy(found.flatMap(({ steps }) => steps), ({ at }) => at);
  const told = [...byInstant].toSorted(([a], [b]) => a - b).map(([at, steps]) => {
    const tally = new Tally();
    for (const { fields } of steps) {
      tally.add(fields);
      all.add(fields);
    }
    return { at, backlog: steps.reduce((sum, { backlog }) => sum + backlog, 0), counts: tally.counts };
  });
  // When within a step things happened was not written down.
  const seconds = Math.max(to - from, LEAST_MS) / 1000;
  const perSecond = Object.fromEntries(COUNTED.map((name) => [name, all.counts[name] / seconds])) as Record<Counted, number>;
  return { from, to, counts: all.counts, perSecond, arrivalsPerSecond: arrivals(told, stepMs, to), wait: times(all.wait), run: times(all.run), stepMs, steps: told };
}

/** From the end of the first step on: what its backlog was before, nobody told. */
function arrivals(told: History["steps"], stepMs: number, to: number): number | undefined {
  const [first, ...later] = told;
  const last = later.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const ended = later.reduce((sum, { counts }) => sum + endedOf(counts), 0);
  const seconds = (to - first.at - stepMs) / 1000;
  return seconds > 0 ? Math.max(0, last.backlog - first.backlog + ended) / seconds : undefined;
}

/** Deliveries that ended, in whatever way. */
export function endedOf({ completed, failed, retried, cancelled, released }: History["counts"]): number {
  return completed + failed + retried + cancelled + released;
}

function times(histogram: Histogram): Times | undefined {
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => histogram.percentile(share));
  return p50 === undefined ? undefined : { mean: histogram.mean!, p50, p95: p95!, p99: p99! };
}
