import * as fc from "fast-check";
import { expect, test } from "vitest";
import { claimPartitions, partitionsOf } from "../../src/store/partitions.ts";
import { readShares, wholeOf, writeShares, type Settings } from "../../src/store/settings-shares.ts";
import type { StoredQueue } from "../../src/store/stored-queue.ts";
import { stockQueue } from "../interop/stock.ts";
import { openQueue } from "./opened-queue.ts";

async function inPartitions(count: number): Promise<StoredQueue> {
  const queue = await openQueue();
  await claimPartitions(queue, count);
  return queue;
}

const sharesOf = async (queue: StoredQueue): Promise<Settings[]> => readShares(await partitionsOf(queue));

test("settings are those that an operator sets; what a queue has is kept", async () => {
  const [one, other] = [await openQueue(), await openQueue()];
  const stock = stockQueue(one.prefix);
  await stock.setGlobalConcurrency(3);
  await stock.pause();
  const shares = await readShares([one]);
  expect(shares).toEqual([{ concurrency: "3", paused: "1" }]);
  await writeShares(other, [{ concurrency: "9" }]);
  await writeShares(other, shares);
  expect(await readShares([other])).toEqual([{ concurrency: "9", paused: "1" }]);
});

test("what a queue in partitions has is had again share by share, whatever that is, and the queue is made in as many", async () => {
  const limit = fc.record({ concurrency: fc.integer({ min: 1, max: 99 }).map(String), paused: fc.constant("1") }, { requiredKeys: [] });
  const rate = fc.constantFrom({}, { max: "7", duration: "1000" }, { max: "7", duration: "500" });
  const share = fc.tuple(limit, rate).map(([one, other]): Settings => ({ ...one, ...other }));
  await fc.assert(fc.asyncProperty(fc.array(share, { minLength: 3, maxLength: 5 }), async (shares) => {
    const queue = await openQueue();
    await writeShares(queue, shares);
    expect(await sharesOf(queue)).toEqual(shares);
  }), { numRuns: 20 });
});

test("to another number of partitions the whole goes: limits are shared out and summed up, a pause is one of all", async () => {
  const whole = { concurrency: "7", max: "100", duration: "1000", paused: "1" };
  const queue = await inPartitions(2);
  await writeShares(queue, [whole]);
  const shares = await sharesOf(queue);
  expect(shares).toEqual([{ ...whole, concurrency: "3", max: "34" }, { ...whole, concurrency: "2", max: "33" }, { ...whole, concurrency: "2", max: "33" }]);
  expect(wholeOf(shares)).toEqual({ settings: whole, partial: [] });
  const plain = await openQueue();
  await writeShares(plain, [{}]);
  await writeShares(plain, shares);
  expect(await readShares([plain])).toEqual([whole]);
});

test("what only some have cannot go to another number, nor less than one for each, unless all of them have their own; nothing is written then", async () => {
  const partial: readonly [string, Settings[]][] = [
    ["pause", [{ concurrency: "1" }, { concurrency: "2", paused: "1" }]],
    ["concurrency", [{ paused: "1" }, { paused: "1", concurrency: "3" }]],
    ["rate", [{ max: "1", duration: "1000" }, { max: "1", duration: "500" }]],
  ];
  for (const [setting, shares] of partial) {
    expect(wholeOf(shares).partial).toEqual([setting]);
    for (const queue of [await openQueue(), await inPartitions(3)]) {
      await writeShares(queue, [{}]);
      const before = await sharesOf(queue);
      await expect(writeShares(queue, shares)).rejects.toMatchObject({ code: "STATE_INVALID", message: expect.stringContaining(setting) as string });
      expect(await sharesOf(queue)).toEqual(before);
    }
  }
  const queue = await inPartitions(2);
  for (const few of [{ concurrency: "2" }, { max: "2", duration: "1000" }]) {
    await expect(writeShares(queue, [few])).rejects.toMatchObject({ code: "STATE_INVALID", message: expect.stringContaining("at least 3") as string });
  }
  const own = [{ concurrency: "4" }, { concurrency: "4" }, { concurrency: "4" }];
  await writeShares(queue, own);
  await writeShares(queue, [{ concurrency: "2" }]);
  expect(await sharesOf(queue)).toEqual(own);
});
