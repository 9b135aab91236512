/** Who is put to the test, behind one face. Both work on the queue "work" under BullMQ's default prefix, on a cluster under its hash tag. */
import type { Work } from "./work.ts";

export interface Subject {
  readonly name: "millrace" | "bullmq";
  /** What `node` is given to run a worker process; it says `"event":"ready"` when it is, and ends with its parent. */
  workerArguments(options: WorkerOptions): { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> };
  /** The two of it that a producer process needs. */
  open(redisUrl: string): Promise<Putter>;
  /** One of its queues in this very process, for input that no payload could carry to another. */
  openHere(redisUrl: string, queue: string): Promise<QueueHere>;
}

export interface QueueHere {
  /** @returns the job's id */
  put(payload: unknown, options: object): Promise<string>;
  run(handle: (payload: unknown, task: { readonly id: string; readonly signal: unknown }) => unknown): Promise<void>;
  hasEnded(id: string): Promise<boolean>;
  close(): Promise<void>;
}

export interface WorkerOptions {
  readonly concurrency: number;
  /** How long it lets its tasks run on when it is told to end, where it has such a limit. */
  readonly drainMs?: number;
  /** How long it waits, after that, for what it told to end, where it has such a limit. */
  readonly graceMs?: number;
  /** Notices sooner that a worker is dead, where it can. */
  readonly fast?: boolean;
  /** By how much its clock is wrong. */
  readonly clockOffMs?: number;
  /** How many ended jobs stay; "default" is what the subject does by itself. @default all of them, for the checker */
  readonly keeps?: Keeps;
}

export type Keeps = number | "default";

export interface PutSettings {
  readonly delayMs?: number;
  readonly attempts?: number;
  /** Acknowledged only when a replica has it, where it can do that. */
  readonly durable?: boolean;
  /** Under an id that the work's number makes, so that it may be put again. */
  readonly named?: boolean;
}

export interface Putter {
  /** @returns the job's id */
  put(work: Work, settings: PutSettings): Promise<string>;
  /** The way to put many at once. */
  putMany(works: readonly Work[]): Promise<void>;
  /** By whatever it has to end a job that may run anywhere. */
  cancel(id: string): Promise<void>;
  /** Waits for the job's end. @returns the state that it ended in */
  outcome(id: string): Promise<string>;
  /** Waits until all that was put is over. */
  join(): Promise<void>;
  /** Asks Redis something. */
  reach(): Promise<unknown>;
}

export const subjects: Readonly<Record<Subject["name"], () => Promise<Subject>>> = {
  millrace: async () => (await import("./millrace.ts")).millrace,
  bullmq: async () => (await import("./bullmq.ts")).bullmq,
};
