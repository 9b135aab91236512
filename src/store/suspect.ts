/**
 * A delivery that waits until it may run alone. It is noted with the job, so that it is not blamed if its worker is lost
 * meanwhile: it had not begun.
 */
import { runScript, type Script } from "../redis/script.ts";
import type { Leased } from "./reserve-script.ts";
import { WAITING_FIELD } from "./stored-job.ts";
import type { StoredQueue } from "./stored-queue.ts";

/** @returns whether its lease holds @throws BackendError */
export function noteWaiting(queue: StoredQueue, leased: Leased): Promise<boolean> {
  return note(queue, leased, leased.job.starts);
}

/** It begins. @returns whether its lease holds @throws BackendError */
export function noteBegun(queue: StoredQueue, leased: Leased): Promise<boolean> {
  return note(queue, leased, 0);
}

async function note({ client, keys }: StoredQueue, { job, token }: Leased, delivery: number): Promise<boolean> {
  const key = `${keys.base}${job.id}`;
  return (await runScript(client, NOTE, [key, `${key}:lock`], [token, delivery])) === 1;
}

/**
 * KEYS  job, its lease
 * ARGV  token, the delivery that waits or 0
 * reply 1 noted, 0 refused: the lease has passed on
 */
const NOTE: Script = {
  name: "note-waiting",
  lua: `
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], '${WAITING_FIELD}', ARGV[2])
return 1
`,
};
