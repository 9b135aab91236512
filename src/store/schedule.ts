/** Keeps BullMQ's job schedulers ticking: whoever starts one run of a schedule plans the next, or the schedule dies. */
import type { JobScheduler } from "bullmq";
import type { StoredJob } from "./stored-job.ts";
import type { StoredQueue } from "./stored-queue.ts";

/** Plans the run after `job`. A job that no schedule made, or whose schedule is gone, plans nothing. */
export async function planNextRun(queue: StoredQueue, job: StoredJob): Promise<void> {
  if (job.schedulerId === undefined || job.options.repeat === undefined) return;
  const scheduler = await schedulerOf(queue);
  const data: unknown = job.data === undefined ? {} : JSON.parse(job.data);
  await scheduler.upsertJobScheduler(job.schedulerId, job.options.repeat, job.name, data, job.options, {
    override: false,
    producerId: job.id,
  });
}

const schedulers = new WeakMap<StoredQueue, JobScheduler>();

async function schedulerOf(queue: StoredQueue): Promise<JobScheduler> {
  const backend = await queue.stock();
  const { JobScheduler } = await import("bullmq");
  let scheduler = schedulers.get(queue);
  if (scheduler === undefined) {
    scheduler = new JobScheduler(queue.name, { connection: queue.client, prefix: queue.prefix }, () => backend);
    scheduler.on("error", () => {});
    schedulers.set(queue, scheduler);
  }
  return scheduler;
}
