import { availableParallelism } from "node:os";
import { performance } from "node:perf_hooks";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { BusyPoll } from "../../src/redis/busy-poll.ts";
import { Client } from "../../src/redis/client.ts";
import { startRedis } from "../support/redis.ts";

/** Longer than any answer is waited for awake. */
const LONG_MS = 20;

/** Counts how often it looks for the answer to what was sent. */
class Watched {
  looks = 0;
  #due: object | undefined;
  readonly #poll = new BusyPoll(() => {
    this.looks += 1;
    return this.#due;
  });

  send(): void {
    this.#due ??= {};
    this.#poll.sent();
  }

  answer(): void {
    this.#due = undefined;
  }

  /** Whether it stays awake for the next command, which is not answered until it has given up. */
  async waits(): Promise<boolean> {
    const before = this.looks;
    this.send();
    for (const end = performance.now() + LONG_MS; performance.now() < end; ) await nextTurn();
    this.answer();
    return this.looks > before;
  }
}

const withTwo = test.skipIf(availableParallelism() === 1);

withTwo("looks until the answer is there, and no longer", async () => {
  const watched = new Watched();
  watched.send();
  expect(watched.looks).toBe(1);
  watched.answer();
  await nextTurn();
  expect(watched.looks).toBe(2);
  await nextTurn();
  await nextTurn();
  expect(watched.looks).toBe(2);
});

withTwo("gives up what takes long, and tries ever more seldom, until an answer comes at once", async () => {
  const watched = new Watched();
  const tried: number[] = [];
  for (let n = 0; n < 20; n += 1) if (await watched.waits()) tried.push(n);
  expect(tried).toEqual([0, 2, 6, 14]);
  // The next that it tries is answered within a turn: from then on it waits for each.
  for (let before = watched.looks; watched.looks === before; ) watched.send();
  watched.answer();
  await nextTurn();
  expect([await watched.waits(), await watched.waits(), await watched.waits()]).toEqual([true, false, true]);
});

test("nothing keeps the loop going when there is nothing to be answered, or no connection", async () => {
  const { port } = await startRedis();
  const client = new Client({ port, host: "127.0.0.1", busyPoll: true });
  onTestFinished(() => client.abandon());
  expect(await Promise.all([client.ping(), client.ping()])).toEqual(["PONG", "PONG"]);
  client.abandon();
  await expect(client.ping()).rejects.toThrow("Connection is closed");
  const before = performance.nodeTiming.uvMetricsInfo.loopCount;
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(performance.nodeTiming.uvMetricsInfo.loopCount - before).toBeLessThan(50);
});
