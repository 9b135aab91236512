/** BullMQ's limits of a queue, in its meta: how many jobs are active at once, and how many start in a time. */
import { asBackendError } from "../redis/errors.ts";
import type { StoredQueue } from "./stored-queue.ts";

export interface StoredLimits {
  /** Over all workers; undefined is no limit. */
  readonly concurrency: number | undefined;
  /** So many starts in so many milliseconds; both or neither. */
  readonly max: number | undefined;
  readonly durationMs: number | undefined;
  /** Until more may start, in milliseconds; 0 while they may. */
  readonly heldForMs: number;
}

/** @throws BackendError */
export async function readLimits({ client, keys }: StoredQueue): Promise<StoredLimits> {
  try {
    const [[concurrency, max, duration], held] = await Promise.all([client.hmget(keys.meta, "concurrency", "max", "duration"), client.pttl(keys.limiter)]);
    return { concurrency: numberOf(concurrency), max: numberOf(max), durationMs: numberOf(duration), heldForMs: Math.max(0, held) };
  } catch (error) {
    throw asBackendError(error);
  }
}

/** What is undefined stays, what is null is no limit from now on. @throws BackendError, BackendFullError */
export async function writeLimits({ client, keys }: StoredQueue, limits: { readonly concurrency?: number | null | undefined; readonly rate?: { readonly max: number; readonly durationMs: number } | null | undefined }): Promise<void> {
  const { concurrency, rate } = limits;
  const change = client.multi();
  if (concurrency === null) change.hdel(keys.meta, "concurrency");
  else if (concurrency !== undefined) change.hset(keys.meta, "concurrency", concurrency);
  if (rate === null) change.hdel(keys.meta, "max", "duration");
  else if (rate !== undefined) change.hset(keys.meta, { max: rate.max, duration: rate.durationMs });
  // Whoever waits because of the old limit looks again.
  change.zadd(keys.marker, 0, "0");
  try {
    await change.exec();
  } catch (error) {
    throw asBackendError(error);
  }
}

/**
 * Of a queue in several queues of Redis, each of which has its share: what they are together.
 *
 * @returns `isPartial` where some have a limit that others lack, as a stock tool sets it: then there is none of the whole
 */
export function sumOfLimits(shares: readonly StoredLimits[]): StoredLimits & { readonly isPartial: boolean } {
  const [{ durationMs } = { durationMs: undefined }] = shares;
  const sum = (numbers: readonly (number | undefined)[]): number | undefined => numbers.reduce((all, one) => (all === undefined || one === undefined ? undefined : all + one), 0);
  const concurrency = sum(shares.map((share) => share.concurrency));
  const max = shares.every((share) => share.durationMs === durationMs) ? sum(shares.map((share) => share.max)) : undefined;
  const isPartial = (concurrency === undefined && shares.some((share) => share.concurrency !== undefined)) || (max === undefined && shares.some((share) => share.max !== undefined));
  return { concurrency, max, durationMs: max === undefined ? undefined : durationMs, heldForMs: Math.min(...shares.map(({ heldForMs }) => heldForMs)), isPartial };
}

/** Equal whole shares of a limit; the remainder goes to the first ones. */
export function shareOf(total: number, place: number, count: number): number {
  return Math.floor(total / count) + (place < total % count ? 1 : 0);
}

function numberOf(text: string | null | undefined): number | undefined {
  return text === null || text === undefined || !Number.isFinite(Number(text)) ? undefined : Number(text);
}
