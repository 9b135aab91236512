/**
 * A job by its id, in the partition that its id tells or, where it is not there, in the queue of the plain prefix: put before
 * there were partitions, by a stock producer, or moved there by an operator.
 */
import type { JobDefinition } from "../job/contract.ts";
import { inspectJobs, readProgress, type JobReport } from "../store/inspect.ts";
import { cancelJob } from "./cancel.ts";
import type { Ending } from "./event-trail.ts";
import type { OpenQueue } from "./open-queue.ts";

/** See `ResultWatcher.ending`. */
export async function endingOf(queue: OpenQueue, id: string, signal: AbortSignal | undefined, stir?: () => void): Promise<Ending> {
  const ending = await queue.watcher.ending(id, signal, stir);
  return ending.state === "unknown" && queue.plain !== undefined ? endingOf(queue.plain, id, signal, stir) : ending;
}

/** @throws BackendError */
export async function stateOf(queue: OpenQueue, id: string): Promise<JobReport["state"]> {
  await queue.ready();
  const [report] = await inspectJobs(queue.stored, [id]);
  return report!.state === "removed" && queue.plain !== undefined ? stateOf(queue.plain, id) : report!.state;
}

/** As `readProgress`. @throws BackendError */
export async function progressNow(queue: OpenQueue, id: string): Promise<string | undefined> {
  return (await readProgress(queue.stored, id)) ?? (queue.plain && progressNow(queue.plain, id));
}

/** @returns `false` when the job has ended already, or is not there. @throws as `cancelJob` */
export async function cancelAnywhere(queue: OpenQueue, definition: JobDefinition, id: string, reason: string): Promise<boolean> {
  if ((await cancelJob(queue, definition, id, reason)) !== undefined) return true;
  return queue.plain !== undefined && cancelAnywhere(queue.plain, definition, id, reason);
}
