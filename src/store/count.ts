/** Counts a queue in one step, so that no job is seen twice or missed between two states. */
import { asBackendError } from "../redis/errors.ts";
import { runScript, type Script } from "../redis/script.ts";
import type { StoredQueue } from "./stored-queue.ts";

/** Jobs by state. */
export interface Counts {
  readonly waiting: number;
  readonly prioritized: number;
  readonly delayed: number;
  readonly "waiting-children": number;
  readonly active: number;
  readonly completed: number;
  readonly failed: number;
  /** What `join` waits for: all of the above that has not ended, without the future runs of schedules. */
  readonly unfinished: number;
}

/** How a queue stands at one instant. */
export interface Look {
  readonly counts: Counts;
  /** Another one with every event of the queue. Whatever becomes unfinished is an event, whoever it is by. */
  readonly mark: string;
}

/** @throws BackendError */
export async function countJobs(queue: StoredQueue): Promise<Counts> {
  return (await lookAt(queue)).counts;
}

/** @param counts  at least one */
export function sumOf(counts: readonly Counts[]): Counts {
  const states = Object.keys(counts[0]!) as (keyof Counts)[];
  return Object.fromEntries(states.map((state) => [state, counts.reduce((sum, each) => sum + each[state], 0)])) as Record<keyof Counts, number>;
}

/** @throws BackendError */
export async function lookAt({ client, keys }: StoredQueue): Promise<Look> {
  const reply = (await runScript(
    client,
    COUNT,
    [keys.wait, keys.paused, keys.prioritized, keys.delayed, keys.waitingChildren, keys.active, keys.completed, keys.failed, keys.repeat, keys.events],
    [keys.base],
  )) as [number, number, number, number, number, number, number, number, string];
  const [waiting, prioritized, delayed, children, active, completed, failed, future, mark] = reply;
  const unfinished = waiting + prioritized + delayed + children + active - future;
  return { counts: { waiting, prioritized, delayed, "waiting-children": children, active, completed, failed, unfinished }, mark };
}

/**
 * KEYS  wait, paused, prioritized, delayed, waiting-children, active, completed, failed, repeat, events
 * ARGV  base
 * reply {waiting, prioritized, delayed, waiting-children, active, completed, failed, future runs of schedules, id of the last event}
 *
 * A schedule's next run stands in `delayed` as `repeat:<schedule>:<instant>`; one that has started before (it is
 * being retried) is no longer of the future.
 */
const COUNT: Script = {
  name: "count",
  lua: `
local wait, paused, prioritized, delayed, children, active, completed, failed, schedules, events = unpack(KEYS)
local future = 0
local planned = redis.call('ZRANGE', schedules, 0, -1, 'WITHSCORES')
for i = 1, #planned, 2 do
  local id = 'repeat:' .. planned[i] .. ':' .. planned[i + 1]
  if redis.call('ZSCORE', delayed, id) and not redis.call('HGET', ARGV[1] .. id, 'ats') then future = future + 1 end
end
-- Of the stream, not of its last entry: that one may have been trimmed.
local stream, mark = redis.pcall('XINFO', 'STREAM', events), ''
for i = 1, #stream, 2 do if stream[i] == 'last-generated-id' then mark = stream[i + 1] end end
return {
  redis.call('LLEN', wait) + redis.call('LLEN', paused), redis.call('ZCARD', prioritized), redis.call('ZCARD', delayed),
  redis.call('ZCARD', children), redis.call('LLEN', active), redis.call('ZCARD', completed), redis.call('ZCARD', failed), future, mark,
}
`,
};

/** Whether anybody has ever used the queue: it has settings, jobs, or a delivery was made. @throws BackendError */
export async function queueExists({ client, keys }: StoredQueue): Promise<boolean> {
  try {
    return (await client.exists(keys.meta, keys.fence, keys.wait, keys.active, keys.delayed, keys.completed, keys.failed, keys.repeat)) > 0;
  } catch (error) {
    throw asBackendError(error);
  }
}
