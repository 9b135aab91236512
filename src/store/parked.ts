/**
 * Jobs on their way to another queue. A batch is parked: taken from its state, so that nobody starts it here, and noted in one
 * key, with where each was and which batch it is. When it is written there, it is removed here. Interrupted anywhere between,
 * whoever goes on finds the batch and its number; and who was sent it already knows that number.
 */
import { Packr } from "msgpackr";
import { StateError } from "../errors.ts";
import type { JobState } from "../job/state.ts";
import { asBackendError } from "../redis/errors.ts";
import { runPacked, runScript, type Script } from "../redis/script.ts";
import type { JobPlace } from "./job-records.ts";
import { ATTEMPT, TRIM_EVENTS } from "./lua.ts";
import type { StoredQueue } from "./stored-queue.ts";

/** What is moved; of what runs, and of parents that wait for children, nothing. */
export type MovedState = Exclude<JobState, "active" | "waiting-children">;

export interface Parked {
  readonly number: number;
  readonly places: readonly JobPlace[];
  /** Jobs that stay: they belong to a flow, which is bound to its queues. */
  readonly passed: number;
}

/** A move that was begun. */
export interface Move {
  readonly id: string;
  /** Where to, as text. */
  readonly to: string;
}

export function parkedKey({ keys }: StoredQueue): string {
  return `${keys.base}millrace:moving`;
}

/** What the queue that jobs go to keeps of a move: the number of its last batch. */
export function movedKey({ keys }: StoredQueue, move: string): string {
  return `${keys.base}millrace:moved:${move}`;
}

/** Begins a move, or gives the one that was begun before. @throws BackendError */
export async function beginMove(queue: StoredQueue, move: Move): Promise<Move> {
  const [id, to] = (await runScript(queue.client, BEGIN, [parkedKey(queue)], [move.id, move.to])) as [string, string];
  return { id, to };
}

/** The one that was begun and has not ended. @throws BackendError */
export async function standingMove(queue: StoredQueue): Promise<Move | undefined> {
  const [id, to] = await queue.client.hmget(parkedKey(queue), "move", "to").catch((error: unknown) => Promise.reject(asBackendError(error)));
  return typeof id === "string" ? { id, to: String(to) } : undefined;
}

/** What is parked: no more than one batch. @throws BackendError */
export async function parkedJobs(queue: StoredQueue): Promise<readonly string[]> {
  const rows = (await runPacked(queue.client, LOOK, [parkedKey(queue)], [])) as [string, string, string][];
  return rows.map(([id]) => id);
}

const STATES = { waiting: 1, prioritized: 2, delayed: 3, completed: 4, failed: 5 } as const satisfies Record<MovedState, number>;

/**
 * Parks the next batch of a state: what runs next first. A batch that is parked already is given, whatever its state.
 *
 * @param move    the id of the one that stands
 * @param passed  jobs at the beginning of the state that are to be left
 * @throws StateError where the move stands no more: its numbers begin again with the next one, and the target would take a batch for one
 *   that it knows; BackendError; the same call again gives the same batch
 */
export async function park(queue: StoredQueue, move: string, state: MovedState, passed: number, most: { readonly jobs: number; readonly bytes: number }): Promise<Parked> {
  const { client, keys } = queue;
  const reply = (await runPacked(
    client,
    PARK,
    [keys.wait, keys.prioritized, keys.delayed, keys.completed, keys.failed, parkedKey(queue)],
    [keys.base, STATES[state], state, passed, most.jobs, most.bytes, move],
  )) as [number, [string, MovedState, string][], number] | 0;
  if (reply === 0) throw new StateError(`expected the move of ${queue.name} to stand, but it has ended, or was given back: the same command again begins another`);
  const [number, rows, left] = reply;
  return { number, places: rows.map(([id, was, score]) => ({ id, state: was, score: Number(score) })), passed: left };
}

/**
 * Removes the parked batch of this move and number; those in `back` return to where they were.
 *
 * @returns how many were removed: 0 where it is another batch that is parked
 * @throws BackendError
 */
export function leave(queue: StoredQueue, move: string, number: number, back: readonly string[]): Promise<number> {
  return leaveOrReturn(queue, [queue.keys.base, move, number, packr.pack(back)]);
}

/** Returns all that is parked to where it was, and ends the move, in one step. @returns how many jobs: 0 where it is another move that stands. @throws BackendError */
export function giveBack(queue: StoredQueue, move: string): Promise<number> {
  return leaveOrReturn(queue, [queue.keys.base, move]);
}

async function leaveOrReturn(queue: StoredQueue, args: readonly (string | number | Buffer)[]): Promise<number> {
  const { client, keys } = queue;
  const states = [keys.wait, keys.prioritized, keys.delayed, keys.completed, keys.failed];
  return (await runScript(client, LEAVE, [...states, parkedKey(queue), keys.events, keys.meta, keys.marker], args)) as number;
}

/** @throws BackendError */
export async function endMove(queue: StoredQueue): Promise<void> {
  await runScript(queue.client, END, [parkedKey(queue)], []);
}

const packr = new Packr({ useRecords: false });

/**
 * KEYS  parked
 * ARGV  id of the move, where to
 * reply {id, where to} of the move that stands
 */
const BEGIN: Script = {
  name: "begin-move",
  lua: `
if redis.call('HEXISTS', KEYS[1], 'move') == 0 then redis.call('HSET', KEYS[1], 'move', ARGV[1], 'to', ARGV[2]) end
return redis.call('HMGET', KEYS[1], 'move', 'to')
`,
};

