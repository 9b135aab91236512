/** Stock BullMQ beside us: its classes on the tests' Redis, closed when the test is over. */
import { FlowProducer, Queue, QueueEvents, Worker, type JobsOptions, type Processor, type WorkerOptions } from "bullmq";
import { onTestFinished } from "vitest";
import { createMillraceBackend, type BackendCounts, type MillraceBackend } from "../../src/bullmq.ts";
import { until } from "../support/app.ts";
import { redisUrl } from "../support/redis.ts";

const connection = (url = redisUrl()): { readonly url: string; readonly maxRetriesPerRequest: null } => ({ url, maxRetriesPerRequest: null });

export function stockQueue(prefix: string, name = "work", url = redisUrl()): Queue {
  const queue = new Queue(name, { connection: connection(url), prefix });
  onTestFinished(() => queue.close());
  return queue;
}

export function stockFlows(prefix: string): FlowProducer {
  const producer = new FlowProducer({ connection: connection(), prefix });
  onTestFinished(() => producer.close());
  return producer;
}

/** Running, and connected. */
export async function stockWorker(prefix: string, processor: Processor, options: Partial<WorkerOptions> = {}, name = "work"): Promise<Worker> {
  const worker = new Worker(name, processor, { connection: connection(), prefix, ...options });
  onTestFinished(() => worker.close(true));
  await worker.waitUntilReady();
  return worker;
}

/** Puts the jobs, and has a stock worker fail each of them for good. */
export async function failJobs(queue: Queue, prefix: string, jobs: readonly { readonly name: string; readonly data?: unknown; readonly opts?: JobsOptions }[], processor: Processor): Promise<void> {
  const before = await queue.getFailedCount();
  await queue.addBulk(jobs.map(({ name, data = 1, opts = {} }) => ({ name, data, opts })));
  const worker = await stockWorker(prefix, processor, {}, queue.name);
  await until(async () => (await queue.getFailedCount()) >= before + jobs.length);
  await worker.close();
}

/** As `stockQueue`, on the drop-in backend. */
export function dropInQueue(prefix: string, name = "work"): Queue {
  const queue = new Queue(name, { connection: connection(), prefix }, createMillraceBackend);
  onTestFinished(() => queue.close());
  return queue;
}

/** As `stockWorker`, on the drop-in backend. */
export async function dropInWorker(prefix: string, processor: Processor, options: Partial<WorkerOptions> = {}, name = "work"): Promise<Worker> {
  const worker = new Worker(name, processor, { connection: connection(), prefix, ...options }, createMillraceBackend);
  onTestFinished(() => worker.close(true));
  await worker.waitUntilReady();
  return worker;
}

/** How much of what a Worker or Queue did went in batches. */
export function countsOf(side: Worker | Queue): BackendCounts {
  return (side.getBackend() as MillraceBackend).counts;
}

export interface SeenEvents {
  /** As `name job`, in order; `drained` has no job. */
  readonly names: string[];
  readonly events: QueueEvents;
}

/** Everything that a stock QueueEvents hears of a queue from its beginning. */
export async function stockEvents(prefix: string, name = "work"): Promise<SeenEvents> {
  const events = new QueueEvents(name, { connection: connection(), prefix, lastEventId: "0-0" });
  onTestFinished(() => events.close());
  const names: string[] = [];
  const heard = ["added", "waiting", "active", "completed", "failed", "delayed", "retries-exhausted", "duplicated", "progress", "stalled", "removed", "waiting-children"] as const;
  for (const event of heard) events.on(event, ({ jobId }: { jobId: string }) => names.push(`${event} ${jobId}`));
  events.on("drained", () => names.push("drained"));
  await events.waitUntilReady();
  return { names, events };
}
