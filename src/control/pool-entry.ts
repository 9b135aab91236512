/** What a running pool tells of itself to operators: plain data, bounded in size. */

/** Not connected yet; takes jobs; takes none; is about to end. */
export type PoolState = "starting" | "ready" | "quiet" | "draining";

export interface PoolEntry {
  /** Short, of one pool alone, and never used again. */
  readonly id: string;
  /** What it was named, or host and pid; several pools may have one name. */
  readonly name: string;
  readonly host: string;
  readonly pid: number;
  /** Of Millrace. */
  readonly version: string;
  /** Under a supervisor: the supervisor's pid, and the place from 1 that this process has there. */
  readonly supervisor: number | null;
  readonly place: number | null;
  readonly state: PoolState;
  readonly queues: readonly string[];
  /** How many tasks may run at once. */
  readonly slots: number;
  /** How many tasks run: all of them, however many are listed. */
  readonly running: number;
  /** Handlers that ignore their signal and run on, without a slot. */
  readonly stuck: number;
  /** Deliveries that it has brought to an end. */
  readonly ended: number;
  readonly rssBytes: number;
  /** How late the event loop was since the entry before: the slowest of a hundred turns, and the slowest. */
  readonly loopDelayMs: { readonly p99: number; readonly max: number };
  readonly lastError: LastError | null;
  /** How far the server's clock is ahead of its machine's; an older Millrace does not tell. */
  readonly clockOffMs?: number;
  /** By the server's clock, in milliseconds, as all instants here. */
  readonly startedAt: number;
}

/** What failed last in a pool. */
export interface LastError {
  readonly at: number;
  readonly message: string;
  /** What it was that failed; null where it was no job. */
  readonly job: { readonly id: string; readonly name: string; readonly queue: string } | null;
}

export interface RunningTask {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  /** From 1. */
  readonly attempt: number;
  /** When it was reserved. */
  readonly startedAt: number;
  /** What its handler told last, as JSON, cut off where it is long; null where it told nothing. */
  readonly progress: string | null;
  /** Why it was told to end; null while it may go on. */
  readonly interruption: string | null;
  /** It ignores its signal, and runs on without a slot. */
  readonly stuck: boolean;
}

/** The oldest tasks are those that somebody looks for. */
export const MOST_TASKS = 100;
export const MOST_QUEUES = 100;
const LONGEST_TEXT = 300;
const LONGEST_NAME = 200;

/** As it may be told, however long what it was made of. */
export function bounded(entry: PoolEntry): PoolEntry {
  const { lastError } = entry;
  return {
    ...entry,
    name: cut(entry.name, LONGEST_NAME),
    host: cut(entry.host, LONGEST_NAME),
    queues: entry.queues.slice(0, MOST_QUEUES),
    lastError: lastError && { ...lastError, message: cut(lastError.message), job: lastError.job && boundedJob(lastError.job) },
  };
}

/** The oldest, first. */
export function boundedTasks<T extends RunningTask>(tasks: readonly T[]): T[] {
  const oldest = tasks.toSorted((one, other) => one.startedAt - other.startedAt).slice(0, MOST_TASKS);
  return oldest.map((task) => ({ ...task, ...boundedJob(task), progress: task.progress && cut(task.progress), interruption: task.interruption && cut(task.interruption) }));
}

function boundedJob<T extends { readonly id: string; readonly name: string; readonly queue: string }>({ id, name, queue }: T) {
  return { id: cut(id, LONGEST_NAME), name: cut(name, LONGEST_NAME), queue };
}

/** Text of at most so many characters, with a sign that there was more. */
export function cut(text: string, longest = LONGEST_TEXT): string {
  return text.length <= longest ? text : `${text.slice(0, longest - 1)}…`;
}
