/**
 * Cancels a job, wherever it is. Of one that runs it is asked: its request is written down with it, and its task is told.
 * One that does not run is ended here: claimed first, so that nobody can start it, then failed as any delivery is.
 */
import { sleep } from "../concurrency/sleep.ts";
import { BackendError, BackendFullError } from "../errors.ts";
import type { JobDefinition } from "../job/definition.ts";
import { requestCancel, type CancelReply } from "../store/cancel.ts";
import { planNextRunIfAny } from "../store/schedule.ts";
import { SettleLane } from "../store/settle.ts";
import { newTokenBase } from "../store/token.ts";
import { cancelled } from "./ending.ts";
import type { OpenQueue } from "./open-queue.ts";
import { tellEnd } from "./told-end.ts";

/** How long a lost answer is asked for again. */
const DEADLINE_MS = 5000;
const RESEND_PAUSE_MS = 50;
/** Longer than ending it may take; should we die meanwhile, whoever recovers the job ends it as cancelled. */
const LEASE_MS = 10_000;

/**
 * @param definition  what the queue's jobs of its name are kept by, where they do not carry it
 * @returns whether it was ended here, or runs and was asked to; `undefined` when it has ended already, or is not there
 * @throws BackendError; the request may stand then, and may be made again
 */
export async function cancelJob(queue: OpenQueue, definition: JobDefinition, id: string, reason: string): Promise<"ended" | "asked" | undefined> {
  await queue.ready();
  const reply = await request(queue, id, reason);
  if (reply.state !== "claimed") return reply.state === "requested" ? "asked" : undefined;
  const { leased } = reply;
  // The schedule goes on: only this run of it is cancelled.
  await planNextRunIfAny(queue.stored, leased.job);
  const known = leased.job.name === definition.name ? definition : undefined;
  const settlement = cancelled(leased, known, leased.job.cancelReason ?? reason);
  if ((await new SettleLane(queue.stored, DEADLINE_MS).settle(settlement)) === "done") tellEnd(queue, settlement, undefined);
  return "ended";
}

async function request(queue: OpenQueue, id: string, reason: string): Promise<CancelReply> {
  const token = newTokenBase();
  const startedAt = performance.now();
  for (;;) {
    try {
      return await requestCancel(queue.stored, id, { reason, token, leaseMs: LEASE_MS });
    } catch (error) {
      const isOver = queue.closed || performance.now() - startedAt >= DEADLINE_MS;
      if (!(error instanceof BackendError) || error instanceof BackendFullError || isOver) throw error;
      await sleep(RESEND_PAUSE_MS);
    }
  }
}
