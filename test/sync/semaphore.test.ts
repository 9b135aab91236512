import * as fc from "fast-check";
import { expect, test } from "vitest";
import { CancelledError, LeaseLostError, OptionError, TimeoutError } from "../../src/errors.ts";
import type { Hold } from "../../src/sync/hold.ts";
import type { Hub } from "../../src/sync/hub.ts";
import { primitiveKey } from "../../src/sync/keys.ts";
import { Semaphore, type LeaseOptions } from "../../src/sync/semaphore.ts";
import { freshPrefix, redisClient } from "../support/redis.ts";
import { startPeer, until, type Peer } from "./peer.ts";

test("gives out so many permits at once across processes, and serves those behind in the order of coming", async () => {
  const prefix = freshPrefix();
  const peers = [startPeer(prefix), startPeer(prefix)];
  const semaphores = peers.map(({ hub }) => new Semaphore(hub, "a", 2));
  const held = [await semaphores[0]!.acquire(), await semaphores[1]!.acquire()];
  const order: number[] = [];
  const works: Promise<Hold>[] = [];
  for (const number of [0, 1, 2]) {
    works.push(semaphores[number % 2]!.acquire().then((hold) => (order.push(number), hold)));
    await peers[number % 2]!.sent();
  }
  await expect(semaphores[0]!.acquire({ timeout: 0 })).rejects.toThrow(TimeoutError);
  expect(order).toEqual([]);
  for (const [i, hold] of [...held, works[0]!].entries()) {
    await (await hold)[Symbol.asyncDispose]();
    await works[i];
    expect(order).toEqual([0, 1, 2].slice(0, i + 1));
  }
});

test("the permits of a process that died come back, one each, when its leases have run out", async () => {
  const prefix = freshPrefix();
  const [dying, other] = [startPeer(prefix), startPeer(prefix)];
  const lease: LeaseOptions = { lease: 400 };
  const theirs = new Semaphore(dying.hub, "a", 3, lease);
  const lost = [await theirs.acquire(), await theirs.acquire()];
  const ours = new Semaphore(other.hub, "a", 3, lease);
  await using _ = await ours.acquire();
  const waiting = Promise.all([ours.acquire(), ours.acquire()]);
  const behind = ours.acquire({ timeout: 1500 });
  const tooMany = expect(behind).rejects.toThrow(TimeoutError);
  await dying.die();
  await using stack = new AsyncDisposableStack();
  for (const hold of await waiting) stack.use(hold);
  await tooMany;
  for (const hold of lost) expect(hold.signal.reason).toBeInstanceOf(LeaseLostError);
});

test("disposing it gives back its permits and ends its waits, and those of nobody else", async () => {
  const prefix = freshPrefix();
  const { hub } = startPeer(prefix);
  const mine = new Semaphore(hub, "a", 2);
  const other = new Semaphore(hub, "a", 2);
  const [held, others] = [await mine.acquire(), await other.acquire()];
  const ended = expect(mine.acquire()).rejects.toThrow(CancelledError);
  const waiting = other.acquire();
  await mine[Symbol.asyncDispose]();
  await mine[Symbol.asyncDispose]();
  await ended;
  expect(held.signal.reason).toBeInstanceOf(LeaseLostError);
  await (await waiting)[Symbol.asyncDispose]();
  expect(others.signal.aborted).toBe(false);
});

test("while callers differ in the number of permits, each goes by its own", async () => {
  const prefix = freshPrefix();
  const { hub } = startPeer(prefix);
  const [two, three] = [new Semaphore(hub, "a", 2), new Semaphore(hub, "a", 3)];
  const first = await two.acquire({ timeout: 0 });
  await two.acquire({ timeout: 0 });
  await expect(two.acquire({ timeout: 0 })).rejects.toThrow(TimeoutError);
  const third = await three.acquire({ timeout: 0 });
  await expect(three.acquire({ timeout: 0 })).rejects.toThrow(TimeoutError);
  await first[Symbol.asyncDispose]();
  await expect(two.acquire({ timeout: 0 })).rejects.toThrow(TimeoutError);
  expect(third.signal.aborted).toBe(false);
});

test("refuses what is no option before any I/O", async () => {
  const { hub } = startPeer(freshPrefix());
  const make = (permits: unknown, options?: unknown) => () => new Semaphore(hub, "a", permits as number, options as LeaseOptions);
  for (const permits of [0, -1, 1.5, Number.NaN, "2", undefined]) expect(make(permits)).toThrow(OptionError);
  expect(make(0)).toThrow('expected a whole number of at least 1 for the permits of semaphore "a", got 0');
  expect(make(1, { leases: 1000 })).toThrow(/did you mean lease/);
  expect(make(1, { lease: "1ms" })).toThrow(OptionError);
  await expect(make(1)().acquire({ timeout: "soon" as never })).rejects.toThrow(OptionError);
});

