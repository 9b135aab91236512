/** Deletes a queue: its jobs in whatever state, its settings, its schedules, and what Millrace keeps of it. */
import { StateError } from "../errors.ts";
import { asBackendError } from "../redis/errors.ts";
import { setPaused } from "./queue-settings.ts";
import type { StoredQueue } from "./stored-queue.ts";

/** Jobs a step: some milliseconds of the server. */
const STEP = 1000;

/**
 * Pauses the queue, so that nobody takes from it meanwhile, then deletes it step by step; interrupted, it may be done
 * again. Parents in other queues no longer wait for jobs of this one. What is put meanwhile makes the queue anew.
 *
 * @param force  although jobs are active; whoever runs them can no longer settle them
 * @throws StateError when jobs are active; BackendError; the signal's reason
 */
export async function deleteQueue(queue: StoredQueue, options: { readonly force: boolean; readonly signal?: AbortSignal | undefined }): Promise<void> {
  const { client, keys } = queue;
  try {
    await setPaused(queue, true);
    const active = await client.llen(keys.active);
    if (active > 0 && !options.force) throw new StateError(`expected a queue of which no job is active, but ${active} are; it is paused now: wait for them, or force it`);
    const stock = await queue.stock();
    // BullMQ's script follows jobs to their parents; what it does not know of is left to the sweep.
    while ((await stock.obliterate({ force: options.force, count: STEP })) === 1) options.signal?.throwIfAborted();
    await sweep(queue, options.signal);
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error instanceof StateError ? error : asBackendError(error);
  }
}

async function sweep({ client, keys }: StoredQueue, signal: AbortSignal | undefined): Promise<void> {
  const pattern = `${keys.base.replaceAll(/[\\*?[\]^-]/g, String.raw`\$&`)}*`;
  for (let cursor = "0"; ; ) {
    signal?.throwIfAborted();
    const [next, found] = await client.scan(cursor, "MATCH", pattern, "COUNT", STEP);
    if (found.length > 0) await client.unlink(...found);
    if (next === "0") return;
    cursor = next;
  }
}
