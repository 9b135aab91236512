/**
 * The script of a stock Queue's turn: the plain jobs that were added in it, in one round trip.
 *
 * It writes what BullMQ's `addStandardJob` would write one after the other: the same ids, options, events. A job that asks
 * for more (a parent, a delay, a priority, a deduplication id, a schedule) is for BullMQ's own script.
 */
import type { JobJson } from "bullmq";
import { Packr } from "msgpackr";
import { ForeignScript, type ForeignClient } from "../redis/foreign-script.ts";
import type { QueueKeys } from "./keys.ts";
import { ATTEMPT, TRIM_EVENTS } from "./lua.ts";

/** As the script takes it; without an id of its own it gets the queue's next number. */
export type PlainJob = readonly [id: string, name: string, data: string, options: string, timestamp: number, lifo: 0 | 1];

/** Beyond the limits of a plain job. */
const NOT_PLAIN = ["delay", "priority", "deduplication", "debounce", "repeat", "parent", "telemetry", "prevMillis", "repeatJobKey"];

/** The job as the script takes it; `undefined` where it is for BullMQ's own script. */
export function plainJob(job: JobJson, id: string | undefined, shortNames: Readonly<Record<string, string>>): PlainJob | undefined {
  const { name, data, timestamp } = job;
  const opts = job.opts as Readonly<Record<string, unknown>>;
  if (job.parent !== undefined || job.parentKey !== undefined || job.repeatJobKey !== undefined || job.deduplicationId !== undefined) return undefined;
  if (typeof name !== "string" || typeof data !== "string" || typeof timestamp !== "number" || (id !== undefined && typeof id !== "string")) return undefined;
  if (NOT_PLAIN.some((option) => Boolean(opts[option]))) return undefined;
  const stored: Record<string, unknown> = {};
  for (const option in opts) {
    const value = opts[option];
    if (value === undefined) continue;
    if (!isExact(value)) return undefined;
    stored[shortNames[option] ?? option] = value;
  }
  return [id ?? "", name, data, JSON.stringify(stored), timestamp, opts["lifo"] ? 1 : 0];
}

/** Whether Lua's JSON, by which BullMQ's script stores options, says the same of it as JavaScript's. */
function isExact(value: unknown, depth = 0): boolean {
  if (typeof value === "number") return Number.isFinite(value) && Number(value.toPrecision(14)) === value;
  if (typeof value === "string" || typeof value === "boolean") return true;
  if (typeof value !== "object" || value === null || Array.isArray(value) || depth > 2) return false;
  const inner = Object.values(value);
  return inner.length > 0 && inner.every((each) => each === undefined || isExact(each, depth + 1));
}

/** @returns their ids, in order @throws what ioredis and Redis throw, as they throw it */
export async function addPlainJobs(client: ForeignClient, keys: QueueKeys, jobs: readonly PlainJob[]): Promise<string[]> {
  const last = (await PUT.runPacked(
    client,
    [keys.wait, keys.active, keys.events, keys.meta, keys.marker, keys.id],
    [keys.base, packr.pack(jobs)],
  )) as number;
  return jobs.map(([id], i) => (id === "" ? String(last - jobs.length + 1 + i) : id));
}

const packr = new Packr({ useRecords: false });

/**
 * KEYS  wait, active, events, meta, marker, id
 * ARGV  base, msgpack {{id or "", name, data, options, timestamp, lifo}, …}
 * reply msgpack of the last number that was counted up to: BullMQ counts every job, whether or not it takes the number
 *
 * What can fail fails before a job is written: a key of another type at a read, a full Redis at the first write. Should
 * anything fail all the same, what was written is taken back, so that BullMQ's script finds none of its ids in use.
 */
const PUT = new ForeignScript({
  name: "stock-put",
  lua: `
local wait, active, events, meta, marker, counter = unpack(KEYS)
local base, jobs = ARGV[1], cmsgpack.unpack(ARGV[2])
local state = redis.call('HMGET', meta, 'paused', 'concurrency', 'opts.maxLenEvents')
local held = state[1] or (state[2] and redis.call('LLEN', active) >= tonumber(state[2]))
redis.call('LLEN', wait)
redis.call('XLEN', events)
redis.call('ZCARD', marker)
local exists = {}
for _, job in ipairs(jobs) do
  if job[1] ~= '' and redis.call('EXISTS', base .. job[1]) == 1 then exists[job[1]] = true end
end
${ATTEMPT}${TRIM_EVENTS}
local last = redis.call('INCRBY', counter, #jobs)
trimEvents(meta, events, state[3])
local written, waiting, lifo = {}, {}, {}
local function write()
  for i, job in ipairs(jobs) do
    local id, name, data, options, timestamp, isLifo = unpack(job)
    if id == '' then id = string.format('%.0f', last - #jobs + i) end
    if exists[id] then
      redis.call('XADD', events, '*', 'event', 'duplicated', 'jobId', id)
    else
      if job[1] ~= '' then exists[id] = true end
      redis.call('HSET', base .. id, 'name', name, 'data', data, 'opts', options, 'timestamp', timestamp, 'delay', 0, 'priority', 0)
      written[#written + 1] = base .. id
      redis.call('XADD', events, '*', 'event', 'added', 'jobId', id, 'name', name)
      redis.call('XADD', events, '*', 'event', 'waiting', 'jobId', id)
      if isLifo == 1 then lifo[#lifo + 1] = id else waiting[#waiting + 1] = id end
    end
  end
  if #waiting > 0 then redis.call('LPUSH', wait, unpack(waiting)) end
  if #lifo > 0 then redis.call('RPUSH', wait, unpack(lifo)) end
  if #written > 0 and not held then redis.call('ZADD', marker, 0, '0') end
end
attempt(write, function()
  for _, id in ipairs(waiting) do redis.call('LREM', wait, 0, id) end
  for _, id in ipairs(lifo) do redis.call('LREM', wait, 0, id) end
  if #written > 0 then redis.call('DEL', unpack(written)) end
end)
return cmsgpack.pack(last)
`,
});