/** One run of random acquisitions, cancellations and releases by several processes. */
type Step =
  | { readonly do: "acquire"; readonly peer: number }
  | { readonly do: "cancel"; readonly which: number }
  | { readonly do: "release"; readonly which: number }
  | { readonly do: "pass"; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("acquire" as const), peer: fc.nat(2) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("release" as const), which: fc.nat(20) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("cancel" as const), which: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("pass" as const), ms: fc.nat(2) }) },
);

class Attempt {
  readonly #cancel = new AbortController();
  hold: Hold | undefined;
  cancelled = false;
  readonly ended: Promise<void>;

  constructor(semaphore: Semaphore, granted: (hold: Hold) => void) {
    this.ended = semaphore.acquire({ signal: this.#cancel.signal }).then(
      (hold) => granted((this.hold = hold)),
      (error: unknown) => {
        if (!this.cancelled) throw error;
      },
    );
    this.ended.catch(() => {});
  }

  cancel(): void {
    if (this.hold !== undefined) return;
    this.cancelled = true;
    this.#cancel.abort();
  }
}

async function play(hubs: readonly Hub[], peers: readonly Peer[], key: string, permits: number, steps: readonly Step[]): Promise<void> {
  const semaphores = hubs.map((hub) => new Semaphore(hub, key, permits));
  const attempts: Attempt[] = [];
  const granted: number[] = [];
  const given = new Set<Hold>();
  let held = 0;
  const release = async (hold: Hold | undefined): Promise<void> => {
    if (hold === undefined || given.has(hold)) return;
    given.add(hold);
    held -= 1;
    await hold[Symbol.asyncDispose]();
  };
  const releases: Promise<void>[] = [];
  for (const one of steps) {
    if (one.do === "pass") await new Promise((resolve) => setTimeout(resolve, one.ms));
    else if (one.do === "cancel") attempts[one.which % Math.max(1, attempts.length)]?.cancel();
    else if (one.do === "release") releases.push(release(attempts[one.which % Math.max(1, attempts.length)]?.hold));
    else {
      const number = attempts.length;
      attempts.push(
        new Attempt(semaphores[one.peer]!, () => {
          granted.push(number);
          expect((held += 1)).toBeLessThanOrEqual(permits);
        }),
      );
      await peers[one.peer]!.sent(); // so that the order of coming is the order of steps
    }
  }
  // Whoever was not cancelled is served, as those before give back.
  while (attempts.some((attempt) => !attempt.cancelled && !given.has(attempt.hold!))) {
    await Promise.all(attempts.map((attempt) => release(attempt.hold)));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all([...releases, ...attempts.map((attempt) => attempt.ended)]);
  const fences = attempts.flatMap((attempt) => attempt.hold?.fence ?? []);
  expect(fences).toEqual(fences.toSorted((a, b) => a - b));
  if (permits === 1) expect(granted).toEqual(granted.toSorted((a, b) => a - b));
  const all = await Promise.all(Array.from({ length: permits }, (_, i) => semaphores[i % 3]!.acquire({ timeout: 2000 })));
  await expect(semaphores[0]!.acquire({ timeout: 0 })).rejects.toThrow(TimeoutError);
  await Promise.all(all.map((hold) => hold[Symbol.asyncDispose]()));
  await until(async () => (await peers[0]!.connections.command.zcard(primitiveKey(hubs[0]!.prefix, "semaphore", key, "line"))) === 0);
}

test("never gives out more than it has, serves in the order of coming, and loses no permit to one that was cancelled", async () => {
  const prefix = freshPrefix();
  const peers = [startPeer(prefix), startPeer(prefix), startPeer(prefix)];
  const hubs = peers.map(({ hub }) => hub);
  // So that no script has to be loaded, which would take a second turn.
  await using _ = await new Semaphore(hubs[0]!, "warm", 1).acquire();
  await Promise.all(peers.map((peer) => peer.sent()));
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 3 }), fc.array(step, { maxLength: 30 }), (permits, steps) => {
      run += 1;
      return play(hubs, peers, `run ${run}`, permits, steps);
    }),
    { numRuns: 150 },
  );
  expect(await redisClient().keys(`${prefix}:*:line`)).toHaveLength(1); // of the one that is held
}, 120_000);
