/** Dead letters: jobs that failed for good, grouped by their error. Cancelled jobs are none. */
import { NotFoundError, OptionError } from "../errors.ts";
import { reasonOfCancel } from "../job/state.ts";
import { check, checkOptions, shown } from "../options.ts";
import { lastStacks, readJobDetails, type JobDetail } from "../store/job-detail.ts";
import { readRedaction } from "../store/redactions.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import type { WalkedJob } from "../store/walk.ts";
import { inBulk, type BulkResult, type JobSelection } from "./bulk.ts";
import { queueByQueue } from "./each-queue.ts";
import { errorPattern, groupOf } from "./error-group.ts";
import { REMOVE, RETRY } from "./job-changes.ts";
import { checkFilter, type CheckedFilter, type JobFilter } from "./job-filter.ts";
import { showJob, toShown, type ShownJob } from "./job-show.ts";
import { pagesOf } from "./jobs.ts";
import type { Operator } from "./operator.ts";
import { searchQueues } from "./queue-search.ts";
import { readAhead } from "./read-ahead.ts";

/** Dead letters of one job name and one error. */
export interface DeadGroup {
  readonly queue: string;
  /** Names it, for `dead show`, `retry` and `discard`: the same wherever that error is met. */
  readonly group: string;
  readonly name: string;
  /** The error with `<n>` and `<id>` in the place of numbers and ids. */
  readonly error: string;
  readonly count: number;
  /** When the first and the last of them failed, by the server's clock, in milliseconds. */
  readonly firstAt: number;
  readonly lastAt: number;
  /** The last of them, its whole error, and where it was thrown. */
  readonly sampleId: string;
  readonly sampleError: string;
  readonly sampleStack: string | undefined;
}

export interface DeadGroups {
  /** The largest first, then the last to have failed. */
  readonly groups: readonly DeadGroup[];
  /** Dead letters that were looked at, the last to fail first. */
  readonly looked: number;
  /** Whether there are more, which `limit` left out. */
  readonly isCut: boolean;
}

export interface DeadOptions extends Omit<JobFilter, "state" | "limit"> {
  /** Groups the last so many of each queue that the rest lets through, at least 1. @default 10,000 */
  readonly limit?: number;
  /** In the place of `limit`: all of them. @default false */
  readonly all?: boolean;
  /** Told now and then how many jobs were looked at so far. */
  readonly onProgress?: (looked: number) => void;
}

/** Of a million, these are grouped before somebody has begun to wait: 20 pages. */
export const DEAD_LOOKED = 10_000;
/** A queue in which every error is another has as many groups as jobs: memory holds so many. */
const MOST_GROUPS = 1000;
const OTHERS = "(other errors)";

/**
 * Dead letters by their error: of one queue, or of all of them.
 *
 * @throws OptionError before any I/O; NotFoundError; BackendError
 */
export async function listDead(operator: Operator, name: string | undefined, options?: DeadOptions): Promise<DeadGroups> {
  let all: DeadGroups = { groups: [], looked: 0, isCut: false };
  for await (const { groups, looked, isCut } of listDeadByQueue(operator, name, options)) all = { groups: all.groups.concat(groups), looked: all.looked + looked, isCut: all.isCut || isCut };
  return { ...all, groups: all.groups.toSorted((a, b) => b.count - a.count || b.lastAt - a.lastAt) };
}

/**
 * As `listDead`, a queue at a time, as soon as it is read: those with consumers first, by name, then the others as they are found,
 * which takes Redis seconds where there are millions of keys.
 *
 * @throws OptionError before any I/O; NotFoundError; BackendError
 */
export function listDeadByQueue(operator: Operator, name: string | undefined, options?: DeadOptions): AsyncIterable<DeadGroups> {
  const { all: given, onProgress, ...which } = options ?? {};
  const { all: isAll = false } = checkOptions("listDead", { all: given, onProgress }, { all: check.boolean(), onProgress: check.callback() });
  if (isAll && which.limit !== undefined) throw new OptionError("expected either limit or all for listDead, got both");
  const filter = checkFilter("listDead", { ...which, ...(!isAll && { limit: which.limit ?? DEAD_LOOKED }), state: "failed" });
  if (name !== undefined) operator.queue(name);
  let met = 0;
  const matches = (job: WalkedJob, now: number): boolean => {
    met += 1;
    return filter.matches(job, now);
  };
  const grouped = async (queue: string): Promise<DeadGroups> => {
    const groups = new Map<string, Grouped>();
    let looked = 0;
    for await (const { queue: part, jobs } of readAhead(pagesOf(await operator.parts(queue), { ...filter, matches }))) {
      onProgress?.(met);
      looked += jobs.length;
      for (const job of jobs) if (!isCancelled(job)) gather(groups, part, job);
    }
    const found = await finished(queue, [...groups.values()]);
    return { groups: found.toSorted((a, b) => b.count - a.count || b.lastAt - a.lastAt), looked, isCut: looked >= filter.limit };
  };
  return queueByQueue(name === undefined ? searchQueues(operator) : [name], grouped);
}

