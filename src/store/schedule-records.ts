/** Schedules of a queue as they are stored, whole: read from one queue, written to another. */
import { asBackendError } from "../redis/errors.ts";
import { runScript, type Script } from "../redis/script.ts";
import { pausedSchedulesKey } from "./keys.ts";
import type { StoredQueue } from "./stored-queue.ts";

export interface ScheduleRecord {
  readonly schedule: string;
  /** When its next run is due; `null` while it is paused. */
  readonly at: number | null;
  readonly fields: Readonly<Record<string, string>>;
}

/** Those that run, then those that are paused. @throws BackendError */
export async function readSchedules({ client, keys }: StoredQueue): Promise<ScheduleRecord[]> {
  try {
    const flat = await client.zrange(keys.repeat, "0", "-1", "WITHSCORES");
    const schedules: ScheduleRecord[] = [];
    for (let i = 0; i + 1 < flat.length; i += 2) schedules.push({ schedule: flat[i]!, at: Number(flat[i + 1]), fields: await client.hgetall(`${keys.repeat}:${flat[i]!}`) });
    const running = new Set(schedules.map(({ schedule }) => schedule));
    for (const [schedule, hash] of Object.entries(await client.hgetall(pausedSchedulesKey(keys)))) {
      if (!running.has(schedule)) schedules.push({ schedule, at: null, fields: JSON.parse(hash) as Record<string, string> });
    }
    return schedules;
  } catch (error) {
    throw asBackendError(error);
  }
}

/** One that is there keeps its rule, and stays paused or not; its next run is the later of the two. @returns whether it was new @throws BackendError */
export async function writeSchedule({ client, keys }: StoredQueue, { schedule, at, fields }: ScheduleRecord): Promise<boolean> {
  const all = [keys.repeat, `${keys.repeat}:${schedule}`, pausedSchedulesKey(keys)];
  return (await runScript(client, WRITE, all, [schedule, at ?? "", JSON.stringify(fields), ...Object.entries(fields).flat()])) === 1;
}

/** Removes it, unless its next run is there: who runs that would find no schedule. @returns whether it was removed @throws BackendError */
export async function removeSchedule({ client, keys }: StoredQueue, schedule: string): Promise<boolean> {
  return (await runScript(client, REMOVE, [keys.repeat, `${keys.repeat}:${schedule}`, pausedSchedulesKey(keys)], [keys.base, schedule])) === 1;
}

/**
 * KEYS  schedules, hash of this one, what is kept of those that are paused
 * ARGV  its id, when it is due or "" while it is paused, its fields as JSON, {field, value}…
 * reply 1 it was new
 */
const WRITE: Script = {
  name: "write-schedule",
  lua: `
local runs, paused = redis.call('ZSCORE', KEYS[1], ARGV[1]), redis.call('HEXISTS', KEYS[3], ARGV[1]) == 1
if runs or paused then
  if runs and ARGV[2] ~= '' then redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1]) end
  return 0
end
if ARGV[2] == '' then
  redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
  return 1
end
-- Its fields come first: who finds it has its rule.
if #ARGV > 3 then redis.call('HSET', KEYS[2], unpack(ARGV, 4)) end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
return 1
`,
};

/**
 * KEYS  schedules, hash of this one, what is kept of those that are paused
 * ARGV  base, its id
 */
const REMOVE: Script = {
  name: "remove-schedule",
  lua: `
local at = redis.call('ZSCORE', KEYS[1], ARGV[2])
if at and redis.call('EXISTS', string.format('%srepeat:%s:%.0f', ARGV[1], ARGV[2], at)) == 1 then return 0 end
redis.call('ZREM', KEYS[1], ARGV[2])
redis.call('DEL', KEYS[2])
redis.call('HDEL', KEYS[3], ARGV[2])
return 1
`,
};
