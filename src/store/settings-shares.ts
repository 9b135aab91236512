/**
 * What an operator has set of a queue, as it is stored: of a queue in several queues of Redis each has its share. Read and
 * written share by share, so that what a stock tool has set of one partition alone is not lost.
 */
import { StateError } from "../errors.ts";
import { asBackendError } from "../redis/errors.ts";
import { queueExists } from "./count.ts";
import { claimPartitions, partitionsOf } from "./partitions.ts";
import { shareOf } from "./queue-limits.ts";
import type { StoredQueue } from "./stored-queue.ts";

/** Fields of BullMQ's meta; what is not set is not there. */
export type Settings = Readonly<Record<string, string>>;

/** What is set by these fields; the first of them tells whether it is. */
const FIELDS = { pause: ["paused"], concurrency: ["concurrency"], rate: ["max", "duration"] } as const;
type Setting = keyof typeof FIELDS;
const NAMES = Object.keys(FIELDS) as Setting[];

/** @param parts  all queues of Redis that a queue is, the plain one first @throws BackendError */
export function readShares(parts: readonly StoredQueue[]): Promise<Settings[]> {
  const fields = Object.values(FIELDS).flat();
  return Promise.all(parts.map(async ({ client, keys }) => {
    const values = await client.hmget(keys.meta, ...fields).catch((error: unknown) => Promise.reject(asBackendError(error)));
    return Object.fromEntries(fields.flatMap((name, i) => (typeof values[i] === "string" ? [[name, values[i]]] : [])));
  }));
}

/** What the shares are together; a limit is their sum. `partial` is what only some of them have: of the whole there is none. */
export function wholeOf(shares: readonly Settings[]): { readonly settings: Settings; readonly partial: readonly Setting[] } {
  const [first] = shares as readonly [Settings, ...Settings[]];
  if (shares.length === 1) return { settings: first, partial: [] };
  const sum = (name: string): string => String(shares.reduce((all, share) => all + Number(share[name]), 0));
  const isWhole = (setting: Setting): boolean => shares.every((share) => has(share, setting) && (setting !== "rate" || share["duration"] === first["duration"]));
  const settings: Settings = {
    ...(isWhole("pause") && { paused: first["paused"]! }),
    ...(isWhole("concurrency") && { concurrency: sum("concurrency") }),
    ...(isWhole("rate") && { max: sum("max"), duration: first["duration"]! }),
  };
  return { settings, partial: NAMES.filter((setting) => !isWhole(setting) && shares.some((share) => has(share, setting))) };
}

/**
 * Sets what nobody has set, as it was; makes the queue where it is not there, in as many partitions as there are shares for.
 * One of another number gets its shares of the whole.
 *
 * @param shares  as `readShares` gives them, or one, of the whole
 * @throws StateError when these shares cannot be had there, before anything is written; BackendError; written again, the rest is
 */
export async function writeShares(queue: StoredQueue, shares: readonly Settings[]): Promise<void> {
  if (shares.length > 1 && !(await queueExists(queue))) await claimPartitions(queue, shares.length - 1);
  const parts = await partitionsOf(queue);
  const due = parts.length === shares.length ? shares : sharedAnew(queue.name, shares, await readShares(parts));
  for (const [i, part] of parts.entries()) await writeShare(part, due[i]!);
}

/** @param there  what each has that gets a share; that is kept, so nothing is asked of what all of them have */
function sharedAnew(name: string, shares: readonly Settings[], there: readonly Settings[]): Settings[] {
  const { settings, partial } = wholeOf(shares);
  const count = there.length;
  const isWanted = (setting: Setting): boolean => !there.every((share) => has(share, setting));
  const lost = partial.filter(isWanted);
  if (lost.length > 0) {
    throw new StateError(
      `expected ${inPartitions(shares.length)} as the other end of ${name}, since only some of its partitions have their own ${lost.join(" and ")}, got ${inPartitions(count)}: ` +
        `set that for the whole of it first (millrace limit set, millrace queue pause or resume), or take a queue that is not there yet`,
    );
  }
  const small = (["concurrency", "rate"] as const).find((setting) => Number(settings[FIELDS[setting][0]]) < count && isWanted(setting));
  if (small !== undefined) {
    throw new StateError(
      `expected a ${small} of at least ${count} for ${name} in ${count - 1} partitions, one for each and one for the plain queue, got ${settings[FIELDS[small][0]]}: ` +
        `set one there first (millrace limit set): what is set there is kept`,
    );
  }
  return there.map((_, place) => {
    const share = (field: string): Settings => (settings[field] === undefined ? {} : { [field]: String(shareOf(Number(settings[field]), place, count)) });
    return { ...settings, ...share("concurrency"), ...share("max") };
  });
}

function has(share: Settings, setting: Setting): boolean {
  return share[FIELDS[setting][0]] !== undefined;
}

function inPartitions(shares: number): string {
  return shares === 1 ? "a queue without partitions" : `a queue in ${shares - 1} partitions`;
}

async function writeShare({ client, keys }: StoredQueue, share: Settings): Promise<void> {
  try {
    await client.hsetnx(keys.meta, "opts.maxLenEvents", "10000");
    for (const name of Object.values(FIELDS).flat()) if (share[name] !== undefined) await client.hsetnx(keys.meta, name, share[name]);
  } catch (error) {
    throw asBackendError(error);
  }
}
