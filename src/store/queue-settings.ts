/** What a queue's `meta` says of it: whether it is paused. */
import { asBackendError } from "../redis/errors.ts";
import type { StoredQueue } from "./stored-queue.ts";

/** Whether deliveries are stopped everywhere. @throws BackendError */
export async function isPaused({ client, keys }: StoredQueue): Promise<boolean> {
  try {
    return (await client.hexists(keys.meta, "paused")) === 1;
  } catch (error) {
    throw asBackendError(error);
  }
}

/** Stops deliveries everywhere, or lets them go on; what runs goes on. @throws BackendError */
export async function setPaused(queue: StoredQueue, paused: boolean): Promise<void> {
  try {
    await (await queue.stock()).pause(paused);
  } catch (error) {
    throw asBackendError(error);
  }
}
