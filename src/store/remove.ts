/** Removes jobs that do not run, many at once, with all that is kept of them. */
import type { JobState } from "../job/state.ts";
import { asBackendError } from "../redis/errors.ts";
import { runScript, type Script } from "../redis/script.ts";
import { ATTEMPT, TRIM_EVENTS } from "./lua.ts";
import type { StoredQueue } from "./stored-queue.ts";

/** States in which a job may be removed: what is active belongs to whoever runs it. */
export const REMOVABLE = Object.freeze(["waiting", "prioritized", "delayed", "waiting-children", "completed", "failed"] as const satisfies readonly JobState[]);
export type RemovableState = (typeof REMOVABLE)[number];

/**
 * @param place  of waiting jobs: how many stand before the first of them, or did a moment ago
 * @returns the ids that are gone now; the others are in another state, or the next run of a schedule
 * @throws BackendError; it may have been done then, and may be done again
 */
export async function removeJobs(queue: StoredQueue, state: RemovableState, ids: readonly string[], place = 0): Promise<ReadonlySet<string>> {
  const { client, keys } = queue;
  const removed = new Set<string>();
  const linked: string[] = [];
  const run = async (key: string, name: string, script: Script): Promise<void> => {
    const asked = ids.filter((id) => !removed.has(id));
    if (asked.length === 0) return;
    const codes = (await runScript(client, script, [key, keys.events, keys.meta, keys.repeat], [keys.base, name, place, ...asked])) as number[];
    for (const [i, id] of asked.entries()) {
      if (codes[i] === 1) removed.add(id);
      if (codes[i] === 2) linked.push(id);
    }
  };
  if (state === "waiting") {
    await run(keys.wait, "wait", REMOVE_FROM_LIST);
    if ((await client.exists(keys.paused)) === 1) await run(keys.paused, "paused", REMOVE_FROM_LIST);
  } else {
    await run(state === "waiting-children" ? keys.waitingChildren : keys[state], state, REMOVE_FROM_SET);
  }
  for (const id of linked) if (await removeOne(queue, id)) removed.add(id);
  return removed;
}

/**
 * One job in whatever state, with the children that it waits for; its parent no longer waits for it.
 *
 * @returns `false` when it runs, or is the next run of a schedule
 * @throws BackendError
 */
export async function removeOne(queue: StoredQueue, id: string): Promise<boolean> {
  try {
    return (await (await queue.stock()).remove(id, true)) === 1;
  } catch (error) {
    throw asBackendError(error);
  }
}

/**
 * `kindOf(id)`: 1 may go, 0 may not, 2 has a parent or children, which BullMQ's script follows. `forget(id)` deletes what is
 * kept of it. Its id goes after that, so that whoever was interrupted finds it and goes on.
 */
const FORGET = `
local planned = {}
local runs = redis.call('ZRANGE', KEYS[4], 0, -1, 'WITHSCORES')
for i = 1, #runs, 2 do planned['repeat:' .. runs[i] .. ':' .. runs[i + 1]] = true end
local function kindOf(id)
  local key = ARGV[1] .. id
  if planned[id] or redis.call('EXISTS', key .. ':lock') == 1 then return 0 end
  if redis.call('HEXISTS', key, 'parentKey') == 1 then return 2 end
  return redis.call('EXISTS', key .. ':dependencies', key .. ':processed', key .. ':failed', key .. ':unsuccessful') > 0 and 2 or 1
end
local function forget(id)
  local key = ARGV[1] .. id
  local deduplication = redis.call('HGET', key, 'deid')
  if deduplication and redis.call('GET', ARGV[1] .. 'de:' .. deduplication) == id then
    redis.call('DEL', ARGV[1] .. 'de:' .. deduplication, ARGV[1] .. 'dn:' .. deduplication)
  end
  redis.call('DEL', key, key .. ':logs')
  redis.call('XADD', KEYS[2], '*', 'event', 'removed', 'jobId', id, 'prev', ARGV[2])
end
`;

/**
 * KEYS  sorted set, events, meta, repeat
 * ARGV  base, BullMQ's name of the state, not used, id…
 * reply {1 gone, 0 not there or not to be removed, 2 left as it is, …}
 */
const REMOVE_FROM_SET: Script = {
  name: "remove-from-set",
  lua: `
${TRIM_EVENTS}${FORGET}
local codes = {}
for i = 4, #ARGV do codes[i - 3] = redis.call('ZSCORE', KEYS[1], ARGV[i]) and kindOf(ARGV[i]) or 0 end
trimEvents(KEYS[3], KEYS[2], redis.call('HGET', KEYS[3], 'opts.maxLenEvents'))
for i, code in ipairs(codes) do
  if code == 1 then
    forget(ARGV[i + 3])
    redis.call('ZREM', KEYS[1], ARGV[i + 3])
  end
end
return codes
`,
};

/**
 * KEYS  list, events, meta, repeat
 * ARGV  base, BullMQ's name of the state, jobs that stand before the first one, id…
 * reply as above
 *
 * A list is searched from end to end for each id that is taken out of it. So those near their place are found there,
 * marked, and taken out together, from the nearer end.
 */
const REMOVE_FROM_LIST: Script = {
  name: "remove-from-list",
  lua: `
${ATTEMPT}${TRIM_EVENTS}${FORGET}
local list, place, near, mark = KEYS[1], tonumber(ARGV[3]), 2000, '\\0removed'
local wanted, found, codes = {}, {}, {}
for i = 4, #ARGV do wanted[ARGV[i]] = true end
local length = redis.call('LLEN', list)
local first = math.max(1, place - near)
local window = redis.call('LRANGE', list, -(place + #ARGV + near), -first)
for i, id in ipairs(window) do if wanted[id] then found[id] = -(first + #window - i) end end
for i = 4, #ARGV do
  local id = ARGV[i]
  if not found[id] then
    local at = redis.call('LPOS', list, id, 'RANK', -1)
    found[id] = at and at - length
  end
  codes[i - 3] = found[id] and kindOf(id) or 0
end
trimEvents(KEYS[3], KEYS[2], redis.call('HGET', KEYS[3], 'opts.maxLenEvents'))
for i, code in ipairs(codes) do if code == 1 then forget(ARGV[i + 3]) end end
local marked = 0
attempt(function()
  for i, code in ipairs(codes) do
    if code == 1 then
      redis.call('LSET', list, found[ARGV[i + 3]], mark)
      marked = marked + 1
    end
  end
  if marked > 0 then redis.call('LREM', list, place > length / 2 and marked or -marked, mark) end
end, function() redis.call('LREM', list, 0, mark) end)
return codes
`,
};
