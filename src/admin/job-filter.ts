/** Which jobs of a queue are meant: by state, name, age and error. */
import { OptionError } from "../errors.ts";
import { JOB_STATES, type JobState } from "../job/state.ts";
import { check, checkOptions, shown, type Check, type Duration } from "../options.ts";
import type { WalkedJob } from "../store/walk.ts";
import { groupOf } from "./error-group.ts";

/** What is said of a job must hold altogether; what is not said holds. */
export interface JobFilter {
  /** One or several. @default all */
  readonly state?: JobState | readonly JobState[];
  /** The whole name. */
  readonly name?: string;
  /** Older than this: since it ended, since its attempt began where it runs, else since it was put. */
  readonly older?: Duration;
  /** What its last error must match. */
  readonly error?: RegExp | string;
  /** Failed, and of this group: `listDead` names them. */
  readonly group?: string;
  /** At most so many, at least 1. @default no limit */
  readonly limit?: number;
}

/** A filter, checked. */
export interface CheckedFilter {
  readonly states: readonly JobState[];
  readonly limit: number;
  matches(job: WalkedJob, now: number): boolean;
  /** For the trail and for messages: what was said of it. */
  readonly said: Readonly<Record<string, unknown>>;
}

export const filterOptions = { state: checkStates, name: check.string(), older: check.duration(), error: checkPattern, group: check.string(), limit: check.integer({ min: 1 }) };

/** The order in which jobs are walked: what is under way, what is next, what has ended. */
const IN_ORDER: readonly JobState[] = ["active", "waiting", "prioritized", "delayed", "waiting-children", "failed", "completed"];

/**
 * @param where  whose filter it is, for messages
 * @param among  the states that make sense there, all of them when none is said
 * @throws OptionError
 */
export function checkFilter(where: string, filter: JobFilter | undefined, among: readonly JobState[] = JOB_STATES): CheckedFilter {
  const { state: states, name, older, error, group, limit = Infinity } = checkOptions(where, filter, filterOptions);
  const unfit = states?.find((state) => !among.includes(state));
  if (unfit !== undefined) throw new OptionError(`expected ${among.join(", ")} for state of ${where}, got ${shown(unfit)}`);
  return {
    states: IN_ORDER.filter((state) => (states ?? among).includes(state)),
    limit,
    matches: (job, now) =>
      (name === undefined || job.name === name) && (older === undefined || now - sinceOf(job) > older) && (error === undefined || (job.reason !== undefined && error.test(job.reason))) &&
      (group === undefined || (job.state === "failed" && groupOf(job.name, job.reason) === group)),
    said: { ...(states && { state: states }), ...(name !== undefined && { name }), ...(older !== undefined && { olderMs: older }), ...(error && { error: error.source }), ...(group !== undefined && { group }), ...(limit !== Infinity && { limit }) },
  };
}

/** Since when a job has been in its state, as far as Redis tells. */
export function sinceOf({ state, finishedAt, startedAt, putAt }: WalkedJob): number {
  if (state === "completed" || state === "failed") return finishedAt ?? putAt;
  return state === "active" ? (startedAt ?? putAt) : putAt;
}

const oneState = check.oneOf(...JOB_STATES);

function checkStates(value: unknown, where: string): readonly JobState[] {
  const given: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (given.length === 0) throw new OptionError(`expected one or several states for ${where}, got none`);
  return given.map((one) => oneState(one, where));
}

function checkPattern(value: unknown, where: string): RegExp {
  if (value instanceof RegExp) return new RegExp(value.source, value.flags.replaceAll(/[gy]/g, "")); // those remember where they were
  const text = (check.string() as Check<string>)(value, where);
  try {
    return new RegExp(text);
  } catch (error) {
    throw new OptionError(`expected a regular expression for ${where}, got ${shown(text)}: ${(error as Error).message}`);
  }
}
