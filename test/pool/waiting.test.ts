import { expect, test } from "vitest";
import { Waiting } from "../../src/pool/waiting.ts";
import { failure } from "../support/outcome.ts";
import { until } from "../support/app.ts";

/** A wait that ends when its signal fires, or when it is told to; `calls` has their ways, in order. */
function setUp() {
  const state = { isCalm: false };
  const waiting = new Waiting(() => state.isCalm);
  const calls: string[] = [];
  let end: (answer: boolean) => void = () => {};
  const way = (name: string, onAbort: boolean) => (signal: AbortSignal) =>
    new Promise<boolean>((resolve) => {
      calls.push(name);
      end = resolve;
      signal.addEventListener("abort", () => resolve(onAbort), { once: true });
    });
  const quiet = new AbortController();
  const waited = waiting.forWork(quiet.signal, { hear: way("hear", false), take: way("take", false) });
  return { state, waiting, calls, quiet, waited, called: (count: number) => until(() => calls.length === count), end: (answer: boolean) => end(answer) };
}

test("while something runs it hears, and asks once it has heard, or time is over", async () => {
  for (const isWoken of [true, false]) {
    const { calls, waited, called, end } = setUp();
    await called(1);
    end(isWoken);
    await waited;
    expect(calls).toEqual(["hear"]);
  }
});

test("while nothing runs it takes what comes, until there is more of it", async () => {
  const { state, calls, waited, called, end } = setUp();
  state.isCalm = true;
  for (const n of [1, 2]) {
    await called(n);
    end(false);
  }
  await called(3);
  end(true);
  await waited;
  expect(calls).toEqual(["take", "take", "take"]);
});

test("when it has calmed down for a moment it takes instead of hearing, and not before", async () => {
  const { state, waiting, calls, waited, called, end } = setUp();
  await called(1);
  state.isCalm = true;
  waiting.calmedDown();
  state.isCalm = false;
  // Twice as long as it looks: the timers of that time are over.
  await new Promise((resolve) => setTimeout(resolve, 4));
  expect(calls).toEqual(["hear"]);
  state.isCalm = true;
  waiting.calmedDown();
  await called(2);
  // That it takes is not to be ended by it.
  waiting.calmedDown();
  await new Promise((resolve) => setTimeout(resolve, 4));
  end(true);
  await waited;
  expect(calls).toEqual(["hear", "take"]);
});

test("ends when it is to be quiet, whatever it does", async () => {
  for (const isCalm of [true, false]) {
    const { state, calls, quiet, waited, called } = setUp();
    state.isCalm = isCalm;
    await called(1);
    quiet.abort();
    await waited;
    expect(calls).toEqual([isCalm ? "take" : "hear"]);
  }
});

test("what a way throws ends it", async () => {
  const waiting = new Waiting(() => true);
  const lost = new Error("lost");
  const { error } = await failure(waiting.forWork(new AbortController().signal, { hear: () => expect.unreachable(), take: () => Promise.reject(lost) }));
  expect(error).toBe(lost);
});
