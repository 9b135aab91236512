/** What a cluster demands: that all keys of a script lie in one slot. A cluster of one node demands it too. */
import { expect, test } from "vitest";
import { LeaseLostError } from "../../src/errors.ts";
import { connect, type App } from "../../src/app.ts";
import { freshPrefix, redisUrl, startCluster } from "../support/redis.ts";

/** Every primitive, through every script, between two apps. */
async function useAll(one: App, other: App): Promise<void> {
  const held = await one.lock("account:42");
  const waiting = other.lock("account:42");
  const permits = [await one.semaphore("api", 2).acquire(), await other.semaphore("api", 2).acquire()];
  await expect(one.semaphore("api", 2).acquire({ timeout: 30 })).rejects.toThrow("within 30 ms");
  const woken = one.event("migrated").wait();
  const met = Promise.all([one.barrier("start", 3).wait(), other.barrier("start", 3).wait()]);
  await expect(other.event("migrated").wait({ timeout: 50 })).rejects.toThrow("within 50 ms");
  await other.event("migrated").set();
  await woken;
  expect(await one.event("migrated").isSet()).toBe(true);
  await one.event("migrated").clear();
  const last = await other.barrier("start", 3).wait();
  expect([...(await met), last].toSorted()).toEqual([0, 1, 2]);
  await held[Symbol.asyncDispose]();
  await using next = await waiting;
  expect(next.fence).toBeGreaterThan(held.fence);
  for (const permit of permits) await permit[Symbol.asyncDispose]();
}

test.each(["bull", "{bull}"])("every primitive works on a cluster, under the prefix %s", async (prefix) => {
  const { url: redis } = await startCluster({ primaries: 1, replicas: 0 });
  await using one = connect({ redis, prefix });
  await using other = connect({ redis, prefix });
  await useAll(one, other);
});

test("every primitive works between two apps, and ends with its app", async () => {
  const options = { redis: redisUrl(), prefix: freshPrefix() };
  const one = connect(options);
  await using other = connect(options);
  await useAll(one, other);
  const held = await one.lock("a");
  await one[Symbol.asyncDispose]();
  expect(held.signal.reason).toBeInstanceOf(LeaseLostError);
  await using _ = await other.lock("a", { timeout: 0 });
  await expect(one.lock("a")).rejects.toThrow("the app was closed");
});
