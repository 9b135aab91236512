/** What stock BullMQ workers run of a queue: no pool tells of it, so it is read from what is active. */
import { runPacked, type Script } from "../redis/script.ts";
import { CANCEL_FIELD } from "./stored-job.ts";
import type { StoredQueue } from "./stored-queue.ts";
import { IS_OURS } from "./token.ts";

export interface StockTask {
  readonly id: string;
  readonly name: string;
  /** From 1. */
  readonly attempt: number;
  /** By the clock of its worker. */
  readonly startedAt: number;
  /** As JSON, cut off where it is long. */
  readonly progress: string | null;
  /** The name of who took it last, which may be somebody before: a worker without a name leaves it. */
  readonly worker: string | undefined;
  /** Why it was asked to end, which its worker does not hear. */
  readonly cancelReason: string | undefined;
}

export interface StockTasks {
  /** Those that were taken first. */
  readonly tasks: readonly StockTask[];
  /** More of them, and active jobs that were not looked at, whosesoever they are. */
  readonly more: number;
}

/** One step of the server: with the hashes of a hundred it takes 1.1 ms (Redis 7.0). */
const LOOKED_AT = 1000;
/** In bytes: more than is shown of it. */
const LONGEST_PROGRESS = 2000;

/** Of the thousand that have been active for longest, at most so many that are under a live lock which is none of ours. @throws BackendError */
export async function stockTasks({ client, keys }: StoredQueue, most: number): Promise<StockTasks> {
  const [rows, more] = (await runPacked(client, STOCK_TASKS, [keys.active], [keys.base, LOOKED_AT, most, LONGEST_PROGRESS])) as [[string, string, string, string, string | false, string, string][], number];
  const tasks = rows.map(([id, name, attempts, startedAt, progress, worker, cancelReason]) => ({ id, name, attempt: numberOf(attempts) + 1, startedAt: numberOf(startedAt), progress: progress === false ? null : progress, worker: worker || undefined, cancelReason: cancelReason || undefined }));
  return { tasks, more };
}

/** What is stored may be anything. */
function numberOf(text: string): number {
  return Number.isFinite(Number(text)) ? Number(text) : 0;
}

/**
 * KEYS  active
 * ARGV  base, how many to look at, how many to tell, most bytes of progress
 * reply msgpack {{{id, name, attempts made, started at, progress or false, worker, reason of a cancel}, …}, how many more}
 *
 * By the lock and nothing else: a pool tells what it has taken up to 2 s later, and `pb` may be of an attempt before.
 */
const STOCK_TASKS: Script = {
  name: "stock-tasks",
  lua: `${IS_OURS}
local active, base, most, told, longest = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local ids = redis.call('LRANGE', active, -most, -1)
local rows, more = {}, redis.call('LLEN', active) - #ids
for i = #ids, 1, -1 do
  local key = base .. ids[i]
  local lock = redis.call('GET', key .. ':lock')
  if lock and not isOurs(lock) then
    if #rows == told then
      more = more + 1
    else
      local job = redis.call('HMGET', key, 'name', 'atm', 'processedOn', 'progress', 'pb', '${CANCEL_FIELD}')
      if job[1] then rows[#rows + 1] = {ids[i], job[1], job[2] or '', job[3] or '', job[4] and string.sub(job[4], 1, longest), job[5] or '', job[6] or ''} end
    end
  end
end
return cmsgpack.pack({rows, more})
`,
};
