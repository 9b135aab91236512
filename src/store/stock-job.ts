/** A delivery as BullMQ's own `Job`, for processors that were written for its Worker. */
import type { Job, QueueBase, QueueOptions } from "bullmq";
import { asBackendError } from "../redis/errors.ts";
import type { Leased } from "./reserve-script.ts";
import type { StoredQueue } from "./stored-queue.ts";

export type { BackoffStrategy, Job as StockJob, Processor as StockProcessor } from "bullmq";

/** What a processor throws to say that its queue's rate limit is reached. */
const LIMITED = "bullmq:rateLimitExceeded";

/**
 * The job as it stands in Redis now, with the token of its lease.
 *
 * @returns `undefined` when it is gone
 * @throws BackendError
 */
export async function stockJob(queue: StoredQueue, { job: { id }, token }: Leased): Promise<Job | undefined> {
  try {
    const base = await queueBaseOf(queue);
    const { Job } = await import("bullmq");
    const job = await Job.fromId(base, id);
    if (job !== undefined) job.token = token;
    return job;
  } catch (error) {
    throw asBackendError(error);
  }
}

/**
 * What a processor steers by, where what it threw is no failure: `moved`, it has put the job elsewhere by itself; `limited`,
 * nothing more is to be taken for a while. By name and message, as BullMQ does, since they may come with another copy of it.
 */
export function steeringOf(thrown: unknown): "moved" | "limited" | undefined {
  const { name, message } = (thrown ?? {}) as { readonly name?: unknown; readonly message?: unknown };
  if (message === LIMITED) return "limited";
  return name === "DelayedError" || name === "WaitingError" || name === "WaitingChildrenError" ? "moved" : undefined;
}

/** For how long the queue is rate limited from now, in milliseconds. @throws BackendError */
export async function limitedForMs(queue: StoredQueue): Promise<number> {
  try {
    return Math.max(await queue.client.pttl(queue.keys.limiter), 0);
  } catch (error) {
    throw asBackendError(error);
  }
}

const bases = new WeakMap<StoredQueue, QueueBase>();

async function queueBaseOf(queue: StoredQueue): Promise<QueueBase> {
  const backend = await queue.stock();
  const { QueueBase } = await import("bullmq");
  let base = bases.get(queue);
  if (base === undefined) {
    const options: QueueOptions = { connection: queue.client, prefix: queue.prefix };
    base = new QueueBase(queue.name, options, () => backend);
    base.on("error", () => {});
    bases.set(queue, base);
  }
  return base;
}
