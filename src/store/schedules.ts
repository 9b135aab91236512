/**
 * BullMQ's job schedulers, as an operator sees and changes them. A paused one is taken out of BullMQ's keys, with its rule and
 * its template kept aside, since BullMQ has no pause.
 */
import type { JobsOptions, RepeatOptions } from "bullmq";
import { OptionError } from "../errors.ts";
import { asBackendError } from "../redis/errors.ts";
import { pausedSchedulesKey } from "./keys.ts";
import { schedulerOf } from "./schedule.ts";
import type { StoredQueue } from "./stored-queue.ts";

/** When, and how often. Instants in milliseconds. */
export interface ScheduleRule {
  readonly pattern?: string;
  readonly every?: number;
  readonly tz?: string;
  readonly limit?: number;
  readonly startDate?: number;
  readonly endDate?: number;
}

export interface StoredSchedule {
  readonly id: string;
  /** Of the jobs that it puts. */
  readonly name: string;
  readonly rule: ScheduleRule;
  /** JSON, and options as BullMQ stores them. */
  readonly data: string;
  readonly options: string;
  /** Undefined while it is paused. */
  readonly nextAt: number | undefined;
  readonly runs: number;
}

const RULE = ["pattern", "every", "tz", "limit", "startDate", "endDate"] as const;
const PAGE = 200;

/** Those that run, then those that are paused. Reads BullMQ's keys itself: BullMQ's own getters remove what they cannot read. @throws BackendError */
export async function readSchedules({ client, keys }: StoredQueue): Promise<StoredSchedule[]> {
  try {
    const flat = await client.zrange(keys.repeat, "0", "-1", "WITHSCORES");
    const planned = flat.flatMap((id, i) => (i % 2 === 0 ? [{ id, nextAt: Number(flat[i + 1]) }] : []));
    const found: StoredSchedule[] = [];
    for (let from = 0; from < planned.length; from += PAGE) {
      const page = planned.slice(from, from + PAGE);
      const hashes = await Promise.all(page.map(({ id }) => client.hgetall(`${keys.repeat}:${id}`)));
      for (const [i, { id, nextAt }] of page.entries()) found.push(toSchedule(id, hashes[i]!, nextAt));
    }
    const aside = await client.hgetall(pausedSchedulesKey(keys));
    const running = new Set(found.map(({ id }) => id));
    const paused = Object.entries(aside).filter(([id]) => !running.has(id));
    return [...found, ...paused.map(([id, hash]) => toSchedule(id, JSON.parse(hash) as Record<string, string>, undefined))];
  } catch (error) {
    throw asBackendError(error);
  }
}

function toSchedule(id: string, hash: Readonly<Record<string, string>>, nextAt: number | undefined): StoredSchedule {
  const rule = Object.fromEntries(RULE.flatMap((name) => (hash[name] === undefined ? [] : [[name, name === "pattern" || name === "tz" ? hash[name] : Number(hash[name])]])));
  return { id, name: hash["name"] ?? "", rule, data: hash["data"] ?? "{}", options: hash["opts"] ?? "{}", nextAt, runs: Number(hash["ic"] ?? 0) };
}

/** When the rule next applies; undefined when never. Does no I/O. @throws OptionError when the rule is none */
export async function nextRunOf({ pattern, every, tz }: ScheduleRule): Promise<number | undefined> {
  if (every !== undefined) return Date.now() + every;
  if (tz !== undefined && !isTimeZone(tz)) throw new OptionError(`expected a time zone such as "Europe/Zurich", got ${JSON.stringify(tz)}`);
  const { getNextMillis } = await import("bullmq");
  try {
    return getNextMillis(Date.now(), { pattern: pattern ?? "", ...(tz !== undefined && { tz }) });
  } catch (error) {
    throw new OptionError(`expected a cron pattern such as "0 7 * * *", got ${JSON.stringify(pattern)}: ${(error as Error).message}`);
  }
}

function isTimeZone(tz: string): boolean {
  try {
    return Intl.DateTimeFormat("en", { timeZone: tz }).format() !== "";
  } catch {
    return false;
  }
}

/** Makes a schedule, or changes it; a paused one goes on. @throws BackendError */
export async function writeSchedule(queue: StoredQueue, { id, name, rule, data, options }: Omit<StoredSchedule, "nextAt" | "runs">): Promise<void> {
  try {
    const scheduler = await schedulerOf(queue);
    await scheduler.upsertJobScheduler(id, rule as RepeatOptions, name, JSON.parse(data) as unknown, JSON.parse(options) as JobsOptions, { override: true });
    await queue.client.hdel(pausedSchedulesKey(queue.keys), id);
  } catch (error) {
    throw asBackendError(error);
  }
}

/** Takes a schedule out of BullMQ's keys, and its next run; its rule and template are kept aside first. @throws BackendError */
export async function pauseSchedule(queue: StoredQueue, id: string): Promise<void> {
  const { client, keys } = queue;
  try {
    await client.hset(pausedSchedulesKey(keys), id, JSON.stringify(await client.hgetall(`${keys.repeat}:${id}`)));
    await (await queue.stock()).removeJobScheduler(id);
  } catch (error) {
    throw asBackendError(error);
  }
}

/** Removes a schedule with its next run, paused or not. @throws BackendError */
export async function removeSchedule(queue: StoredQueue, id: string): Promise<void> {
  try {
    await (await queue.stock()).removeJobScheduler(id);
    await queue.client.hdel(pausedSchedulesKey(queue.keys), id);
  } catch (error) {
    throw asBackendError(error);
  }
}
