/** What a supervisor and its worker processes tell each other, over the channel that Node opens between parent and child. */

/** Of a worker: not connected yet; takes jobs; takes no more; is about to end; has ended. */
export type WorkerState = "starting" | "ready" | "quiet" | "draining" | "stopped";

/** What a worker process tells of itself: to its supervisor, every second and when its state changes, and at its health endpoint. */
export interface WorkerReport {
  readonly state: WorkerState;
  /** Tasks that run now. */
  readonly running: number;
  /** Jobs that it ran to an end, whatever end that was. */
  readonly ended: number;
  /** Handlers that ignored their signal, were given up, and run on. */
  readonly stuck: number;
  /** Memory that it holds. */
  readonly rssBytes: number;
  /** Its connection to Redis stands. */
  readonly redis: boolean;
  /** What an operator has said: it ends for good; another one is to take its place. */
  readonly wish?: "end" | "replacement";
}

/** What a worker process is told: to stop, or to give back at once. `by` is the signal that the supervisor got. */
export interface Order {
  readonly order: "stop" | "hurry";
  readonly by: "SIGINT" | "SIGTERM";
}

/** What a worker process is told besides: to take no jobs, to take them again, to write what it does into the log. */
export interface Steer {
  readonly order: "quiet" | "resume" | "dump";
}

/** Under a name of our own, since the user's modules may use the channel too. */
export type ToSupervisor = { readonly millrace?: WorkerReport; readonly millraceMetrics?: object };
export type ToWorker = { readonly millrace?: Order | Steer; readonly millraceAsks?: "metrics" };

/** Tells a process that it is one of a supervisor, and which: its place, from 1. */
export const PLACE_VARIABLE = "MILLRACE_PLACE";
