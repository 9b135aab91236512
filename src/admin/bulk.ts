/** Does one thing to many jobs of a queue: to those of some ids, or to those that a filter lets through, page by page. */
import { NotFoundError, OptionError, StateError } from "../errors.ts";
import { reasonOfCancel, type JobState } from "../job/state.ts";
import { check, checkOptions, shown, type Check } from "../options.ts";
import { inspectJobs } from "../store/inspect.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import { checkFilter, filterOptions, type CheckedFilter, type JobFilter } from "./job-filter.ts";
import { checkJobId, noJob } from "./job-show.ts";
import { pagesOf } from "./jobs.ts";
import type { Operator } from "./operator.ts";
import type { Touch } from "./recorded.ts";

/** Which jobs are meant. Without ids, `all` or something of a filter is needed: nothing is done to a whole queue by mistake. */
export interface JobSelection extends JobFilter {
  /** These, and no filter beside them. */
  readonly ids?: readonly string[];
  /** Every job that is in a state for it. @default false */
  readonly all?: boolean;
  /** Looks, and changes nothing. @default false */
  readonly dryRun?: boolean;
  /** Ends it between two pages; what was done is done. */
  readonly signal?: AbortSignal;
  /** Told after each page how many jobs were changed so far; of a dry run, how many matched. */
  readonly onProgress?: (jobs: number) => void;
}

export interface BulkResult {
  readonly queue: string;
  readonly dryRun: boolean;
  /** Jobs that were meant. */
  readonly matched: number;
  /** Of those, what was done to; the others were in another state by then. Of a dry run it is 0. */
  readonly changed: number;
  /** Ids that were asked for and could not be, with the reason. */
  readonly skipped: readonly { readonly id: string; readonly reason: string }[];
}

/** What can be done to many jobs. */
export interface Verb {
  /** As typed: `"job retry"`. */
  readonly command: string;
  /** States in which it can be done. */
  readonly states: readonly JobState[];
  /** Those meant where none is said. @default all of them */
  readonly byDefault?: readonly JobState[];
  /** Cancelled jobs are meant only by their ids. @default false */
  readonly sparesCancelled?: boolean;
  /** Jobs that the verb has made itself are not meant. */
  readonly made?: ReadonlySet<string>;
  /** Whether a job leaves its state by it. */
  readonly takes: (state: JobState) => boolean;
  /** @returns the ids that it was done to */
  readonly apply: (queue: StoredQueue, state: JobState, ids: readonly string[], place?: number) => Promise<ReadonlySet<string>>;
  /** Of ids that are in no state, as `apply`; of a dry run those that it would be done to. @default it is done to none of these */
  readonly applyToOrphans?: (queue: StoredQueue, ids: readonly string[], dryRun: boolean) => Promise<ReadonlySet<string>>;
  /** For the trail. */
  readonly details?: Readonly<Record<string, unknown>>;
}

interface Checked {
  readonly ids: readonly string[] | undefined;
  readonly filter: CheckedFilter;
  readonly dryRun: boolean;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((jobs: number) => void) | undefined;
}

const selectionOptions = {
  ...filterOptions, ids: checkIds, all: check.boolean(), dryRun: check.boolean(), signal: check.signal(), onProgress: check.callback<(jobs: number) => void>(),
};

/** @throws OptionError, ReadOnlyError before any I/O; NotFoundError; StateError; BackendError; the signal's reason */
export async function inBulk(operator: Operator, verb: Verb, name: string, selection: JobSelection): Promise<BulkResult> {
  const checked = checkSelection(verb, selection);
  operator.queue(name);
  if (checked.dryRun) return work(operator, verb, name, checked, () => undefined);
  const target = checked.ids?.length === 1 ? `${name}/${checked.ids[0]}` : name;
  const details = { ...verb.details, ...checked.filter.said, ...(checked.ids && checked.ids.length > 1 && { ids: checked.ids.slice(0, 20) }) };
  return operator.change({ command: verb.command, target, details }, (touch) => work(operator, verb, name, checked, touch));
}

function checkSelection({ command, states, byDefault }: Verb, selection: JobSelection): Checked {
  const { ids, all = false, dryRun = false, signal, onProgress } = checkOptions(command, selection, selectionOptions);
  const filter: JobFilter = Object.fromEntries(Object.entries(selection).filter(([name, value]) => name in filterOptions && value !== undefined));
  const said = Object.keys(filter).length;
  if (ids !== undefined && (all || said > 0)) throw new OptionError(`expected either ids or a filter for ${command}, got both`);
  if (ids === undefined && !all && said === 0) throw new OptionError(`expected ids, a filter or all for ${command}, got none of them`);
  const checked = checkFilter(command, filter, states);
  const isByDefault = filter.state === undefined && byDefault !== undefined;
  return { ids, filter: isByDefault ? { ...checked, states: checked.states.filter((state) => byDefault.includes(state)) } : checked, dryRun, signal, onProgress };
}

