/** One job, with all that is known of it. */
import { NotFoundError, OptionError } from "../errors.ts";
import type { JobState } from "../job/state.ts";
import { redacted } from "../job/redact.ts";
import { shown } from "../options.ts";
import { readJobDetail, readLogs, type JobDetail } from "../store/job-detail.ts";
import { readRedaction } from "../store/redactions.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import type { Operator } from "./operator.ts";

/** Instants in milliseconds by the server's clock; what is not so is undefined. */
export interface ShownJob {
  readonly queue: string;
  readonly id: string;
  readonly name: string;
  readonly state: JobState;
  readonly payload: unknown;
  readonly result: unknown;
  readonly progress: unknown;
  /** BullMQ's, as they are stored. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly version: number | undefined;
  readonly priority: number;
  /** Attempts that have ended. */
  readonly attempts: number;
  /** How many there are to be in all, where the job carries it; else its contract says it, and a stock worker makes one. */
  readonly attemptsMost: number | undefined;
  /** How often it was handed to a worker, and how many of those were lost while they ran it. */
  readonly deliveries: number;
  readonly crashes: number;
  readonly putAt: number;
  readonly dueAt: number | undefined;
  readonly startedAt: number | undefined;
  readonly finishedAt: number | undefined;
  readonly worker: string | undefined;
  readonly leaseMs: number | undefined;
  readonly reason: string | undefined;
  /** One a failed attempt, oldest first. */
  readonly stacks: readonly string[];
  readonly logLines: number;
  readonly schedule: string | undefined;
  /** `prefix:queue:id`. */
  readonly parent: string | undefined;
  readonly pendingChildren: number;
}

/** What its contract redacts is `***`. @throws OptionError before any I/O; NotFoundError; BackendError */
export async function showJob(operator: Operator, name: string, id: string): Promise<ShownJob> {
  checkJobId(id);
  const { queue, detail } = await findJob(operator, name, id);
  return toShown(detail, queue.name, await readRedaction(queue, detail.stored.name));
}

/** @param paths  what is redacted in it */
export function toShown(detail: JobDetail, queue: string, paths: readonly string[]): ShownJob {
  const { stored, result, progress, parentKey, ...rest } = detail;
  const { mv: _, ...options } = stored.options;
  return {
    queue,
    id: stored.id,
    name: stored.name,
    payload: redacted(parsed(stored.data), paths),
    result: redacted(parsed(result), paths),
    progress: redacted(parsed(progress), paths),
    options,
    version: stored.version,
    attempts: stored.attemptsMade,
    attemptsMost: stored.options.attempts || undefined, // stock producers write 0 where nothing was said
    deliveries: stored.starts,
    crashes: stored.crashes,
    putAt: stored.putAt,
    stacks: stored.stacktrace,
    schedule: stored.schedulerId,
    parent: parentKey,
    ...rest,
  };
}

/** What its handlers logged with `job.log`, line by line, oldest first. @throws OptionError before any I/O; NotFoundError; BackendError */
export function jobLogs(operator: Operator, name: string, id: string): AsyncIterable<string> {
  checkJobId(id);
  operator.queue(name);
  return (async function* lines() {
    const { queue } = await findJob(operator, name, id);
    yield* readLogs(queue, id);
  })();
}

/** In whichever partition it is. @throws NotFoundError; BackendError */
export async function findJob(operator: Operator, name: string, id: string): Promise<{ readonly queue: StoredQueue; readonly detail: JobDetail }> {
  for (const queue of await operator.parts(name)) {
    const detail = await readJobDetail(queue, id);
    if (detail !== undefined) return { queue, detail };
  }
  throw noJob(name, id);
}

/** An id as whoever made the job gave it: BullMQ's numbers, and its schedules' with colons. @throws OptionError */
export function checkJobId(id: unknown): string {
  if (typeof id === "string" && id !== "") return id;
  throw new OptionError(`expected the id of a job, got ${shown(id)}`);
}

export function noJob(queue: string, id: string): NotFoundError {
  return new NotFoundError(`no job ${shown(id)} is in queue ${queue}: it was removed, its retention has passed, or it never existed`);
}

/** What is no JSON is shown as it is: a stock producer may have written anything. */
function parsed(json: string | undefined): unknown {
  if (json === undefined) return undefined;
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
}
