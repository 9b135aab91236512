/** What ails a queue, as far as its keys tell: read in one step, of so much of it as one step may take. */
import { CANCELLED } from "../job/state.ts";
import { runPacked, type Script } from "../redis/script.ts";
import { NOW } from "./lua.ts";
import { DEADLINE_FIELD, EXPIRE_FIELD } from "./stored-job.ts";
import type { StoredQueue } from "./stored-queue.ts";

export interface Symptoms {
  /** Of the jobs that have been active for longest: those that nobody holds a lease of. */
  readonly unleased: readonly { readonly id: string; readonly startedAt: number; readonly worker: string | undefined }[];
  /** Of the jobs that run next, how many were looked at, and how many are past their deadline, or should have started before. */
  readonly next: { readonly looked: number; readonly late: number };
  /** Delayed jobs that are due, how many and since when the first of them is: whoever consumes takes them, so there are none for long. */
  readonly due: { readonly jobs: number; readonly since: number | undefined };
  /** Schedules whose next run is past, and whether there is such a job. */
  readonly overdue: readonly { readonly schedule: string; readonly dueAt: number; readonly exists: boolean }[];
  /** Jobs that failed for good, without cancelled ones: in the last ten minutes, and in the hour before them. */
  readonly failed: { readonly lately: number; readonly before: number };
  readonly now: number;
}

const LOOKED_AT = 500;
/** A run that is due is put by whoever looks next. */
const OVERDUE_MS = 60_000;
const LATELY_MS = 600_000;
const BEFORE_MS = 3_600_000;

/** @throws BackendError */
export async function readSymptoms({ client, keys }: StoredQueue): Promise<Symptoms> {
  const [now, unleased, looked, late, overdue, lately, before, due, dueSince] = (await runPacked(
    client,
    SYMPTOMS,
    [keys.active, keys.wait, keys.prioritized, keys.repeat, keys.failed, keys.delayed],
    [keys.base, LOOKED_AT, OVERDUE_MS, LATELY_MS, BEFORE_MS],
  )) as [number, [string, number, string][], number, number, [string, number, number][], number, number, number, number];
  return {
    now,
    unleased: unleased.map(([id, startedAt, worker]) => ({ id, startedAt, worker: worker || undefined })),
    next: { looked, late },
    due: { jobs: due, since: due === 0 ? undefined : dueSince },
    overdue: overdue.map(([schedule, dueAt, exists]) => ({ schedule, dueAt, exists: exists === 1 })),
    failed: { lately, before },
  };
}

/**
 * KEYS  active, wait, prioritized, repeat, failed, delayed
 * ARGV  base, how many of each to look at, ms after which a run is overdue, ms of "lately", ms of "before"
 * reply msgpack {now, {{id, started at, worker}, …}, looked at, late, {{schedule, due at, 1 where its job is there}, …}, failed lately, failed before,
 *       delayed jobs that are due, since when the first is}
 */
const SYMPTOMS: Script = {
  name: "symptoms",
  lua: `
local active, wait, prioritized, schedules, failed, delayed = unpack(KEYS)
local base, most = ARGV[1], tonumber(ARGV[2])
${NOW}
local unleased = {}
for _, id in ipairs(redis.call('LRANGE', active, -most, -1)) do
  if redis.call('EXISTS', base .. id .. ':lock') == 0 then
    local job = redis.call('HMGET', base .. id, 'processedOn', 'pb')
    unleased[#unleased + 1] = {id, tonumber(job[1]) or 0, job[2] or ''}
  end
end
local looked, late = 0, 0
local function look(id)
  local job = redis.call('HMGET', base .. id, 'timestamp', '${DEADLINE_FIELD}', '${EXPIRE_FIELD}')
  local deadline = tonumber(job[2]) and (tonumber(job[1]) or 0) + tonumber(job[2])
  looked = looked + 1
  if (deadline and deadline <= now) or (tonumber(job[3]) and tonumber(job[3]) <= now) then late = late + 1 end
end
for _, id in ipairs(redis.call('LRANGE', wait, -most, -1)) do look(id) end
for _, id in ipairs(redis.call('ZRANGE', prioritized, 0, most - 1)) do look(id) end
local overdue = {}
local due = redis.call('ZRANGE', schedules, '-inf', now - ARGV[3], 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES')
for i = 1, #due, 2 do
  local job = string.format('%srepeat:%s:%.0f', base, due[i], due[i + 1])
  overdue[#overdue + 1] = {due[i], tonumber(due[i + 1]), redis.call('EXISTS', job)}
end
-- Of the latest ones it is looked whether they were cancelled; of more, as many are taken to have been in proportion.
local function failures(from, to)
  local all = redis.call('ZCOUNT', failed, from, to)
  local latest = redis.call('ZRANGE', failed, to, from, 'BYSCORE', 'REV', 'LIMIT', 0, most)
  local cancelled = 0
  for _, id in ipairs(latest) do
    local reason = redis.call('HGET', base .. id, 'failedReason') or ''
    if string.sub(reason, 1, ${CANCELLED.length}) == '${CANCELLED}' then cancelled = cancelled + 1 end
  end
  return #latest == 0 and 0 or math.floor(all * (#latest - cancelled) / #latest + 0.5)
end
local lately = now - ARGV[4]
local first = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
local dueSince = math.floor((tonumber(first[2]) or 0) / 0x1000)
return cmsgpack.pack({now, unleased, looked, late, overdue, failures(lately, now), failures(lately - ARGV[5], lately), redis.call('ZCOUNT', delayed, '-inf', (now + 1) * 0x1000 - 1), dueSince})
`,
};
