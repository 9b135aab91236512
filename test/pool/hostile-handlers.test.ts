/** Whatever a handler throws or returns, its job ends, and the pool goes on. */
import { expect, test } from "vitest";
import { defineHandler, defineJob, type Handler, type JobTask } from "../../src/index.ts";
import { testApp } from "../support/app.ts";
import { ran, type Handle } from "./ran.ts";

test.each<[string, Handle, RegExp]>([
  ["undefined", () => Promise.reject(undefined), /no error was thrown: undefined/],
  ["null", () => Promise.reject(null), /no error was thrown: null/],
  ["a string", () => Promise.reject("oh no"), /no error was thrown: oh no/],
  ["an object without a prototype", () => Promise.reject(Object.create(null)), /no error was thrown/],
  ["a symbol", () => Promise.reject(Symbol("s")), /no error was thrown: Symbol\(s\)/],
  ["an error whose message throws", () => Promise.reject(Object.defineProperty(new Error("x"), "message", { get: () => { throw new Error("trap"); } })), /Error/],
  ["an error whose message is no text", () => Promise.reject(Object.assign(new Error("x"), { message: { a: 1 }, stack: 7 })), /\{"a":1\}/],
  ["a proxy that refuses everything", () => Promise.reject(new Proxy(new Error("x"), { get: () => { throw new Error("trap"); }, getPrototypeOf: () => { throw new Error("trap"); } })), /no error was thrown/],
  ["an error without a message", () => Promise.reject(new RangeError("")), /^RangeError$/],
  ["synchronously", () => { throw new Error("before the first await"); }, /before the first await/],
])("a handler that throws %s fails like any other", async (_, handle, reason) => {
  const { outcome, counts } = await ran(handle, { attempts: 1 });
  expect(outcome).toMatchObject({ state: "failed", error: { message: expect.stringMatching(reason) } });
  expect(counts).toMatchObject({ active: 0, failed: 1 });
});

test("a reason of megabytes is shortened before it is stored", async () => {
  const { hash } = await ran(async () => Promise.reject(new Error("x".repeat(5_000_000))), { attempts: 1 });
  expect(hash["failedReason"]!.length).toBeLessThan(11_000);
  expect(hash["stacktrace"]!.length).toBeLessThan(25_000);
  expect(hash["failedReason"]).toMatch(/5000000 characters/);
});

const circle: Record<string, unknown> = {};
circle["itself"] = circle;
test.each<[string, unknown, RegExp]>([
  ["a BigInt", 1n, /bigint/],
  ["a circle", circle, /circular/],
  ["NaN", { mean: Number.NaN }, /result\.mean/],
  ["a Map", new Map(), /Map/],
  ["a getter that throws", { get value() { throw new Error("trap"); } }, /trap|result/],
])("a handler that returns %s is a dead letter at once: its work is not done twice", async (_, value, reason) => {
  const { outcome, attempts, counts } = await ran(async () => value);
  expect(outcome).toMatchObject({ state: "failed", error: { message: expect.stringMatching(reason) } });
  expect(attempts).toEqual([1]);
  expect(counts.active).toBe(0);
});

test("what a handler returns for a contract without a result is no matter", async () => {
  const app = testApp();
  const job = defineJob("work");
  app.pool([defineHandler(job, { handle: (async () => 1n) as unknown as () => Promise<void> })]);
  expect(await (await app.put(job)).outcome()).toEqual({ state: "completed", result: undefined });
});

test("hands over the task however many parameters the handler declares", async () => {
  const signals: unknown[] = [];
  const seen = (task: JobTask | undefined): void => void signals.push(task?.signal instanceof AbortSignal);
  await ran(async function (this: unknown, ...rest: unknown[]) { seen(rest[1] as JobTask); });
  await ran((async (payload = { n: 0 }, task?: JobTask) => seen(payload.n === 1 ? task : undefined)) as Handle);
  await ran(function (this: unknown) { seen(arguments[1] as JobTask); } as Handle);
  expect(signals).toEqual([true, true, true]);
});

test.each<[string, Partial<Handler>]>([
  ["throws before it gives a promise", { run: () => { throw new Error("not even a promise"); } }],
  ["gives no promise", { run: (() => 5) as unknown as Handler["run"] }],
])("a handler made by hand whose run %s does no harm", async (_, overridden) => {
  const app = testApp();
  const job = defineJob("work", { attempts: 1 });
  app.pool([{ ...defineHandler(job, { handle: async () => {} }), ...overridden } as Handler]);
  expect((await (await app.put(job)).outcome()).state).toMatch(/completed|failed/);
});
