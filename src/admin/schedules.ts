/** Schedules: BullMQ's job schedulers. They put a job by a cron pattern, or every so often. */
import { NotFoundError, OptionError, StateError } from "../errors.ts";
import { checkJobName } from "../job/name.ts";
import { redacted } from "../job/redact.ts";
import { check, checkOptions, shown, suggest, type Duration } from "../options.ts";
import { newJobId } from "../queue/job-id.ts";
import { readRedaction } from "../store/redactions.ts";
import { nextRunOf, pauseSchedule as pauseStored, readSchedules, removeSchedule as removeStored, writeSchedule, type StoredSchedule } from "../store/schedules.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import type { Operator } from "./operator.ts";

export interface ScheduleRow {
  readonly queue: string;
  readonly id: string;
  /** Of the jobs that it puts. */
  readonly name: string;
  readonly cron: string | undefined;
  readonly everyMs: number | undefined;
  readonly tz: string | undefined;
  /** When its next job is due, by the server's clock, in milliseconds; undefined while it is paused. */
  readonly nextAt: number | undefined;
  readonly paused: boolean;
  /** Jobs that it has put. */
  readonly runs: number;
  readonly payload: unknown;
  readonly options: Readonly<Record<string, unknown>>;
}

/** Of one queue, or of all of them: what is due next comes first, what is paused last. @throws OptionError; NotFoundError; BackendError */
export async function listSchedules(operator: Operator, name?: string): Promise<ScheduleRow[]> {
  if (name !== undefined) operator.queue(name);
  const queues = name === undefined ? (await operator.queueNames()).map((each) => operator.queue(each)) : [await operator.existing(name)];
  const found = await Promise.all(queues.map(async (queue) => Promise.all((await readSchedules(queue)).map((schedule) => rowOf(queue, schedule)))));
  return found.flat().toSorted((a, b) => (a.nextAt ?? Infinity) - (b.nextAt ?? Infinity) || (a.id < b.id ? -1 : 1));
}

export interface SchedulePut {
  /** Of the jobs, 1 to 200 characters. */
  readonly name: string;
  /** A cron pattern of five fields, or six with seconds; or `every`. */
  readonly cron?: string;
  /** So often, at least 1 s; or `cron`. */
  readonly every?: Duration;
  /** Of the pattern. @default the time zone of whoever plans the next run */
  readonly tz?: string;
  /** JSON; no contract is asked. @default {} */
  readonly payload?: unknown;
  /** How often each job is tried in all. @default what the handler's contract says */
  readonly attempts?: number;
}

const putOptions = { name: checkJobName, cron: check.string(), every: check.duration({ min: 1000 }), tz: check.string(), payload: (value: unknown) => value, attempts: check.integer({ min: 1 }) };

/** Makes a schedule, or changes it as a whole; a paused one goes on. @throws OptionError, ReadOnlyError before any I/O; BackendError */
export async function putSchedule(operator: Operator, queue: string, id: string, schedule: SchedulePut): Promise<ScheduleRow> {
  checkScheduleId(id);
  operator.queue(queue);
  const { name, cron, every, tz, payload = {}, attempts } = checkOptions("putSchedule", schedule, putOptions);
  if (name === undefined) throw new OptionError("expected the name of its jobs, got none");
  if ((cron === undefined) === (every === undefined)) throw new OptionError(`expected either cron or every, got ${cron === undefined ? "neither" : "both"}`);
  if (tz !== undefined && cron === undefined) throw new OptionError("expected cron with tz, got every");
  const rule = { ...(cron !== undefined && { pattern: cron }), ...(every !== undefined && { every }), ...(tz !== undefined && { tz }) };
  await nextRunOf(rule);
  const data = JSON.stringify(payload) as string | undefined;
  if (data === undefined) throw new OptionError(`expected a payload that JSON can carry, got ${shown(payload)}`);
  return operator.change({ command: "schedule put", target: `${queue}/${id}`, details: { name, ...rule } }, async (touch) => {
    const stored = operator.queue(queue);
    await writeSchedule(stored, { id, name, rule, data, options: JSON.stringify(attempts === undefined ? {} : { attempts }) });
    touch(1);
    return rowOf(stored, await find(stored, id));
  });
}

