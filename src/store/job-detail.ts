/** All that Redis holds of one job, for the operator's eyes. */
import type { JobState } from "../job/state.ts";
import { asBackendError } from "../redis/errors.ts";
import { inspectJobs } from "./inspect.ts";
import { readStoredJob, type StoredJob } from "./stored-job.ts";
import type { StoredQueue } from "./stored-queue.ts";

export interface JobDetail {
  readonly stored: StoredJob;
  readonly state: JobState;
  readonly startedAt: number | undefined;
  readonly finishedAt: number | undefined;
  readonly dueAt: number | undefined;
  /** As JSON, both. */
  readonly result: string | undefined;
  readonly progress: string | undefined;
  readonly reason: string | undefined;
  /** Who took it last. */
  readonly worker: string | undefined;
  /** Until its lease runs out; undefined where it has none. */
  readonly leaseMs: number | undefined;
  readonly logLines: number;
  /** `prefix:queue:id` of the job that waits for this one. */
  readonly parentKey: string | undefined;
  /** Jobs that it waits for. */
  readonly pendingChildren: number;
}

/** @returns undefined when there is no such job. @throws BackendError */
export async function readJobDetail(queue: StoredQueue, id: string): Promise<JobDetail | undefined> {
  const { client, keys } = queue;
  const key = keys.base + id;
  try {
    const [hash, [report], leaseMs, logLines, pendingChildren, dueScore] = await Promise.all([
      client.hgetall(key),
      inspectJobs(queue, [id]),
      client.pttl(`${key}:lock`),
      client.llen(`${key}:logs`),
      client.scard(`${key}:dependencies`),
      client.zscore(keys.delayed, id),
    ]);
    if (report === undefined || report.state === "removed" || Object.keys(hash).length === 0) return undefined;
    return {
      stored: readStoredJob(id, Object.entries(hash).flat()),
      state: report.state === "cancelled" ? "failed" : report.state,
      startedAt: numberOf(hash["processedOn"]),
      finishedAt: numberOf(hash["finishedOn"]),
      dueAt: dueScore === null ? undefined : Math.floor(Number(dueScore) / 0x1000),
      result: hash["returnvalue"],
      progress: hash["progress"],
      reason: hash["failedReason"],
      worker: hash["pb"] || undefined,
      leaseMs: leaseMs >= 0 ? leaseMs : undefined,
      logLines,
      parentKey: hash["parentKey"],
      pendingChildren,
    };
  } catch (error) {
    throw asBackendError(error);
  }
}

/** The stack of the last attempt that failed. @throws BackendError */
export async function lastStack({ client, keys }: StoredQueue, id: string): Promise<string | undefined> {
  try {
    const stacktrace = await client.hget(keys.base + id, "stacktrace");
    return stacktrace === null ? undefined : readStoredJob(id, ["stacktrace", stacktrace]).stacktrace.at(-1);
  } catch (error) {
    throw asBackendError(error);
  }
}

const LOG_PAGE = 1000;

/** The lines that its handlers logged with BullMQ's `job.log`, oldest first. @throws BackendError */
export async function* readLogs({ client, keys }: StoredQueue, id: string): AsyncGenerator<string, void> {
  for (let from = 0; ; from += LOG_PAGE) {
    const lines = await client.lrange(`${keys.base}${id}:logs`, from, from + LOG_PAGE - 1).catch((error: unknown) => {
      throw asBackendError(error);
    });
    yield* lines;
    if (lines.length < LOG_PAGE) return;
  }
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined || !Number.isFinite(Number(text)) ? undefined : Number(text);
}
