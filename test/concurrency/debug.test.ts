import { expect, test } from "vitest";
import { isDebugAsked, setDebug, taskTraces } from "../../src/concurrency/debug.ts";
import { spawn } from "../../src/concurrency/task.ts";
import { Program } from "./program.ts";

test("MILLRACE_DEBUG asks for it, unless it is empty or 0", () => {
  expect([{}, { MILLRACE_DEBUG: "" }, { MILLRACE_DEBUG: "0" }, { MILLRACE_DEBUG: "1" }].map(isDebugAsked)).toEqual([false, false, false, true]);
});

test("is switched on, and back by disposing, however nested", () => {
  expect(taskTraces()).toBe(undefined);
  {
    using _ = setDebug(true);
    const outer = taskTraces();
    expect(outer).toBeDefined();
    {
      using _ = setDebug(true);
      expect(taskTraces()).toBe(outer);
    }
    {
      using _ = setDebug(false);
      expect(taskTraces()).toBe(undefined);
    }
    expect(taskTraces()).toBeDefined();
  }
  expect(taskTraces()).toBe(undefined);
});

test("knows where a task was spawned, and where it waits", async () => {
  using _ = setDebug(true);
  const task = spawn(async (signal) => {
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
  });
  await new Promise((resolve) => setImmediate(resolve));
  const known = taskTraces();
  const lineOf = (frames: readonly string[] | undefined): number => Number(/debug\.test\.ts:(\d+)/.exec(frames?.[0] ?? "")?.[1]);
  const spawned = lineOf(known?.spawnedAt(task as never));
  expect(spawned).toBeGreaterThan(0);
  expect(lineOf(known?.waitsAt(task as never))).toBe(spawned + 1);
  task.cancel();
  await task.then(undefined, () => undefined);
});

test("of functions that await one another, it waits in the innermost, before and after that has resumed", async () => {
  using _ = setDebug(true);
  const place = (): string | undefined => /(\w+) \(.*debug\.test\.ts/.exec(taskTraces()?.waitsAt(task as never)[0] ?? "")?.[1];
  const [first, second, third] = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  async function inner(): Promise<void> {
    await first.promise;
    await second.promise;
  }
  const middle = (): Promise<void> => inner().then(() => undefined);
  async function outer(): Promise<void> {
    await middle();
    await third.promise;
  }
  const task = spawn(async () => await outer());
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  await turn();
  expect(place()).toBe("inner");
  first.resolve();
  await turn();
  expect(place()).toBe("inner");
  second.resolve();
  await turn();
  expect(place()).toBe("outer");
  third.resolve();
  await task;
});

test("what was begun earlier and is awaited now is where it waits", async () => {
  using _ = setDebug(true);
  const [never, now] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  async function background(): Promise<void> {
    await never.promise;
  }
  const task = spawn(async function awaiting() {
    const begun = background();
    await now.promise;
    await begun;
  });
  now.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  expect(taskTraces()?.waitsAt(task as never)[0]).toMatch(/^awaiting \(/);
  never.resolve();
  await task;
});

test("off, it is not there: no thread, no timer, no hook on callbacks or promises", async () => {
  const source = (debug: string): string => `
    import { executionAsyncResource } from "node:async_hooks";
    const resources = () => process.getActiveResourcesInfo().filter((name) => name !== "TTYWrap" && name !== "PipeWrap").toSorted();
    const stuck = () => Symbol.for("millrace.stuck") in globalThis;
    await run(async () => {
      const before = process.hrtime.bigint();
      await sleep(50);
      console.log(JSON.stringify({ threads: resources().filter((name) => /Worker|MessagePort/.test(name)).length, stuck: stuck() }));
    }, { debug: ${debug} });
    console.log(JSON.stringify({ stuck: stuck() }));
  `;
  const told = async (debug: string): Promise<unknown[]> => (await new Program(source(debug)).ended).stdout.trim().split("\n").map((line) => JSON.parse(line) as unknown);
  expect(await told("false")).toEqual([{ threads: 0, stuck: false }, { stuck: false }]);
  expect(await told("true")).toEqual([{ threads: expect.any(Number), stuck: true }, { stuck: false }]);
});
