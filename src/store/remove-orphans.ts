/** Removes what `findOrphans` finds: jobs that are in no state, and what is left of jobs that are gone. */
import { runScript, type Script } from "../redis/script.ts";
import { jobKeyOf } from "./job-parts.ts";
import { NOWHERE_OF } from "./orphans.ts";
import { parkedKey } from "./parked.ts";
import { removeOne } from "./remove.ts";
import { FAMILY } from "./retention-script.ts";
import type { StoredQueue } from "./stored-queue.ts";

/**
 * @param dryRun  looks only
 * @returns the ids of which there was something, and now is not; what is in a state, runs, or is on its way to another queue is left
 * @throws BackendError; it may have been done then, and may be done again
 */
export async function removeOrphans(queue: StoredQueue, given: readonly string[], dryRun: boolean): Promise<ReadonlySet<string>> {
  const { client, keys } = queue;
  // What the queue has under such a name is its own, and no job: `meta`, say.
  const ids = given.filter((id) => jobKeyOf(id)?.id === id);
  const states = [keys.wait, keys.paused, keys.active, keys.completed, keys.failed, keys.delayed, keys.prioritized, keys.waitingChildren];
  const codes = (await runScript(client, REMOVE_ORPHANS, [...states, parkedKey(queue)], [keys.base, dryRun ? 1 : 0, ...ids])) as number[];
  const removed = new Set<string>();
  for (const [i, id] of ids.entries()) if (codes[i] === 1 || (codes[i] === 2 && (dryRun || (await removeOne(queue, id))))) removed.add(id);
  return removed;
}

/**
 * KEYS  wait, paused, active, completed, failed, delayed, prioritized, waiting-children, parked
 * ARGV  base, 1 to look only, id…
 * reply {1 gone, or would be, 0 left, 2 left as it is, since a parent or children know of it, …}
 */
const REMOVE_ORPHANS: Script = {
  name: "remove-orphans",
  lua: `${NOWHERE_OF}${FAMILY}
local base, codes, parked = ARGV[1], {}, {}
local rows = redis.call('HGET', KEYS[9], 'rows')
for _, row in ipairs(rows and cmsgpack.unpack(rows) or {}) do parked[row[1]] = true end
local function remove(id)
  local key = base .. id
  local isJob = redis.call('TYPE', key).ok == 'hash'
  if redis.call('PTTL', key .. ':lock') > 0 or (isJob and (parked[id] or not isNowhere(id, KEYS))) then return 0 end
  local keys = {key .. ':logs', key .. ':lock'}
  local family = {}
  for i, part in ipairs(FAMILY) do family[i] = key .. part end
  if isJob then
    if redis.call('HEXISTS', key, 'parentKey') == 1 or redis.call('EXISTS', unpack(family)) > 0 then return 2 end
    keys[#keys + 1] = key
    local held = redis.call('HGET', key, 'deid')
    if held and redis.call('GET', base .. 'de:' .. held) == id then keys[#keys + 1] = base .. 'de:' .. held end
  end
  for _, part in ipairs(family) do keys[#keys + 1] = part end
  return math.min(redis.call(ARGV[2] == '1' and 'EXISTS' or 'DEL', unpack(keys)), 1)
end
for i = 3, #ARGV do codes[i - 2] = remove(ARGV[i]) end
return codes
`,
};
