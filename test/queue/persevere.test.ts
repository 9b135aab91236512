import { expect, test } from "vitest";
import { persevere } from "../../src/queue/persevere.ts";

const never = new AbortController().signal;

test("tries until it succeeds, tells of every failure, and pauses ever longer", async () => {
  const at: number[] = [];
  const failures: unknown[] = [];
  const work = async (): Promise<string> => {
    at.push(performance.now());
    if (at.length < 4) throw new Error(`failure ${at.length}`);
    return "done";
  };
  expect(await persevere(work, { signal: never, onFailure: (error) => failures.push(error) })).toBe("done");
  expect(failures).toMatchObject([{ message: "failure 1" }, { message: "failure 2" }, { message: "failure 3" }]);
  const pauses = at.slice(1).map((each, i) => each - at[i]!);
  expect(pauses[0]).toBeGreaterThanOrEqual(95);
  expect(pauses[1]).toBeGreaterThanOrEqual(195);
  expect(pauses[2]).toBeGreaterThanOrEqual(395);
});

test("a signal ends the pause at once", async () => {
  const ended = new AbortController();
  let tries = 0;
  const trying = persevere(() => ((tries += 1), Promise.reject(new Error("x"))), { signal: ended.signal, onFailure: () => setImmediate(() => ended.abort()) });
  expect(await trying).toBeUndefined();
  expect(tries).toBe(1);
});

test("a signal that has fired lets nothing begin", async () => {
  expect(await persevere(() => expect.unreachable(), { signal: AbortSignal.abort(), onFailure: () => {} })).toBeUndefined();
});

test("what succeeds after the signal still counts", async () => {
  const ended = new AbortController();
  const gate = Promise.withResolvers<number>();
  const trying = persevere(() => gate.promise, { signal: ended.signal, onFailure: () => {} });
  ended.abort();
  gate.resolve(5);
  expect(await trying).toBe(5);
});

test("what the listener throws ends the attempts", async () => {
  const onFailure = (error: unknown): never => {
    throw error;
  };
  await expect(persevere(() => Promise.reject(new Error("for good")), { signal: never, onFailure })).rejects.toThrow("for good");
});
