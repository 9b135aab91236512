/** What queues there are, and how each stands. */
import { countJobs, sumOf, type Counts } from "../store/count.ts";
import { partitionsOf } from "../store/partitions.ts";
import { isPaused } from "../store/queue-settings.ts";
import { queueNames } from "../store/queue-names.ts";
import type { Operator } from "./operator.ts";

/** One queue: its jobs by state, and whether deliveries from it are stopped. */
export interface QueueRow extends Counts {
  readonly queue: string;
  readonly paused: boolean;
}

/** Every queue of the prefix, by name. Queues are found by their keys, all of which are looked at. @throws BackendError */
export async function listQueues(operator: Operator): Promise<QueueRow[]> {
  await operator.ready();
  const rows: QueueRow[] = [];
  for await (const name of queueNames(operator.connections.command, operator.prefix)) {
    const queue = operator.queue(name);
    const parts = await partitionsOf(queue);
    rows.push({ queue: name, paused: await isPaused(queue), ...sumOf(await Promise.all(parts.map(countJobs))) });
  }
  return rows.sort((a, b) => (a.queue < b.queue ? -1 : 1));
}