interface Grouped {
  readonly part: StoredQueue;
  readonly last: WalkedJob;
  readonly error: string;
  count: number;
  firstAt: number;
}

/** By name and pattern: the short name of a group is made once. */
function gather(groups: Map<string, Grouped>, part: StoredQueue, job: WalkedJob): void {
  const isFull = groups.size >= MOST_GROUPS;
  const error = errorPattern(job.reason);
  const key = `${job.name}\n${error}`;
  const group = groups.get(key) ?? (isFull ? groups.get(OTHERS) : undefined);
  const at = job.finishedAt ?? job.putAt;
  if (group === undefined) groups.set(isFull ? OTHERS : key, { part, last: job, error: isFull ? OTHERS : error, count: 1, firstAt: at });
  else {
    group.count += 1;
    group.firstAt = Math.min(group.firstAt, at);
  }
}

async function finished(queue: string, groups: readonly Grouped[]): Promise<DeadGroup[]> {
  const done: DeadGroup[] = [];
  for (const [part, ofPart] of Map.groupBy(groups, ({ part }) => part)) {
    const stacks = await lastStacks(part, ofPart.map(({ last }) => last.id));
    done.push(...ofPart.map((group, i) => toGroup(queue, group, stacks[i])));
  }
  return done;
}

function toGroup(queue: string, { last, error, count, firstAt }: Grouped, sampleStack: string | undefined): DeadGroup {
  return {
    queue,
    group: groupOf(last.name, last.reason),
    name: last.name,
    error,
    count,
    firstAt,
    lastAt: last.finishedAt ?? last.putAt,
    sampleId: last.id,
    sampleError: last.reason ?? "",
    sampleStack,
  };
}

function isCancelled({ reason }: WalkedJob): boolean {
  return reason !== undefined && reasonOfCancel(reason) !== undefined;
}

export interface ShownGroup {
  readonly group: DeadGroup;
  /** The last of them, as `showJob` shows it. */
  readonly sample: ShownJob;
}

/** One group with a whole job of it. @throws OptionError before any I/O; NotFoundError; BackendError */
export async function showDead(operator: Operator, name: string, group: string): Promise<ShownGroup> {
  checkOptions("showDead", { group }, { group: check.string() });
  const { groups } = await listDead(operator, name, { group, all: true });
  const [found] = groups;
  if (found === undefined) throw new NotFoundError(`no dead letter of queue ${name} is of group ${shown(group)}: millrace dead list ${name} names its groups`);
  return { group: found, sample: await showJob(operator, name, found.sampleId) };
}

/** Lets dead letters run again, with all of their attempts. @throws as `retryJobs` */
export function retryDead(operator: Operator, queue: string, selection: Omit<JobSelection, "state">): Promise<BulkResult> {
  return inBulk(operator, { ...RETRY, command: "dead retry", states: ["failed"] }, queue, selection);
}

/** Removes dead letters, with all that is kept of them. @throws as `retryJobs` */
export function discardDead(operator: Operator, queue: string, selection: Omit<JobSelection, "state">): Promise<BulkResult> {
  return inBulk(operator, { ...REMOVE, command: "dead discard", states: ["failed"], sparesCancelled: true }, queue, selection);
}

/** Whole jobs that are read at once; as many are written out meanwhile. */
const AT_ONCE = 50;

/** Dead letters with all that is known of them, the last to fail first, in constant memory. @throws OptionError before any I/O; NotFoundError; BackendError */
export function exportDead(operator: Operator, name: string, filter?: Omit<JobFilter, "state">): AsyncIterable<ShownJob> {
  const checked = checkFilter("exportDead", { ...filter, state: "failed" });
  operator.queue(name);
  const matches: CheckedFilter["matches"] = (job, now) => !isCancelled(job) && checked.matches(job, now);
  const batches = async function* (): AsyncGenerator<[StoredQueue, (JobDetail | undefined)[]], void> {
    for await (const { queue, jobs } of pagesOf(await operator.parts(name), { ...checked, matches })) {
      for (let from = 0; from < jobs.length; from += AT_ONCE) yield [queue, await readJobDetails(queue, jobs.slice(from, from + AT_ONCE).map(({ id }) => id))];
    }
  };
  return (async function* letters() {
    const pathsOf = redactions();
    for await (const [queue, details] of readAhead(batches())) {
      // One may have been removed, or retried, meanwhile.
      for (const detail of details) if (detail?.state === "failed") yield toShown(detail, name, await pathsOf(queue, detail.stored.name));
    }
  })();
}

/** Reads what is redacted once a queue and name. */
function redactions(): (queue: StoredQueue, name: string) => Promise<readonly string[]> {
  const known = new Map<string, Promise<readonly string[]>>();
  return (queue, name) => {
    const key = `${queue.prefix} ${name}`;
    const paths = known.get(key) ?? readRedaction(queue, name);
    known.set(key, paths);
    return paths;
  };
}
