/** Every Redis key of a queue, in BullMQ's layout; our own additions stand under `millrace:`. One function a key family. */

/** The keys of one queue. `base` is what job keys begin with: `bull:mail:`. */
export interface QueueKeys {
  readonly base: string;
  readonly wait: string;
  readonly paused: string;
  readonly active: string;
  readonly prioritized: string;
  readonly delayed: string;
  readonly waitingChildren: string;
  readonly completed: string;
  readonly failed: string;
  readonly events: string;
  readonly meta: string;
  readonly marker: string;
  readonly limiter: string;
  readonly metricsCompleted: string;
  readonly metricsFailed: string;
  readonly repeat: string;
  readonly stalled: string;
  /** While it exists, BullMQ's own stall check does nothing. */
  readonly stalledCheck: string;
  /** Counter that BullMQ's ids come from. */
  readonly id: string;
  /** Counter that orders prioritized jobs of one priority. */
  readonly priorityCounter: string;
  /** Ours: counter that only grows; every delivery gets a number of its own. */
  readonly fence: string;
}

export function queueKeys(prefix: string, queue: string): QueueKeys {
  const base = `${prefix}:${queue}:`;
  return Object.freeze({
    base,
    wait: `${base}wait`,
    paused: `${base}paused`,
    active: `${base}active`,
    prioritized: `${base}prioritized`,
    delayed: `${base}delayed`,
    waitingChildren: `${base}waiting-children`,
    completed: `${base}completed`,
    failed: `${base}failed`,
    events: `${base}events`,
    meta: `${base}meta`,
    marker: `${base}marker`,
    limiter: `${base}limiter`,
    metricsCompleted: `${base}metrics:completed`,
    metricsFailed: `${base}metrics:failed`,
    repeat: `${base}repeat`,
    stalled: `${base}stalled`,
    stalledCheck: `${base}stalled-check`,
    id: `${base}id`,
    priorityCounter: `${base}pc`,
    fence: `${base}millrace:fence`,
  });
}

/** Ours: what the put scripts of one producer process have been numbered so far. */
export function producerKey(keys: QueueKeys, producerId: string): string {
  return `${keys.base}millrace:put:${producerId}`;
}

/** Ours: what happened in the queue within the step that begins at `at`, both in milliseconds. */
export function historyKey(keys: QueueKeys, stepMs: number, at: number): string {
  return `${keys.base}millrace:history:${stepMs}:${at}`;
}

/** Ours: when the first step began of all that are kept of the queue. */
export function historyBeganKey(keys: QueueKeys): string {
  return `${keys.base}millrace:history:began`;
}

/** Ours: schedules that an operator paused, by id, as they stood in BullMQ's keys. */
export function pausedSchedulesKey(keys: QueueKeys): string {
  return `${keys.base}millrace:paused-schedules`;
}
