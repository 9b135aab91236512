/** What may be wrong with a queue. */
import { endedOf, type History } from "../queue/history.ts";
import type { Counts } from "../store/count.ts";
import type { Orphans } from "../store/orphans.ts";
import type { Symptoms } from "../store/symptoms.ts";
import { typed, typedAll, type Finding, type Look } from "./finding.ts";

export interface QueueLook {
  readonly queue: string;
  readonly counts: Counts;
  readonly paused: boolean;
  /** How long the job that waits longest has waited. */
  readonly oldestWaitingMs: number | undefined;
  readonly symptoms: Symptoms;
  readonly orphans: Orphans;
  /** Jobs on their way to another queue, and where that is. */
  readonly parked: readonly string[];
  readonly movesTo: string | undefined;
  /** Of the last five minutes. */
  readonly history: Pick<History, "run" | "steps" | "stepMs" | "to">;
  readonly consumers: Consumers;
}

export interface Consumers {
  /** Pools of Millrace that take jobs of it now, and those that are told not to. */
  readonly ready: readonly { readonly id: string; readonly slots: number; readonly startedAt: number }[];
  readonly quiet: readonly { readonly id: string }[];
  /** Stock workers, and who consumes by hand; `undefined` where Redis does not tell. */
  readonly others: number | undefined;
}

/** Arrivals must exceed what ends by so much, and the backlog have grown by so many; what processes counted may come 5 s late, so it takes some time to say. */
const GROWTH = { share: 1.1, jobs: 10, overMs: 20_000 };
/** One that has just begun may have been taken from somebody who is about to say so. */
const RECOVERED_MS = 30_000;
const RISING = { jobs: 5, times: 3 };
/** A queue that was just put to is not told as one that nobody consumes. */
const UNCONSUMED_MS = 2000;

export function queueFindings(look: QueueLook): Finding[] {
  return [unconsumed, pausedWithJobs, growing, stuck, moving, orphaned, overdue, deadLetters, late].flatMap((find) => find(look) ?? []);
}

const ready = ({ waiting, prioritized }: Counts): number => waiting + prioritized;
const isConsumed = ({ ready: pools, others }: Consumers): boolean => pools.length > 0 || others === undefined || others > 0;

/** What could run now: delayed jobs that are due too, which are moved by whoever consumes. */
function runnable({ counts, oldestWaitingMs = 0, symptoms: { now, due } }: QueueLook) {
  const evidence = { waiting: ready(counts), delayedDue: due.jobs || undefined, oldestWaitingMs: Math.max(oldestWaitingMs, now - (due.since ?? now)) };
  return { isNone: ready(counts) + due.jobs === 0, evidence };
}

export const unconsumed: Look<QueueLook> = (look) => {
  const { queue, paused, consumers } = look;
  const { isNone, evidence } = runnable(look);
  if (paused || isNone || isConsumed(consumers) || evidence.oldestWaitingMs < UNCONSUMED_MS) return undefined;
  const [quiet] = consumers.quiet;
  return {
    finding: "unconsumed",
    severity: "error",
    subject: `queue ${queue}`,
    message: `nobody consumes it${quiet === undefined ? "" : ", since its workers are quiet"}, and jobs wait`,
    evidence: { ...evidence, quietWorkers: consumers.quiet.length },
    remedy: quiet === undefined ? "millrace worker start, where its handlers are" : `millrace worker resume ${quiet.id}`,
  };
};

export const pausedWithJobs: Look<QueueLook> = (look) => {
  const { queue, paused } = look;
  const { isNone, evidence } = runnable(look);
  if (!paused || isNone) return undefined;
  return {
    finding: "paused",
    severity: "warning",
    subject: `queue ${queue}`,
    message: "it is paused, and jobs wait",
    evidence,
    remedy: `millrace queue resume ${typed(queue)}`,
  };
};

export const growing: Look<QueueLook> = ({ queue, history, paused, consumers }) => {
  const { run, steps, stepMs, to } = history;
  // What came before anybody was there to do it says nothing of whether they keep pace.
  const since = Math.min(...consumers.ready.map(({ startedAt }) => startedAt));
  const [first, ...later] = since === Infinity ? steps : steps.filter(({ at }) => at + stepMs >= since);
  const last = later.at(-1);
  if (paused || first === undefined || last === undefined || !isConsumed(consumers)) return undefined;
  // From the end of the first step on: what its backlog was before, nobody told.
  const withinMs = to - first.at - stepMs;
  const grownBy = last.backlog - first.backlog;
  const ended = later.reduce((sum, { counts }) => sum + endedOf(counts), 0);
  const [arrivalsPerSecond, endedPerSecond] = [grownBy + ended, ended].map((jobs) => (jobs * 1000) / withinMs) as [number, number];
  if (withinMs < GROWTH.overMs || arrivalsPerSecond < GROWTH.share * endedPerSecond || grownBy < GROWTH.jobs) return undefined;
  const slots = consumers.ready.reduce((sum, pool) => sum + pool.slots, 0);
  // Little's law: so many run at once where all that arrives is run.
  const slotsNeeded = run && Math.ceil((arrivalsPerSecond * run.mean) / 1000);
  return {
    finding: "growing",
    severity: "warning",
    subject: `queue ${queue}`,
    message: `more arrives than is done: ${rate(arrivalsPerSecond)} a second against ${rate(endedPerSecond)}`,
    evidence: { arrivalsPerSecond, endedPerSecond, backlogBefore: first.backlog, backlog: last.backlog, withinMs, slots, meanRunMs: run?.mean, slotsNeeded },
    remedy: moreSlots(queue, consumers, slots, slotsNeeded),
  };
};

