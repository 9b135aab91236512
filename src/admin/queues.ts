/** What queues there are, and how each stands. */
import { countJobs, sumOf, type Counts } from "../store/count.ts";
import { partitionsOf } from "../store/partitions.ts";
import { isPaused } from "../store/queue-settings.ts";
import { queueNames } from "../store/queue-names.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import type { Operator } from "./operator.ts";

/** One queue: its jobs by state, and whether deliveries from it are stopped. */
export interface QueueRow extends Counts {
  readonly queue: string;
  readonly paused: boolean;
}

/** Every queue of the prefix, by name. Queues are found by their keys, all of which are looked at. @throws BackendError */
export async function listQueues(operator: Operator): Promise<QueueRow[]> {
  await operator.ready();
  // Each is looked at while others are looked for: found in one page, they are asked for in one turn.
  const rows: Promise<QueueRow>[] = [];
  for await (const name of queueNames(operator.connections.command, operator.prefix)) {
    const row = rowOf(operator.queue(name));
    row.catch(() => undefined); // thrown below, in its turn
    rows.push(row);
  }
  return (await Promise.all(rows)).sort((a, b) => (a.queue < b.queue ? -1 : 1));
}

async function rowOf(queue: StoredQueue): Promise<QueueRow> {
  const [parts, paused] = await Promise.all([partitionsOf(queue), isPaused(queue)]);
  return { queue: queue.name, paused, ...sumOf(await Promise.all(parts.map(countJobs))) };
}