const LOOK: Script = { name: "parked", lua: `return redis.call('HGET', KEYS[1], 'rows') or cmsgpack.pack({})` };

/** It stands while anything is parked. */
const END: Script = { name: "end-move", lua: `if redis.call('HEXISTS', KEYS[1], 'rows') == 0 then redis.call('DEL', KEYS[1]) end` };

/**
 * KEYS  wait, prioritized, delayed, completed, failed, parked
 * ARGV  base, which of them, its state, jobs to pass, most jobs, most bytes, id of the move
 * reply msgpack {number, {{id, state, score}, …}, passed}; 0 where that move does not stand
 */
const PARK: Script = {
  name: "park",
  lua: `${ATTEMPT}
local base, from, state, passed, most, room, parked = ARGV[1], KEYS[tonumber(ARGV[2])], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), KEYS[6]
if redis.call('HGET', parked, 'move') ~= ARGV[7] then return cmsgpack.pack(0) end
local number = tonumber(redis.call('HGET', parked, 'n')) or 0
local rows = redis.call('HGET', parked, 'rows')
if rows then
  -- As it is: whoever waits for replicas waits for a write.
  redis.call('HSET', parked, 'n', number)
  return cmsgpack.pack({number, cmsgpack.unpack(rows), 0})
end
local places = {}
if state == 'waiting' then
  local ids = redis.call('LRANGE', from, -(passed + most), -(passed + 1))
  for i = #ids, 1, -1 do places[#places + 1] = {ids[i], state, '0'} end
else
  local found = redis.call('ZRANGE', from, passed, passed + most - 1, 'WITHSCORES')
  for i = 1, #found, 2 do places[#places + 1] = {found[i], state, found[i + 1]} end
end
local taken, left, bytes = {}, 0, 0
for _, place in ipairs(places) do
  local key = base .. place[1]
  if redis.call('EXISTS', key) == 0 or redis.call('HEXISTS', key, 'parentKey') == 1 or redis.call('EXISTS', key .. ':dependencies', key .. ':processed', key .. ':failed', key .. ':unsuccessful') > 0 then
    left = left + 1
  else
    bytes = bytes + redis.call('HSTRLEN', key, 'data') + redis.call('HSTRLEN', key, 'returnvalue') + redis.call('HSTRLEN', key, 'stacktrace') + 200
    if #taken > 0 and bytes > room then break end
    taken[#taken + 1] = place
  end
end
if #taken == 0 then return cmsgpack.pack({number, {}, left}) end
redis.call('HSET', parked, 'n', number + 1, 'rows', cmsgpack.pack(taken))
local gone = 0
attempt(function()
  for i, place in ipairs(taken) do
    if state == 'waiting' then redis.call('LREM', from, -1, place[1]) else redis.call('ZREM', from, place[1]) end
    gone = i
  end
end, function()
  for i = gone, 1, -1 do
    if state == 'waiting' then redis.call('RPUSH', from, taken[i][1]) else redis.call('ZADD', from, taken[i][3], taken[i][1]) end
  end
  redis.call('HSET', parked, 'n', number)
  redis.call('HDEL', parked, 'rows')
end)
return cmsgpack.pack({number + 1, taken, left})
`,
};

/**
 * KEYS  wait, prioritized, delayed, completed, failed, parked, events, meta, marker
 * ARGV  base, id of the move, number, msgpack of ids that go back; without the last two all go back, and the move ends
 * reply how many were removed, or went back where all do
 */
const LEAVE: Script = {
  name: "leave",
  lua: `
local wait, prioritized, delayed, completed, failed, parked, events, meta, marker = unpack(KEYS)
local base = ARGV[1]
${ATTEMPT}${TRIM_EVENTS}
local state, ends = redis.call('HMGET', parked, 'move', 'n', 'rows'), not ARGV[3]
if state[1] ~= ARGV[2] or not (ends or (state[2] == ARGV[3] and state[3])) then return 0 end
local back = {}
for _, id in ipairs(ends and {} or cmsgpack.unpack(ARGV[4])) do back[id] = true end
local sets = {prioritized = prioritized, delayed = delayed, completed = completed, failed = failed}
trimEvents(meta, events, redis.call('HGET', meta, 'opts.maxLenEvents'))
local rows, removed, placed = state[3] and cmsgpack.unpack(state[3]) or {}, 0, {}
local function go()
  for i = #rows, 1, -1 do
    local id, was, score = unpack(rows[i])
    local key = base .. id
    if ends or back[id] then
      if was == 'waiting' then redis.call('RPUSH', wait, id) else redis.call('ZADD', sets[was], score, id) end
      placed[#placed + 1] = rows[i]
      redis.call('ZADD', marker, 0, '0')
    else
      local held = redis.call('HGET', key, 'deid')
      if held and redis.call('GET', base .. 'de:' .. held) == id then redis.call('DEL', base .. 'de:' .. held) end
      redis.call('DEL', key, key .. ':logs')
      redis.call('XADD', events, '*', 'event', 'removed', 'jobId', id, 'prev', was)
      removed = removed + 1
    end
  end
  if ends then redis.call('DEL', parked) else redis.call('HDEL', parked, 'rows') end
end
attempt(go, function()
  for _, row in ipairs(placed) do
    if row[2] == 'waiting' then redis.call('LREM', wait, -1, row[1]) else redis.call('ZREM', sets[row[2]], row[1]) end
  end
end)
return ends and #placed or removed
`,
};
