import { expect, test } from "vitest";
import { Waiting } from "../../src/pool/waiting.ts";
import { until } from "../support/app.ts";
import { failure } from "../support/outcome.ts";

/** A wait whose ways end when their signal fires, or when they are told to; `way` is the one that is gone. */
function setUp(isCalm: boolean) {
  const state = { isCalm, way: "" };
  const waiting = new Waiting(() => state.isCalm);
  const quiet = new AbortController();
  const ended = Promise.withResolvers<void>();
  const go = (way: string, signal: AbortSignal): Promise<void> => {
    state.way = way;
    signal.addEventListener("abort", () => ended.resolve(), { once: true });
    return ended.promise;
  };
  const waited = waiting.forWork(quiet.signal, { hear: (signal) => go("hear", signal), take: () => go("take", quiet.signal) });
  return { state, waiting, quiet, waited, end: ended.resolve, begun: () => until(() => state.way !== "") };
}

test.each([
  [true, "take"],
  [false, "hear"],
])("calm is %s: it goes to %s, until that ends, or it is to be quiet", async (isCalm, way) => {
  for (const isQuiet of [true, false]) {
    const { state, quiet, waited, end, begun } = setUp(isCalm);
    await begun();
    if (isQuiet) quiet.abort();
    else end();
    await waited;
    expect(state.way).toBe(way);
  }
});

test("what is over within a turn of the loop is no reason to hear only", async () => {
  const { state, waited, end, begun } = setUp(false);
  await Promise.resolve();
  state.isCalm = true;
  await begun();
  end();
  await waited;
  expect(state.way).toBe("take");
});

test("ends to hear when it has calmed down, and not where something runs again meanwhile", async () => {
  const { state, waiting, waited, begun } = setUp(false);
  await begun();
  waiting.calmedDown();
  // Longer than it takes to look: those timers are over.
  await new Promise((resolve) => setTimeout(resolve, 10));
  let hasEnded = false;
  void waited.then(() => (hasEnded = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(hasEnded).toBe(false);
  state.isCalm = true;
  waiting.calmedDown();
  await waited;
});

test("does not begin when it is to be quiet, and gives what a way throws", async () => {
  const none = () => expect.unreachable("it is quiet");
  await new Waiting(() => true).forWork(AbortSignal.abort(), { hear: none, take: none });
  const lost = new Error("lost");
  const fails = () => Promise.reject(lost);
  for (const isCalm of [true, false]) {
    const { error } = await failure(new Waiting(() => isCalm).forWork(new AbortController().signal, { hear: fails, take: fails }));
    expect(error).toBe(lost);
  }
});