/** What lets a queue keep pace; to catch up takes more. It is short, to be copied from one line of a terminal. */
function moreSlots(queue: string, { ready: pools }: Consumers, slots: number, needed: number | undefined): string {
  const [smallest] = pools.toSorted((one, other) => one.slots - other.slots);
  if (smallest === undefined) return "start more workers";
  const scaled = (to: number): string => `millrace worker scale ${smallest.id} --concurrency ${to}`;
  if (needed === undefined) return `${scaled(smallest.slots * 2)}, or start workers`;
  if (needed > slots) return `${scaled(smallest.slots + needed - slots)} or more, or start workers`;
  return `more slots are not what lacks: see millrace task list and millrace limit show ${typed(queue)}`;
}

export const stuck: Look<QueueLook> = ({ queue, symptoms, consumers }) => {
  const left = symptoms.unleased.filter(({ startedAt }) => symptoms.now - startedAt >= RECOVERED_MS);
  // Whoever consumes brings back what others left, a pool that is quiet too; he needs some seconds for it.
  if (left.length === 0 || consumers.quiet.length > 0 || isConsumed(consumers)) return undefined;
  return {
    finding: "stuck",
    severity: "error",
    subject: `queue ${queue}`,
    message: `${left.length === 1 ? "a job is" : `${left.length} jobs are`} active without a lease: whoever ran them is gone, and nobody brings them back`,
    evidence: { jobs: left.slice(0, 10) },
    remedy: "millrace worker start, where its handlers are: it brings them back within 15 s",
  };
};

export const moving: Look<QueueLook> = ({ queue, parked, movesTo }) => {
  if (parked.length === 0) return undefined;
  return {
    finding: "moving",
    severity: "error",
    subject: `queue ${queue}`,
    message: "jobs are on their way to another queue: unless somebody moves it now, that was interrupted",
    evidence: { jobs: parked.length, to: movesTo },
    remedy: `millrace queue move ${typed(queue)}, to the same place as before: it goes on; if that is lost for good, millrace queue move ${typed(queue)} --give-back`,
  };
};

export const orphaned: Look<QueueLook> = ({ queue, parked, orphans }) => {
  const ids = orphans.ids.filter((id) => !parked.includes(id));
  const { looked, parts } = orphans;
  const [first] = ids;
  if (first === undefined && parts.length === 0) return undefined;
  const messages = [
    ...(first === undefined ? [] : [`${ids.length === 1 ? "a job is" : `${ids.length} jobs are`} stored but in no state: nobody will ever run or remove them`]),
    ...(parts.length === 0 ? [] : [`${parts.length === 1 ? "a key is" : `${parts.length} keys are`} left of jobs that are gone: nobody will ever remove them`]),
  ];
  const gone = [...new Set(parts.map((part) => part.slice(0, part.lastIndexOf(":"))))].slice(0, 3);
  return {
    finding: "orphans",
    severity: first === undefined ? "warning" : "error",
    subject: `queue ${queue}`,
    message: messages.join("; "),
    evidence: { ids: first === undefined ? undefined : ids.slice(0, 10), leftKeys: parts.length === 0 ? undefined : parts.slice(0, 10), lookedAtJobs: looked },
    remedy: first === undefined ? `millrace job remove ${typedAll(queue, ...gone)}` : `millrace job show ${typedAll(queue, first)}, then millrace job remove ${typedAll(queue, first)}`,
  };
};

export const overdue: Look<QueueLook> = ({ queue, symptoms, consumers }) => {
  const [first] = symptoms.overdue;
  if (first === undefined) return undefined;
  const isDead = symptoms.overdue.some(({ exists }) => !exists);
  return {
    finding: "overdue",
    severity: isDead ? "error" : "warning",
    subject: `queue ${queue}`,
    message: isDead ? "a schedule has no next run: it has stopped" : "runs of a schedule are due and have not started",
    evidence: { schedules: symptoms.overdue.slice(0, 10).map(({ schedule, dueAt, exists }) => ({ schedule, overdueMs: symptoms.now - dueAt, hasNextRun: exists })) },
    remedy: isDead ? `millrace schedule run ${typed(queue)} ${typed(symptoms.overdue.find(({ exists }) => !exists)!.schedule)}, or put it again` : isConsumed(consumers) ? "start more workers" : "millrace worker start, where its handlers are",
  };
};

export const deadLetters: Look<QueueLook> = ({ queue, symptoms: { failed } }) => {
  // The hour before has six times as many minutes.
  const usual = failed.before / 6;
  if (failed.lately < RISING.jobs || failed.lately < RISING.times * usual) return undefined;
  return {
    finding: "dead-letters",
    severity: "warning",
    subject: `queue ${queue}`,
    message: `dead letters rise: ${failed.lately} jobs failed for good in the last 10 min`,
    evidence: { last10Min: failed.lately, hourBefore: failed.before },
    remedy: `millrace dead list ${typed(queue)}`,
  };
};

export const late: Look<QueueLook> = ({ queue, symptoms: { next } }) => {
  if (next.late === 0) return undefined;
  return {
    finding: "late",
    severity: "warning",
    subject: `queue ${queue}`,
    message: "jobs wait that are past their deadline: they end without being run",
    evidence: { late: next.late, lookedAtJobs: next.looked },
    remedy: "start more workers, or put with a longer deadline",
  };
};

function rate(perSecond: number): string {
  return perSecond >= 10 ? String(Math.round(perSecond)) : perSecond.toFixed(1);
}
