/**
 * Jobs as they are stored, whole: read from one queue, written to another, or to the same one again. All fields of a job's
 * hash as they stand, its place, its log, and what a flow and a deduplication id keep of it.
 */
import { Packr } from "msgpackr";
import type { JobState } from "../job/state.ts";
import { asBackendError } from "../redis/errors.ts";
import { runPacked, type Script } from "../redis/script.ts";
import { ATTEMPT, DELAY_JOB, NEXT_DELAYED, NOW } from "./lua.ts";
import type { StoredQueue } from "./stored-queue.ts";

/** One job. Its place is its state and score: of a waiting one, the order of the rows is the order in which they run. */
export interface JobRecord {
  readonly id: string;
  readonly state: JobState;
  /** In the sorted set of its state; 0 where that is a list. */
  readonly score: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly logs: readonly string[];
  /** How long its deduplication id holds: 0 until it ends, -1 where it holds none. */
  readonly deduplicationMs: number;
  /** What a parent keeps of its children, by keys of theirs. */
  readonly children: {
    readonly pending: readonly string[];
    readonly processed: Readonly<Record<string, string>>;
    readonly failed: Readonly<Record<string, string>>;
    readonly unsuccessful: Readonly<Record<string, number>>;
  };
}

/** Where a job was when it was met. */
export interface JobPlace {
  readonly id: string;
  readonly state: JobState;
  readonly score: number;
}

/** Where these jobs are, of one state; those that have left it are left out. @throws BackendError */
export async function placesOf({ client, keys }: StoredQueue, state: JobState, ids: readonly string[]): Promise<JobPlace[]> {
  const set = { prioritized: keys.prioritized, delayed: keys.delayed, "waiting-children": keys.waitingChildren, completed: keys.completed, failed: keys.failed, waiting: undefined, active: undefined }[state];
  if (set === undefined) return ids.map((id) => ({ id, state, score: 0 }));
  try {
    const scores = await client.zmscore(set, ...ids);
    return ids.flatMap((id, i) => (typeof scores[i] === "string" ? [{ id, state, score: Number(scores[i]) }] : []));
  } catch (error) {
    throw asBackendError(error);
  }
}

type Row = [string[], string[], number, string[], string[], string[], string[]];

/** Those that are still there, in order. @throws BackendError */
export async function readRecords({ client, keys }: StoredQueue, places: readonly JobPlace[]): Promise<JobRecord[]> {
  const rows = (await runPacked(client, READ, [keys.meta], [keys.base, ...places.map(({ id }) => id)])) as Row[];
  return rows.flatMap(([flat, logs, deduplicationMs, pending, processed, failed, unsuccessful], i) => {
    const scores = Object.entries(toFields(unsuccessful)).map(([key, score]) => [key, Number(score)] as const);
    const children = { pending, processed: toFields(processed), failed: toFields(failed), unsuccessful: Object.fromEntries(scores) };
    return flat.length === 0 ? [] : [{ ...places[i]!, fields: toFields(flat), logs, deduplicationMs, children }];
  });
}

function toFields(flat: readonly string[]): Record<string, string> {
  const fields: Record<string, string> = {};
  for (let i = 0; i + 1 < flat.length; i += 2) fields[flat[i]!] = flat[i + 1]!;
  return fields;
}

/** A batch of a move: written once, however often it is sent. */
export interface MoveBatch {
  readonly key: string;
  readonly number: number;
}

/**
 * Writes those whose id is free, all of them in one step. What was active waits again, before all others. BullMQ's counter of
 * ids is raised above those that it might give again.
 *
 * @param batch  sent again, no job is written, and the answer is that of the first time
 * @returns the ids that were there already
 * @throws BackendFullError: nothing was written; BackendError
 */
export async function writeRecords({ client, keys }: StoredQueue, records: readonly JobRecord[], batch?: MoveBatch): Promise<string[]> {
  const rows = records.map(({ id, state, score, fields, logs, deduplicationMs, children }) => [
    id, state, String(score), Object.entries(fields).flat(), logs, deduplicationMs,
    children.pending, Object.entries(children.processed).flat(), Object.entries(children.failed).flat(),
    Object.entries(children.unsuccessful).flatMap(([key, at]) => [String(at), key]),
  ]);
  return (await runPacked(
    client,
    WRITE,
    [
      keys.wait, keys.prioritized, keys.delayed, keys.waitingChildren, keys.completed, keys.failed, keys.priorityCounter, `${keys.base}id`, keys.marker, keys.meta,
      batch?.key ?? keys.meta,
    ],
    [keys.base, packr.pack(rows), batch?.number ?? 0],
  )) as string[];
}

const packr = new Packr({ useRecords: false });
/** A move that nobody goes on with for so long is over. */
const REMEMBERED_MS = 30 * 86_400_000;

/**
 * KEYS  meta, for the slot that a cluster looks for it in
 * ARGV  base, id…
 * reply msgpack {{{field, value, …}, {log line, …}, deduplication ms, {pending, …}, {processed…}, {failed…}, {unsuccessful…}}, …}
 */