/** Puts nothing more until it is resumed; its next job is taken back. @throws StateError when it is paused; else as `removeSchedule` */
export function pauseSchedule(operator: Operator, queue: string, id: string): Promise<ScheduleRow> {
  return changed(operator, "schedule pause", queue, id, async (stored, { nextAt }) => {
    if (nextAt === undefined) throw new StateError(`expected a schedule that runs, but ${shown(id)} of queue ${queue} is paused`);
    await pauseStored(stored, id);
  });
}

/** Lets a paused one go on, from now. @throws StateError when it is not paused; else as `removeSchedule` */
export function resumeSchedule(operator: Operator, queue: string, id: string): Promise<ScheduleRow> {
  return changed(operator, "schedule resume", queue, id, async (stored, schedule) => {
    if (schedule.nextAt !== undefined) throw new StateError(`expected a schedule that is paused, but ${shown(id)} of queue ${queue} runs`);
    await writeSchedule(stored, schedule);
  });
}

export interface RunResult {
  readonly queue: string;
  readonly schedule: string;
  /** The job that was put. */
  readonly id: string;
}

/** Puts a job as the schedule does, now; what it has planned stays planned. @throws as `removeSchedule` */
export async function runSchedule(operator: Operator, queue: string, id: string): Promise<RunResult> {
  let jobId = "";
  await changed(operator, "schedule run", queue, id, async (stored, { name, data, options }) => {
    const { priority = 0 } = JSON.parse(options) as { priority?: number };
    jobId = newJobId();
    const job = { id: jobId, name, data, options, priority, delayMs: 0, runAtMs: 0, lifo: false, timeoutMs: 0, deadlineMs: 0, expireAtMs: 0 };
    await (await operator.open(stored.name)).all[0]!.lane.put(job, { waits: false });
  });
  return { queue, schedule: id, id: jobId };
}

export interface RemovedSchedule {
  readonly queue: string;
  readonly schedule: string;
}

/** Removes a schedule with its next job. @throws OptionError, ReadOnlyError before any I/O; NotFoundError; BackendError */
export async function removeSchedule(operator: Operator, queue: string, id: string): Promise<RemovedSchedule> {
  await changed(operator, "schedule remove", queue, id, (stored) => removeStored(stored, id));
  return { queue, schedule: id };
}

function changed(operator: Operator, command: string, queue: string, id: string, work: (stored: StoredQueue, schedule: StoredSchedule) => Promise<void>): Promise<ScheduleRow> {
  checkScheduleId(id);
  operator.queue(queue);
  return operator.change({ command, target: `${queue}/${id}` }, async (touch) => {
    const stored = await operator.existing(queue);
    const schedule = await find(stored, id);
    await work(stored, schedule);
    touch(1);
    return rowOf(stored, (await readSchedules(stored)).find((one) => one.id === id) ?? schedule);
  });
}

async function find(queue: StoredQueue, id: string): Promise<StoredSchedule> {
  const all = await readSchedules(queue);
  const found = all.find((schedule) => schedule.id === id);
  if (found !== undefined) return found;
  const near = suggest(id, all.map((schedule) => schedule.id));
  throw new NotFoundError(`no schedule of queue ${queue.name} is called ${shown(id)}${near === undefined ? "" : `: did you mean ${near}?`}`);
}

function checkScheduleId(id: unknown): void {
  if (typeof id === "string" && /^[^:\p{Cc}]{1,200}$/u.test(id)) return;
  throw new OptionError(`expected 1 to 200 characters without ":" for the id of a schedule, got ${shown(id)}`);
}

/** What contracts redact in its jobs is `***` here too. */
async function rowOf(queue: StoredQueue, { id, name, rule, nextAt, runs, data, options }: StoredSchedule): Promise<ScheduleRow> {
  return {
    queue: queue.name, id, name, cron: rule.pattern, everyMs: rule.every, tz: rule.tz, nextAt, paused: nextAt === undefined, runs,
    payload: redacted(JSON.parse(data), await readRedaction(queue, name)), options: JSON.parse(options) as Record<string, unknown>,
  };
}
