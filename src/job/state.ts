/**
 * The states of a job. They are BullMQ's, by BullMQ's names.
 *
 * ```
 *                    put
 *     ┌───────────────┼────────────────┬──────────────────┐
 *     │ delay, runAt  │                │ priority         │ has children (stock flows)
 *     ▼               ▼                ▼                  ▼
 *  delayed ──────► waiting         prioritized     waiting-children
 *     ▲  └─ due, with a priority ───►  │                  │ all children finished
 *     │               │ ◄──────────────┼──────────────────┘
 *     │               └─── reserve ────┤
 *     │                                ▼
 *     └── retry, release(delay) ──── active ──── release, lease expired ───► waiting
 *                                      │
 *                     ┌── ack ─────────┴── fail, no attempts left ──┐
 *                     ▼                                             ▼
 *                 completed                                       failed
 * ```
 *
 * An expired lease counts as one attempt and goes by the retry policy, a release counts as none. A cancel takes what does
 * not run to `failed` by way of `active`; what runs is told, and then only an ack takes it anywhere else.
 *
 * Cancelled is no state of its own, or stock tools would not see the job: it is `failed` with a reason that begins
 * with `cancelled:`, and is never retried.
 */
export const JOB_STATES = Object.freeze(["waiting", "prioritized", "delayed", "waiting-children", "active", "completed", "failed"] as const);

export type JobState = (typeof JOB_STATES)[number];

/** What the reason of a cancelled job begins with. */
export const CANCELLED = "cancelled:";

/** The reason that is stored with a cancelled job: `cancelled: user asked`. */
export function cancelledReason(reason: string): string {
  return `${CANCELLED} ${reason}`;
}

/** Why a failed job was cancelled, or undefined when it was not: `user asked`. */
export function reasonOfCancel(failedReason: string): string | undefined {
  return failedReason.startsWith(CANCELLED) ? failedReason.slice(CANCELLED.length).trimStart() : undefined;
}
