/**
 * Brings back the jobs of processes that died: their leases run out, and whoever notices settles them as a failed attempt.
 *
 * While somebody consumes a queue through here this is its only recoverer, for stock workers' jobs too: BullMQ's own
 * would fail a job for good at its second stall, whatever attempts it has left.
 */
import { sleep } from "../concurrency/sleep.ts";
import type { JobDefinition } from "../job/definition.ts";
import type { Logger } from "../log.ts";
import { claimExpired } from "../store/claim.ts";
import type { Settlement } from "../store/settle.ts";
import { newTokenBase } from "../store/token.ts";
import { crashed } from "./crash.ts";
import type { OpenQueue } from "./open-queue.ts";
import { persevere } from "./persevere.ts";

export interface RecovererOptions {
  readonly leaseMs: number;
  /** There is a round so often, whoever asks for it. */
  readonly roundMs: number;
  readonly log: Logger;
  /** `undefined` where nobody here knows the job: then what it carries decides. */
  definitionOf(name: string): JobDefinition | undefined;
  /** Never rejects. */
  settle(settlement: Settlement): Promise<void>;
}

/** How soon a job runs again whose worker died: its lease has to run out, and two rounds have to find it without. */
export const RECOVERY = Object.freeze({
  normal: { leaseMs: 10_000, roundMs: 1500 },
  fast: { leaseMs: 4000, roundMs: 750 },
});
/** Each process asks so often: one that asked a moment too early comes back soon. */
const ASK_MS = 250;
/** BullMQ's check stays away for so long after a round. */
const HOLD_MS = 10_000;
/** More than a process runs at once, so that one round brings back all that it had. */
const MOST = 1000;

/** Looks until the signal fires. Never rejects. */
export async function recover({ stored: queue, meter }: OpenQueue, options: RecovererOptions, signal: AbortSignal): Promise<void> {
  const { leaseMs, roundMs, log } = options;
  const tokenBase = newTokenBase();
  const onFailure = (error: unknown): void => log.warn({ queue: queue.name, err: error }, "cannot look for lost workers, trying again");
  for (let round = 1; !signal.aborted; round += 1) {
    const request = { token: `${tokenBase}:${round}`, leaseMs, everyMs: roundMs, holdMs: HOLD_MS, most: MOST };
    const expired = await persevere(() => claimExpired(queue, request), { signal, onFailure });
    await Promise.all(
      (expired ?? []).map((leased) => {
        const { id, name, crashes, attemptsMade } = leased.job;
        meter.recovered(leased, leased.holder, crashes);
        log.warn({ queue: queue.name, job: name, id, attempt: attemptsMade + 1, fence: leased.fence, worker: leased.holder, crashes }, "recovered from a worker that was lost");
        return options.settle(crashed(leased, options.definitionOf(name), queue.connections.clock.now()));
      }),
    );
    await sleep(ASK_MS, { signal }).catch(() => {});
  }
}
