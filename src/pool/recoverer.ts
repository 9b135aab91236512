/**
 * Brings back the jobs of processes that died: their leases run out, and whoever notices settles them as a failed attempt.
 *
 * While a pool lives on a queue this is its only recoverer, for stock workers' jobs too: BullMQ's own would fail a job
 * for good at its second stall, whatever attempts it has left.
 */
import { randomBytes } from "node:crypto";
import { sleep } from "../concurrency/index.ts";
import { BackendError, WorkerLostError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { failure } from "../queue/ending.ts";
import { claimExpired } from "../store/lease.ts";
import type { Consumer } from "./consumer.ts";

const EVERY_MS = 2000;
/** BullMQ's check stays away for so long after a round. */
const HOLD_MS = 10_000;
const MOST = 100;

export async function recover(consumer: Consumer, options: { readonly leaseMs: number; readonly log: Logger }, signal: AbortSignal): Promise<void> {
  const tokenBase = randomBytes(9).toString("base64url");
  for (let round = 1; !signal.aborted; round += 1) {
    try {
      const expired = await claimExpired(consumer.queue.stored, {
        token: `${tokenBase}:${round}`,
        leaseMs: options.leaseMs,
        everyMs: EVERY_MS,
        holdMs: HOLD_MS,
        most: MOST,
      });
      await Promise.all(
        expired.map((leased) => {
          const { id, name } = leased.job;
          options.log.warn({ queue: consumer.queue.name, job: name, id }, "recovered from a worker that was lost");
          const error = new WorkerLostError("the worker that ran it was lost: it stopped renewing the lease");
          return consumer.settle(failure(leased, consumer.definitionOf(name), error));
        }),
      );
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
    }
    await sleep(EVERY_MS, { signal }).catch(() => {});
  }
}
