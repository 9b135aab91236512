/** Keeps BullMQ's job schedulers ticking: whoever starts one run of a schedule plans the next, or the schedule dies. */
import type { JobScheduler } from "bullmq";
import { BackendError } from "../errors.ts";
import { asBackendError } from "../redis/errors.ts";
import type { StoredJob } from "./stored-job.ts";
import type { StoredQueue } from "./stored-queue.ts";

/**
 * Plans the run after `job`. A job that no schedule made, whose schedule is gone, or whose next run is planned already,
 * plans nothing. Its data are no matter: BullMQ gives the next run those of the schedule.
 *
 * @throws BackendError; BullMQ's own errors where the schedule's rule is none
 */
export async function planNextRun(queue: StoredQueue, job: StoredJob): Promise<void> {
  if (job.schedulerId === undefined || job.options.repeat === undefined) return;
  try {
    const scheduler = await schedulerOf(queue);
    await scheduler.upsertJobScheduler(job.schedulerId, job.options.repeat, job.name, {}, job.options, { override: false, producerId: job.id });
  } catch (error) {
    throw asBackendError(error);
  }
}

/** As `planNextRun`, for a job that is to end whatever becomes of its schedule: one whose rule is none has no next run. @throws BackendError */
export async function planNextRunIfAny(queue: StoredQueue, job: StoredJob): Promise<void> {
  try {
    await planNextRun(queue, job);
  } catch (error) {
    if (error instanceof BackendError) throw error;
  }
}

const schedulers = new WeakMap<StoredQueue, JobScheduler>();

export async function schedulerOf(queue: StoredQueue): Promise<JobScheduler> {
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