async function work(operator: Operator, verb: Verb, name: string, { ids, filter, dryRun, signal, onProgress }: Checked, touch: (count: number) => void): Promise<BulkResult> {
  const parts = await operator.parts(name);
  if (ids !== undefined) return ofIds(name, parts, verb, ids, dryRun, touch);
  let matched = 0;
  let changed = 0;
  const spares = (reason: string | undefined): boolean => verb.sparesCancelled === true && reason !== undefined && reasonOfCancel(reason) !== undefined;
  const meant: CheckedFilter = { ...filter, matches: (job, now) => !spares(job.reason) && verb.made?.has(job.id) !== true && filter.matches(job, now) };
  for await (const { queue, state, place, jobs, took } of pagesOf(parts, meant)) {
    signal?.throwIfAborted();
    matched += jobs.length;
    if (dryRun) {
      onProgress?.(matched);
      continue;
    }
    const done = await verb.apply(queue, state, jobs.map(({ id }) => id), place);
    touch((changed += done.size));
    onProgress?.(changed);
    if (verb.takes(state)) took((id) => done.has(id));
  }
  return { queue: name, dryRun, matched, changed, skipped: [] };
}

async function ofIds(name: string, parts: readonly StoredQueue[], { command, states, apply, applyToOrphans }: Verb, ids: readonly string[], dryRun: boolean, touch: Touch): Promise<BulkResult> {
  const skipped: { id: string; reason: string }[] = [];
  let matched = 0;
  let changed = 0;
  for (const { queue, state, ids: found } of await located(parts, ids)) {
    const skip = (all: readonly string[], reason: string): unknown => skipped.push(...all.map((id) => ({ id, reason })));
    if (state === "removed") {
      const done = new Set<string>();
      for (const part of parts) for (const id of (await applyToOrphans?.(part, found, dryRun)) ?? []) done.add(id);
      matched += done.size;
      if (!dryRun) touch((changed += done.size));
      skip(found.filter((id) => !done.has(id)), "there is no such job");
    } else if (!states.includes(state)) skip(found, `it is ${state}: expected ${states.join(", ")}`);
    else {
      matched += found.length;
      if (dryRun) continue;
      const done = new Set(await apply(queue, state, found));
      const rest = found.filter((id) => !done.has(id));
      if (rest.length > 0) for (const id of (await applyToOrphans?.(queue, rest, false)) ?? []) done.add(id);
      touch((changed += done.size));
      skip(found.filter((id) => !done.has(id)), "it changed its state meanwhile, is the next run of a schedule, or on its way by a queue move");
    }
  }
  const [first] = skipped;
  if (first === undefined || skipped.length < ids.length) {
    if (first !== undefined) touch(changed, { missed: new StateError(`${skipped.length} of ${ids.length} jobs could not be: of ${shown(first.id)}, ${first.reason}`) });
    return { queue: name, dryRun, matched, changed, skipped };
  }
  if (ids.length === 1) {
    if (first.reason === "there is no such job") throw noJob(name, first.id);
    throw new StateError(`${command} of job ${shown(first.id)} of queue ${name}: ${first.reason}`);
  }
  throw new NotFoundError(`${command} could be done to none of ${ids.length} jobs of queue ${name}: of ${shown(first.id)}, ${first.reason}`);
}

interface Located {
  readonly queue: StoredQueue;
  readonly state: JobState | "removed";
  readonly ids: string[];
}

/** Where each id is, and in which state. One of a stock producer may be in any partition. */
async function located(parts: readonly StoredQueue[], ids: readonly string[]): Promise<readonly Located[]> {
  const groups = new Map<string, Located>();
  let missing = ids;
  for (const [i, queue] of parts.entries()) {
    const asked = missing;
    missing = [];
    for (const [at, report] of (await inspectJobs(queue, asked)).entries()) {
      const state = stateOf(report.state);
      if (state === "removed" && i < parts.length - 1) {
        missing = [...missing, asked[at]!];
        continue;
      }
      const group = groups.get(`${i} ${state}`) ?? { queue, state, ids: [] };
      groups.set(`${i} ${state}`, group);
      group.ids.push(asked[at]!);
    }
  }
  return [...groups.values()];
}

/** To who did not ask for its reason, a cancelled job is a failed one. */
function stateOf(state: JobState | "cancelled" | "removed"): JobState | "removed" {
  return state === "cancelled" ? "failed" : state;
}

function checkIds(value: unknown, where: string): readonly string[] {
  if (Array.isArray(value) && value.length > 0) return [...new Set(value.map((id) => (checkJobId as Check<string>)(id, where)))];
  throw new OptionError(`expected the ids of one or several jobs for ${where}, got ${shown(value)}`);
}
