/** Everything at a glance: queues, workers and tasks, as `top` shows them. */
import { queueNames } from "../store/queue-names.ts";
import type { Operator } from "./operator.ts";
import { queueStats, type QueueStats } from "./queue-stats.ts";
import { listTasks, type TaskRow } from "./tasks.ts";
import { listWorkers, type WorkerRow } from "./workers.ts";

export interface Overview {
  /** By the server's clock. */
  readonly at: number;
  /** Rates and times are those of the last minute. */
  readonly queues: readonly QueueStats[];
  readonly workers: readonly WorkerRow[];
  /** Of each worker the hundred oldest, and of the stock workers of each queue. */
  readonly tasks: readonly TaskRow[];
}

/** Finding queues means to look at all keys: a new one is seen so late. */
const NAMES_MS = 15_000;
const RATES_MS = 60_000;

/** Gives an overview whenever it is asked for one. */
export function watchOverview(operator: Operator): () => Promise<Overview> {
  let names: string[] = [];
  let namedAt = -Infinity;
  return async () => {
    await operator.ready();
    if (performance.now() - namedAt >= NAMES_MS) {
      const found: string[] = [];
      for await (const name of queueNames(operator.connections.command, operator.prefix)) found.push(name);
      names = found.toSorted();
      namedAt = performance.now();
    }
    const [queues, workers, { tasks }] = await Promise.all([Promise.all(names.map((name) => statsOf(operator, name))), listWorkers(operator), listTasks(operator)]);
    return { at: operator.connections.clock.now(), queues: queues.filter((stats) => stats !== undefined), workers, tasks };
  };
}

/** One that was deleted meanwhile has none. */
function statsOf(operator: Operator, name: string): Promise<QueueStats | undefined> {
  return queueStats(operator, name, { since: RATES_MS }).catch((error: unknown) => {
    if ((error as { code?: unknown }).code === "NOT_FOUND") return undefined;
    throw error;
  });
}
