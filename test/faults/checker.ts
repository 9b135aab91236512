/** Holds the ledger of a scenario against what Redis says when it is over. */
import type { Entry } from "./ledger.ts";
import type { StoredJob } from "./stored-jobs.ts";

/** The work of a job whose payload is gone. */
const PAYLOAD_GONE = Number.NaN;

export interface CheckOptions {
  /** Ended jobs are removed after a while: one that is gone has ended, if the ledger says so. */
  readonly removes?: boolean;
}

/**
 * Whatever contradicts "nothing lost, nothing twice", one line each: an acknowledged job that is neither queued nor
 * ended; a put that became two jobs; a job in no state or in two; a job that is completed though the run that says so
 * did not end, or was no longer the job's own when it was acknowledged.
 */
export function contradictions(entries: readonly Entry[], stored: readonly StoredJob[], { removes = false }: CheckOptions = {}): string[] {
  const found: string[] = [];
  const ended = new Set(entries.filter(({ did }) => did === "ended").map(({ n }) => n));
  // Ids may be counted anew on each of several servers.
  const kept = new Set(stored.map(({ id, n }) => `${id} ${n}`));
  const byWork = new Map<number, StoredJob[]>();
  for (const job of stored) byWork.set(job.n, [...(byWork.get(job.n) ?? []), job]);
  const runs = new Map<number, Entry[]>();
  for (const entry of entries) {
    if (entry.did === "started" || entry.did === "ended") runs.set(entry.n, [...(runs.get(entry.n) ?? []), entry]);
    if (entry.did !== "acknowledged" || (removes && ended.has(entry.n))) continue;
    const isStored = entry.id === undefined ? byWork.has(entry.n) : kept.has(`${entry.id} ${entry.n}`) || kept.has(`${entry.id} ${PAYLOAD_GONE}`);
    if (!isStored) found.push(`${entry.n}: acknowledged${entry.id === undefined ? "" : ` as ${entry.id}`}, and lost`);
  }
  for (const [n, jobs] of byWork) if (jobs.length > 1 && !Number.isNaN(n)) found.push(`${n}: put once, and ${jobs.length} jobs: ${jobs.map(({ id }) => id).join(", ")}`);
  for (const { id, n, states, result } of stored) {
    if (states.length !== 1) found.push(`${n} (${id}): in ${states.length === 0 ? "no state" : states.join(" and ")}`);
    if (!states.includes("completed")) continue;
    const own = (runs.get(n) ?? []).filter((run) => run.id === id);
    const last = Math.max(...own.filter(({ did }) => did === "started").map(({ fence }) => fence ?? 0));
    if (!own.some(({ did, fence }) => did === "ended" && fence === result?.fence)) found.push(`${n} (${id}): completed, though run #${result?.fence} did not end`);
    else if (result!.fence !== last) found.push(`${n} (${id}): completed by run #${result!.fence} after #${last} had started`);
  }
  return found;
}

/** How many runs started while an earlier run of the same job went on. A process that died ends nothing: for scenarios without. */
export function overlapping(entries: readonly Entry[]): number {
  const going = new Map<number, number>();
  let count = 0;
  for (const { did, n } of entries) {
    const running = going.get(n) ?? 0;
    if (did === "started") {
      if (running > 0) count += 1;
      going.set(n, running + 1);
    } else if (did === "ended" || did === "broke off") going.set(n, running - 1);
  }
  return count;
}
