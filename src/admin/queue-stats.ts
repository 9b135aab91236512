/** How one queue fares: its jobs by state, what happened of late, and how long its jobs waited and ran. */
import { check, checkOptions, type Duration } from "../options.ts";
import { readHistory, type History } from "../queue/history.ts";
import { countJobs, sumOf } from "../store/count.ts";
import { lookAtQueue } from "../store/queue-look.ts";
import { isPaused } from "../store/queue-settings.ts";
import type { Operator } from "./operator.ts";
import type { QueueRow } from "./queues.ts";

export interface QueueStats extends QueueRow {
  /** How long the job that waits longest has waited, in milliseconds; undefined when none does. */
  readonly oldestWaitingMs: number | undefined;
  /** Of the last hour, as far as they are kept. */
  readonly failedLastHour: number;
  /** What Millrace's producers and pools did; stock ones keep no history. */
  readonly history: Omit<History, "steps">;
}

export interface StatsOptions {
  /** How far back rates, wait and run times look: 10 s to 7 days. @default "5m" */
  readonly since?: Duration;
}

const HOUR_MS = 3_600_000;

/** @throws OptionError before any I/O; NotFoundError; BackendError */
export async function queueStats(operator: Operator, name: string, options?: StatsOptions): Promise<QueueStats> {
  const { since = 300_000 } = checkOptions("queueStats", options, { since: check.duration({ min: 10_000, max: 7 * 86_400_000 }) });
  const parts = await operator.parts(name);
  const [counts, paused, looks, { steps: _, ...history }] = await Promise.all([
    Promise.all(parts.map(countJobs)),
    isPaused(parts[0]!),
    Promise.all(parts.map((part) => lookAtQueue(part, HOUR_MS))),
    readHistory(parts, since),
  ]);
  const oldest = Math.min(...looks.map(({ oldestPutAt }) => oldestPutAt ?? Infinity));
  const oldestWaitingMs = oldest === Infinity ? undefined : Math.max(0, operator.connections.clock.now() - oldest);
  const failedLastHour = looks.reduce((sum, { failedSince }) => sum + failedSince, 0);
  return { queue: name, paused, ...sumOf(counts), oldestWaitingMs, failedLastHour, history };
}
