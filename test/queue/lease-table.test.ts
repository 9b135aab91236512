import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Lease } from "../../src/store/extend.ts";
import { LeaseTable, type FoundLease, type Sheet, SheetReader } from "../../src/queue/lease-table.ts";

function tableWithReaders() {
  const readers: SheetReader[] = [];
  const table = new LeaseTable((sheet: Sheet) => readers.push(new SheetReader(sheet, readers.length)));
  const found = (): FoundLease[] => readers.flatMap((reader) => [...reader.find(() => true)]);
  return { table, readers, found };
}

const lease = (id: string, token = "token", starts = 1): Lease => ({ job: { id, starts }, token });
const nobody = { leaseLost: () => {} };

test("whatever is kept and let go, a reader finds exactly what is kept, as it was written", () => {
  const texts = fc.string({ unit: "binary", maxLength: 300 });
  const step = fc.oneof(fc.record({ id: texts, token: texts, starts: fc.nat(2 ** 31 - 1), queue: fc.integer({ min: 1, max: 9 }), at: fc.double({ noNaN: true }) }), fc.nat(50));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { table, found } = tableWithReaders();
      const kept: { readonly shown: unknown; letGo(): void }[] = [];
      for (const each of steps) {
        if (typeof each === "number") {
          const [gone] = kept.splice(each % Math.max(kept.length, 1), 1);
          gone?.letGo();
          gone?.letGo();
          continue;
        }
        const { id, token, starts, queue, at } = each;
        const record = table.keep(queue, lease(id, token, starts), at, undefined);
        kept.push({ shown: { job: { id, starts }, token, queue, renewedAt: at, endsAt: Infinity }, letGo: () => record.letGo() });
      }
      const shown = found().map(({ job, token, queue, renewedAt, endsAt }) => ({ job, token, queue, renewedAt, endsAt }));
      expect(shown).toHaveLength(kept.length);
      expect(shown).toEqual(expect.arrayContaining(kept.map((each) => each.shown)));
    }),
    { numRuns: 100 },
  );
});

test("what a request will lease is found by its token, until it is let go, beside what it has leased", () => {
  const { table, found } = tableWithReaders();
  const asked = table.keepAll(2, { text: "sender:17", base: "sender:", number: 17 }, 5);
  const kept = table.keep(2, lease("a", "sender:17", 3), 5, nobody);
  const shown = (): unknown[] => found().map(({ job, token, queue, renewedAt }) => ({ job, token, queue, renewedAt }));
  expect(shown()).toEqual([
    { job: { id: "", starts: 0 }, token: "sender:17", queue: 2, renewedAt: 5 },
    { job: { id: "a", starts: 3 }, token: "sender:17", queue: 2, renewedAt: 5 },
  ]);
  asked.letGo();
  expect(shown()).toHaveLength(1);
  kept.letGo();
  expect(shown()).toEqual([]);
});

test("it holds as many as there are, and uses again what was let go", () => {
  const { table, found } = tableWithReaders();
  const kept = Array.from({ length: 1000 }, (_, n) => table.keep(1, lease(`job ${n}`), 0, nobody));
  expect(new Set(found().map(({ job }) => job.id)).size).toBe(1000);
  const { length } = table.sheets;
  for (const each of kept) each.letGo();
  expect(found()).toEqual([]);
  for (let n = 0; n < 1000; n += 1) table.keep(1, lease(`other ${n}`), 0, nobody);
  expect(table.sheets).toHaveLength(length);
});

test("the holder of a lost lease is told once, and never one that took its place or had let go", () => {
  const { table, found } = tableWithReaders();
  const told: string[] = [];
  const keep = (id: string) => table.keep(1, lease(id), 0, { leaseLost: () => told.push(id) });
  const first = keep("first");
  const [lost] = found();
  table.lost(lost!);
  table.lost(lost!);
  expect(told).toEqual(["first"]);
  first.letGo();
  keep("second");
  table.lost(lost!);
  const third = keep("third");
  const position = found().find(({ job }) => job.id === "third");
  third.letGo();
  table.lost(position!);
  expect(told).toEqual(["first"]);
});

test("a reader remembers what was renewed, of this lease and not of the next in its place", () => {
  const { table, readers, found } = tableWithReaders();
  const kept = table.keep(1, lease("a"), 5, nobody);
  readers[0]!.renewed(found()[0]!, 70);
  expect(found()[0]).toMatchObject({ renewedAt: 70 });
  kept.letGo();
  table.keep(1, lease("b"), 6, nobody);
  expect(found()[0]).toMatchObject({ job: { id: "b" }, renewedAt: 6 });
});

test("an end that is set too late, when the lease was let go, does not end the next in its place", () => {
  const { table, found } = tableWithReaders();
  const kept = table.keep(1, lease("a"), 0, nobody);
  kept.endAt(100);
  expect(found()[0]).toMatchObject({ endsAt: 100 });
  kept.letGo();
  table.keep(1, lease("b"), 0, nobody);
  kept.endAt(1);
  expect(found()[0]).toMatchObject({ job: { id: "b" }, endsAt: Infinity });
});
