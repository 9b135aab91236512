/** Changes what Redis holds of a job, and reads jobs for copies. */
import { asBackendError } from "../redis/errors.ts";
import type { NewJob } from "./put-script.ts";
import { TIMEOUT_FIELD } from "./stored-job.ts";
import type { StoredQueue } from "./stored-queue.ts";

export interface StoredEdit {
  /** JSON. */
  readonly data: string | undefined;
  readonly priority: number | undefined;
  readonly delayMs: number | undefined;
  readonly attempts: number | undefined;
}

/** By BullMQ's scripts where a job moves by it. @throws BackendError; BullMQ's own errors where its state has changed */
export async function editJob(queue: StoredQueue, id: string, { data, priority, delayMs, attempts }: StoredEdit): Promise<void> {
  const { client, keys } = queue;
  const key = keys.base + id;
  try {
    const stock = await queue.stock();
    if (priority !== undefined) await stock.changePriority(id, priority);
    if (delayMs !== undefined) await stock.changeDelay(id, delayMs);
    if (data !== undefined) await client.hset(key, "data", data);
    if (attempts !== undefined) await client.hset(key, "opts", JSON.stringify({ ...optionsOf(await client.hget(key, "opts")), attempts }));
  } catch (error) {
    throw asBackendError(error);
  }
}

/** Of an option by which a job is one, or stands in a place, there is no copy. Names as BullMQ stores them. */
const NOT_COPIED: ReadonlySet<string> = new Set(["jobId", "delay", "timestamp", "repeat", "repeatJobKey", "prevMillis", "parent", "de", "deduplication", "lifo"]);

/** Jobs as they would be put again, by the ids of those that are there. @throws BackendError */
export async function copyable({ client, keys }: StoredQueue, ids: readonly string[]): Promise<ReadonlyMap<string, Omit<NewJob, "id">>> {
  const copies = new Map<string, Omit<NewJob, "id">>();
  try {
    const rows = await Promise.all(ids.map((id) => client.hmget(keys.base + id, "name", "data", "opts", "priority", TIMEOUT_FIELD)));
    for (const [i, [name, data, opts, priority, timeout]] of rows.entries()) {
      if (typeof name !== "string" || typeof data !== "string") continue;
      const options = Object.fromEntries(Object.entries(optionsOf(opts)).filter(([option]) => !NOT_COPIED.has(option)));
      copies.set(ids[i]!, {
        name, data, options: JSON.stringify(options), priority: Number(priority ?? 0), timeoutMs: Number(timeout ?? 0),
        delayMs: 0, runAtMs: 0, lifo: false, deadlineMs: 0, expireAtMs: 0,
      });
    }
  } catch (error) {
    throw asBackendError(error);
  }
  return copies;
}

function optionsOf(text: string | null | undefined): Record<string, unknown> {
  try {
    const options: unknown = JSON.parse(text ?? "{}");
    return typeof options === "object" && options !== null ? (options as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
