import { assert, integer, property, string } from "fast-check";
import { expect, test } from "vitest";
import { newJobId, newJobIdIn } from "../../src/queue/job-id.ts";
import { hashOf, partitionOf, spread } from "../../src/queue/partition-of.ts";

const count = integer({ min: 1, max: 256 });
const text = string({ minLength: 1, unit: "grapheme" });

test("any key belongs to one of the partitions", () => {
  assert(
    property(text, count, (key, partitions) => {
      const partition = partitionOf(key, partitions);
      expect(Number.isInteger(partition) && partition >= 0 && partition < partitions).toBe(true);
    }),
  );
});

/** Jobs that are stored are found by it: another version may not give anything else. */
test("what it gives is fixed, by published hashes", () => {
  expect([hashOf("a") >>> 0, hashOf("foobar") >>> 0, spread(1)]).toEqual([0xe40c292c, 0xbf9cf968, 0x514e28b7]);
  expect(["customer-1", "customer-2", "order-5", "ü", "😀"].map((key) => [partitionOf(key, 8), partitionOf(key, 200)])).toEqual([[0, 16], [6, 110], [2, 10], [1, 9], [6, 6]]);
});

test("keys and ids are spread evenly, also those that differ in a number only", () => {
  for (const partitions of [2, 3, 8, 31]) {
    for (const make of [(n: number) => `user-${n}`, (n: number) => `${n}${n}`, () => newJobId()]) {
      const counts = Array.from({ length: partitions }, () => 0);
      for (let n = 0; n < 1000 * partitions; n += 1) counts[partitionOf(make(n), partitions)]! += 1;
      expect(Math.min(...counts)).toBeGreaterThan(800);
      expect(Math.max(...counts)).toBeLessThan(1200);
    }
  }
});

test("an id that was made for a partition belongs to it, and is a UUIDv7 like any other", () => {
  assert(
    property(count, integer({ min: 0, max: 255 }), (partitions, n) => {
      const partition = n % partitions;
      const id = newJobIdIn(partition, partitions);
      expect(partitionOf(id, partitions)).toBe(partition);
      const bytes = Buffer.from(id, "base64url");
      expect([id.length, bytes.toString("base64url"), bytes[6]! >> 4, bytes[8]! >> 6]).toEqual([22, id, 7, 0b10]);
      expect(Math.abs(bytes.readUIntBE(0, 6) - Date.now())).toBeLessThan(10_000);
    }),
  );
});

test("no two ids of a partition are the same", () => {
  expect(new Set(Array.from({ length: 50_000 }, () => newJobIdIn(3, 8))).size).toBe(50_000);
});
