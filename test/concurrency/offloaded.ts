/** What the tests of threads call. The annotations are TypeScript's, so that a thread has to strip them. */
import { AsyncLocalStorage } from "node:async_hooks";
import { threadId } from "node:worker_threads";
import { DeadLetter, TimeoutError } from "../../src/errors.ts";
import { currentTask } from "../../src/concurrency/task.ts";
import { transfer } from "../../src/concurrency/transfer.ts";

export interface Place {
  readonly thread: number;
  readonly task: string | undefined;
}

export class PictureError extends RangeError {
  readonly width: number;
  override readonly name = "PictureError";
  constructor(message: string, width: number) {
    super(message);
    this.width = width;
  }
}

export const constant = 1;

export const user = new AsyncLocalStorage<string>();
export const request = new AsyncLocalStorage<{ readonly id: number }>();

/** What the context holds, also behind an await. */
export async function context(): Promise<unknown[]> {
  const before = [user.getStore(), request.getStore()];
  await new Promise((resolve) => setTimeout(resolve, 5));
  return [...before, user.getStore(), request.getStore()];
}

export function place(): Place {
  return { thread: threadId, task: currentTask()?.name };
}

export async function later<T>(value: T): Promise<T> {
  await new Promise((resolve) => setTimeout(resolve, 5));
  return value;
}

/** Counts in shared memory, and never ends. */
export function countForEver(counter: Int32Array): never {
  for (;;) Atomics.add(counter, 0, 1);
}

/** Tells in shared memory how many run at once, at most. */
export function overlap(counters: Int32Array, ms: number): void {
  const now = Atomics.add(counters, 0, 1) + 1;
  if (now > Atomics.load(counters, 1)) Atomics.store(counters, 1, now);
  Atomics.wait(counters, 2, 0, ms);
  Atomics.sub(counters, 0, 1);
}

/** Returns once so many are in it at once. */
export function meet(counters: Int32Array, together: number): void {
  Atomics.add(counters, 3, 1);
  Atomics.notify(counters, 3);
  for (let met = Atomics.load(counters, 3); met < together; met = Atomics.load(counters, 3)) Atomics.wait(counters, 3, met);
}

export function sizeOf(bytes: Uint8Array): number {
  return bytes.byteLength;
}

const lent: Uint8Array[] = [];

/** Gives bytes, and says later what is left of those it gave. */
export function bytes(size: number, how: "copied" | "handed over"): Uint8Array {
  const made = new Uint8Array(size).fill(7);
  lent.push(made);
  return how === "copied" ? made : transfer(made, [made.buffer]);
}

export function left(): number[] {
  return lent.map((one) => one.byteLength);
}

export function aFunction(): () => number {
  return () => 1;
}

/** Takes all the memory there is. */
export function hoard(): never {
  const held: number[][] = [];
  for (;;) held.push(Array.from({ length: 10_000 }, () => held.length));
}

let uses = 0;
export function use(): number {
  return (uses += 1);
}

export function fail(how: string): never {
  switch (how) {
    case "syntax":
      throw Object.assign(new SyntaxError("no such thing", { cause: new TypeError("that") }), { code: "E_NO", at: { line: 3 }, callback: () => 1 });
    case "own":
      throw new PictureError("too wide", 90_000);
    case "millrace":
      throw new DeadLetter("for good");
    case "timeout":
      throw new TimeoutError("too late");
    case "several":
      throw new AggregateError([new PictureError("first", 1), 2], "several");
    case "abort":
      throw new DOMException("given up", "AbortError");
    case "text":
      throw "only text";
    default:
      throw new Error(how);
  }
}

export function leave(code: number): never {
  process.exit(code);
}

export function failLater(how: "an error" | "null"): Promise<never> {
  setTimeout(() => {
    throw how === "null" ? null : new PictureError("nobody caught this", 2);
  });
  return new Promise(() => setTimeout(() => undefined, 60_000));
}

export function failBehind(how: "an error" | "undefined"): string {
  setTimeout(() => {
    throw how === "undefined" ? undefined : new Error("after the call had ended");
  }, 100);
  return "well";
}
