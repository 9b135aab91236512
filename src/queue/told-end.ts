/** Tells how a delivery ended: counts it, and says in the log what an operator wants to know. */
import { reasonOfCancel } from "../job/state.ts";
import type { Leased } from "../store/reserve.ts";
import type { Settlement } from "../store/settle.ts";
import type { End } from "../telemetry/meter.ts";
import type { OpenQueue } from "./open-queue.ts";

/**
 * To be called when Redis has acknowledged the settlement.
 *
 * @param runMs  how long its task ran; `undefined` where it did not run here
 */
export function tellEnd({ name, meter, log }: OpenQueue, settlement: Settlement, runMs: number | undefined): void {
  const { leased } = settlement;
  const end = endOf(settlement);
  meter.ended(leased, end, runMs);
  if (!("reason" in end)) return;
  const fields = { queue: name, job: leased.job.name, id: leased.job.id, attempt: leased.job.attemptsMade + 1, fence: leased.fence, reason: end.reason };
  if (end.outcome === "retried") log.info({ ...fields, delayMs: end.delayMs }, "attempt failed, to be retried");
  else if (end.outcome === "failed") log.warn(fields, "job failed for good");
  else log.info(fields, "job cancelled");
}

/**
 * The lease had passed on.
 *
 * @param refused  what came too late; `undefined` where nothing was tried
 */
export function tellLost({ name, meter, log }: OpenQueue, leased: Leased, refused: Settlement["kind"] | undefined, runMs: number | undefined): void {
  meter.ended(leased, LOST, runMs);
  if (refused === undefined) return;
  const { job, fence } = leased;
  log.warn({ queue: name, job: job.name, id: job.id, attempt: job.attemptsMade + 1, fence }, `${refused} refused: its lease had passed on`);
}

const COMPLETED = Object.freeze({ outcome: "completed" });
const RELEASED = Object.freeze({ outcome: "released" });
const LOST = Object.freeze({ outcome: "lost" });

function endOf(settlement: Settlement): Exclude<End, { outcome: "lost" }> {
  switch (settlement.kind) {
    case "ack":
      return COMPLETED;
    case "release":
      return RELEASED;
    case "retry":
      return { outcome: "retried", reason: settlement.reason, delayMs: settlement.delayMs };
    case "fail":
      return { outcome: reasonOfCancel(settlement.reason) === undefined ? "failed" : "cancelled", reason: settlement.reason };
  }
}
