import { expect, onTestFinished, test } from "vitest";
import { ThreadLostError } from "../../src/errors.ts";
import type { OffloadedCall } from "../../src/concurrency/offload-thread.ts";
import { threadEntry } from "../../src/concurrency/thread-entry.ts";
import { Threads, type CallOptions, type ThreadsOptions } from "../../src/concurrency/threads.ts";
import { rejection } from "./settlement.ts";

const entry = threadEntry(new URL("../../src/concurrency/threads.ts", import.meta.url).href, "offload-thread");
const module = new URL("./offloaded.ts", import.meta.url).href;

function threadsOf(options: ThreadsOptions): { threads: Threads; call: (name: string, args: readonly unknown[], options?: CallOptions) => Promise<unknown> } {
  const threads = new Threads(options);
  onTestFinished(() => threads[Symbol.asyncDispose]());
  return { threads, call: (name, args, options) => threads.run(entry, { module, name, args, task: undefined, context: undefined } satisfies OffloadedCall, options) };
}

test("as many calls at once as there are threads; the others wait for their turn", async () => {
  const { threads, call } = threadsOf({ count: 2 });
  const counters = new Int32Array(new SharedArrayBuffer(16));
  await Promise.all([call("meet", [counters, 2]), call("meet", [counters, 2])]);
  await Promise.all([30, 30, 30, 30, 30].map((ms) => call("overlap", [counters, ms])));
  expect([counters[0], counters[1], threads.open]).toEqual([0, 2, 2]);
});

test("calls get their turn first come first served", async () => {
  const { call } = threadsOf({ count: 1 });
  const ended: number[] = [];
  await Promise.all([1, 2, 3, 4].map(async (n) => ended.push((await call("later", [n])) as number)));
  expect(ended).toEqual([1, 2, 3, 4]);
});

test("a thread keeps its modules from call to call", async () => {
  const { call } = threadsOf({ count: 1 });
  expect([await call("use", []), await call("use", []), await call("use", [])]).toEqual([1, 2, 3]);
});

test("who waits behind a call that is cancelled, or whose thread is lost, gets its turn", async () => {
  const { call } = threadsOf({ count: 1 });
  const giveUp = new AbortController();
  const counter = new Int32Array(new SharedArrayBuffer(4));
  const counting = rejection(call("countForEver", [counter], { signal: giveUp.signal }));
  const leaving = rejection(call("leave", [1]));
  const waiting = call("later", ["served"]);
  while (Atomics.load(counter, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  giveUp.abort(new Error("enough"));
  expect(await counting).toMatchObject({ message: "enough" });
  expect(await leaving).toBeInstanceOf(ThreadLostError);
  expect(await waiting).toBe("served");
});

test("a call that is cancelled while it waits costs nobody a turn", async () => {
  const { call } = threadsOf({ count: 1 });
  const giveUp = new AbortController();
  const first = call("later", ["first"]);
  const second = rejection(call("leave", [1], { signal: giveUp.signal }));
  const third = call("later", ["third"]);
  giveUp.abort(new Error("enough"));
  expect(await second).toMatchObject({ message: "enough" });
  expect(await Promise.all([first, third])).toEqual(["first", "third"]);
});

test("starts no thread before the first call, and closes one that has had no work for a while", async () => {
  const { threads, call } = threadsOf({ count: 2, idleMs: 20 });
  expect(threads.open).toBe(0);
  await call("use", []);
  expect(threads.open).toBe(1);
  while (threads.open > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(await call("use", [])).toBe(1);
});

test.each([
  ["an error", "after the call had ended"],
  ["undefined", "undefined"],
])("%s thrown in a thread that has no call any more is told of as a warning; the next call gets another one", async (how, told) => {
  const { call } = threadsOf({ count: 2 });
  const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
  expect(await call("failBehind", [how])).toBe("well");
  expect(await warned).toMatchObject({ name: "LostThreadWarning", message: expect.stringContaining(told) as unknown });
  expect(await call("later", ["alive"])).toBe("alive");
});

test("a thread that needs more memory than it may have is lost, and nothing else; the next call gets another one", async () => {
  const { call } = threadsOf({ count: 1, heapMb: 32 });
  const hoarding = await rejection(call("hoard", []));
  expect(hoarding).toBeInstanceOf(ThreadLostError);
  expect(hoarding).toMatchObject({ message: expect.stringContaining("out of memory") as unknown });
  expect(await call("use", [])).toBe(1);
});

test("disposing ends the threads in whatever they do; afterwards there may be new ones", async () => {
  const { threads, call } = threadsOf({ count: 1 });
  const counter = new Int32Array(new SharedArrayBuffer(4));
  const counting = rejection(call("countForEver", [counter]));
  while (Atomics.load(counter, 0) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  await threads[Symbol.asyncDispose]();
  expect(await counting).toBeInstanceOf(ThreadLostError);
  expect(threads.open).toBe(0);
  expect(await call("use", [])).toBe(1);
});