const READ: Script = {
  name: "read-records",
  lua: `
local base, rows = ARGV[1], {}
for i = 2, #ARGV do
  local id = ARGV[i]
  local key = base .. id
  local deduplication = -1
  local held = redis.call('HGET', key, 'deid')
  if held and redis.call('GET', base .. 'de:' .. held) == id then deduplication = math.max(redis.call('PTTL', base .. 'de:' .. held), 0) end
  rows[#rows + 1] = {
    redis.call('HGETALL', key), redis.call('LRANGE', key .. ':logs', 0, -1), deduplication, redis.call('SMEMBERS', key .. ':dependencies'),
    redis.call('HGETALL', key .. ':processed'), redis.call('HGETALL', key .. ':failed'), redis.call('ZRANGE', key .. ':unsuccessful', 0, -1, 'WITHSCORES'),
  }
end
return cmsgpack.pack(rows)
`,
};

/**
 * KEYS  wait, prioritized, delayed, waiting-children, completed, failed, priority counter, id counter, marker, meta, batch
 * ARGV  base, msgpack of rows, number of the batch or 0
 * reply msgpack {ids that were there, …}
 *
 * A full Redis refuses the first write, and none after it. Should anything fail all the same, what was written is taken back.
 */
const WRITE: Script = {
  name: "write-records",
  lua: `
local wait, prioritized, delayed, children, completed, failed, counter, ids, marker, meta, batch = unpack(KEYS)
local base, rows, number = ARGV[1], cmsgpack.unpack(ARGV[2]), tonumber(ARGV[3])
${NOW}${ATTEMPT}${NEXT_DELAYED}${DELAY_JOB}
if number > 0 then
  local known = redis.call('GET', batch)
  local last = known and cmsgpack.unpack(known)
  if last and last[1] >= number then
    -- Whoever waits for replicas waits for a write.
    redis.call('PEXPIRE', batch, ${REMEMBERED_MS})
    return cmsgpack.pack(last[2])
  end
end
local sets = {prioritized = prioritized, delayed = delayed, ['waiting-children'] = children, completed = completed, failed = failed}
local existing, waiting, first = {}, {}, {}
local highest, order = tonumber(redis.call('GET', ids)) or 0, tonumber(redis.call('GET', counter)) or 0
local anyDelayed, anyReady = false, false
local function write(command, key, values, each)
  for at = 1, #values, 1000 do
    local to = math.min(at + 999, #values)
    redis.call(command, key, unpack(values, at, to))
    if each then each(to) end
  end
end
local written, pushed, before = {}, 0, 0
local function writeAll()
  for _, row in ipairs(rows) do
    local id, state, score, fields, logs, deduplication, pending, processed, lost, unsuccessful = unpack(row)
    local key = base .. id
    if redis.call('EXISTS', key) == 1 then
      existing[#existing + 1] = id
    else
      written[#written + 1] = key
      redis.call('HSET', key, unpack(fields))
      write('RPUSH', key .. ':logs', logs)
      write('SADD', key .. ':dependencies', pending)
      write('HSET', key .. ':processed', processed)
      write('HSET', key .. ':failed', lost)
      write('ZADD', key .. ':unsuccessful', unsuccessful)
      local held = redis.call('HGET', key, 'deid')
      if held and deduplication > 0 then
        redis.call('SET', base .. 'de:' .. held, id, 'NX', 'PX', deduplication)
      elseif held and deduplication == 0 then
        redis.call('SET', base .. 'de:' .. held, id, 'NX')
      end
      if sets[state] then redis.call('ZADD', sets[state], score, id) end
      if state == 'waiting' then waiting[#waiting + 1] = id elseif state == 'active' then first[#first + 1] = id end
      anyReady = anyReady or state == 'waiting' or state == 'active' or state == 'prioritized'
      anyDelayed = anyDelayed or state == 'delayed'
      if state == 'prioritized' then order = math.max(order, tonumber(score) % 0x100000000) end
      if string.match(id, '^[1-9]%d*$') and #id < 16 then highest = math.max(highest, tonumber(id)) end
    end
  end
  write('LPUSH', wait, waiting, function(count) pushed = count end)
  write('RPUSH', wait, first, function(count) before = count end)
  if highest > (tonumber(redis.call('GET', ids)) or 0) then redis.call('SET', ids, string.format('%.0f', highest)) end
  if order > (tonumber(redis.call('GET', counter)) or 0) then redis.call('SET', counter, string.format('%.0f', order)) end
  if anyDelayed then markDelayed(marker, delayed) end
  if anyReady and redis.call('HEXISTS', meta, 'paused') == 0 then redis.call('ZADD', marker, 0, '0') end
  if number > 0 then redis.call('SET', batch, cmsgpack.pack({number, existing}), 'PX', ${REMEMBERED_MS}) end
end
attempt(writeAll, function()
  if pushed > 0 then redis.call('LTRIM', wait, pushed, -1) end
  if before > 0 then redis.call('LTRIM', wait, 0, -before - 1) end
  for _, key in ipairs(written) do
    local id = string.sub(key, #base + 1)
    for _, set in pairs(sets) do redis.call('ZREM', set, id) end
    local held = redis.call('HGET', key, 'deid')
    if held and redis.call('GET', base .. 'de:' .. held) == id then redis.call('DEL', base .. 'de:' .. held) end
    redis.call('DEL', key, key .. ':logs', key .. ':dependencies', key .. ':processed', key .. ':failed', key .. ':unsuccessful')
  end
end)
return cmsgpack.pack(existing)
`,
};
