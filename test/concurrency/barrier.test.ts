import { expect, test } from "vitest";
import { BrokenBarrierError, OptionError } from "../../src/errors.ts";
import { Barrier } from "../../src/concurrency/barrier.ts";
import { range } from "../../src/concurrency/range.ts";
import { rejection, settled, type Settlement, settlement } from "./settlement.ts";

test("refuses fewer than one party", () => {
  for (const parties of [0, -4, 1.5]) expect(() => new Barrier(parties)).toThrow(OptionError);
});

test("lets all go on when the last has come, each with a number of its own", async () => {
  const barrier = new Barrier(5);
  const early = range(4).map(() => barrier.wait());
  await settled();
  expect(barrier).toMatchObject({ parties: 5, waiting: 4, broken: false });
  const numbers = await Promise.all([...early, barrier.wait()]);
  expect(numbers).toEqual([0, 1, 2, 3, 4]);
  expect(barrier).toMatchObject({ waiting: 0, broken: false });
});

test("one for a single party never holds anybody up", async () => {
  const barrier = new Barrier(1);
  expect(await barrier.wait()).toBe(0);
  expect(await barrier.wait()).toBe(0);
});

test("can be passed again and again by the same parties", async () => {
  const barrier = new Barrier(3);
  const order: string[] = [];
  const party = async (): Promise<void> => {
    for (const round of ["a", "b", "c"]) {
      await barrier.wait();
      order.push(round);
    }
  };
  await Promise.all(range(3).map(party));
  expect(order.join("")).toBe("aaabbbccc");
});

test("one that is cancelled no longer counts, and the others' numbers stay distinct", async () => {
  const barrier = new Barrier(3);
  const controller = new AbortController();
  const gone = settlement(barrier.wait({ signal: controller.signal }));
  const second = barrier.wait();
  expect(barrier.waiting).toBe(2);
  controller.abort();
  expect(barrier.waiting).toBe(1);
  const third = barrier.wait();
  await settled();
  expect(gone.state).toBe("rejected");
  expect(await Promise.all([second, third, barrier.wait()])).toEqual([0, 1, 2]);
});

test("a reset sends away who waits, and the barrier can be used anew", async () => {
  const barrier = new Barrier(3);
  const waiting = range(2).map(() => settlement(barrier.wait()));
  barrier.reset();
  await settled();
  for (const one of waiting) expect(one.reason).toBeInstanceOf(BrokenBarrierError);
  expect(barrier).toMatchObject({ waiting: 0, broken: false });
  expect(await Promise.all(range(3).map(() => barrier.wait()))).toEqual([0, 1, 2]);
});

test("resetting or breaking a barrier takes nothing back from those it has let go", async () => {
  const barrier = new Barrier(2);
  const passed = Promise.all([barrier.wait(), barrier.wait()]);
  barrier.abort();
  expect(await passed).toEqual([0, 1]);
});

test("a broken barrier sends away who waits and who comes, until it is reset", async () => {
  const barrier = new Barrier(2);
  const waiting = settlement(barrier.wait());
  barrier.abort();
  await settled();
  expect(waiting.reason).toBeInstanceOf(BrokenBarrierError);
  expect(barrier).toMatchObject({ waiting: 0, broken: true });
  expect(await rejection(barrier.wait())).toBeInstanceOf(BrokenBarrierError);
  barrier.reset();
  expect(await Promise.all([barrier.wait(), barrier.wait()])).toEqual([0, 1]);
});

test("who was sent away by a reset can wait again with the others", async () => {
  const barrier = new Barrier(3);
  const again = range(2).map(() => barrier.wait().catch(() => barrier.wait()));
  barrier.reset();
  await settled();
  expect(await Promise.all([...again, barrier.wait()])).toEqual([0, 1, 2]);
});

test("at the end of its block it sends away who waits, and who comes", async () => {
  let kept: Barrier;
  let waiting: Settlement<number>;
  {
    using barrier = new Barrier(2);
    kept = barrier;
    waiting = settlement(barrier.wait());
  }
  await settled();
  expect(waiting.reason).toBeInstanceOf(BrokenBarrierError);
  expect(await rejection(kept.wait())).toBeInstanceOf(BrokenBarrierError);
});

test("one of a round that has passed already counts for the next, though the others have not run yet", async () => {
  const barrier = new Barrier(3);
  const rounds: number[] = [];
  const party = async (): Promise<void> => {
    await barrier.wait();
    const next = barrier.wait();
    rounds.push(barrier.waiting);
    await next;
  };
  await Promise.all(range(3).map(party));
  expect(rounds).toEqual([1, 2, 0]);
});

test("a party that fails after the barrier can break it for those who wait at it again", async () => {
  const barrier = new Barrier(3);
  const ends = await Promise.allSettled(
    range(3).map(async () => {
      if ((await barrier.wait()) === 1) return barrier.abort();
      await barrier.wait();
    }),
  );
  expect(ends.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "rejected"]);
  expect(barrier).toMatchObject({ broken: true, waiting: 0 });
});
