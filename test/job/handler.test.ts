import { expect, test } from "vitest";
import { z } from "zod";
import { OptionError } from "../../src/errors.ts";
import { defineJob } from "../../src/job/contract.ts";
import { defineHandler, type JobTask } from "../../src/job/handler.ts";

const double = defineJob("double", { payload: z.object({ n: z.number() }), result: z.number() });
const task: JobTask<never> = {
  id: "a",
  name: "double",
  attempt: 1,
  signal: new AbortController().signal,
  deadline: undefined,
  fence: "1",
  scheduledAt: undefined,
  log: { debug() {}, info() {}, warn() {}, error() {} },
  async progress() {},
  async assertLease() {},
};

test("runs its function with payload and task, and gives its result", async () => {
  const handler = defineHandler(double, {
    concurrency: 5,
    async handle({ n }, { attempt }) {
      return n * 2 * attempt;
    },
  });
  expect(handler.job).toBe(double);
  expect(handler.concurrency).toBe(5);
  expect(Object.isFrozen(handler)).toBe(true);
  await expect(handler.run({ n: 21 }, task)).resolves.toBe(42);
});

test("hands over the task whatever parameters the function declares", async () => {
  const seen: unknown[][] = [];
  const payload = { n: 1 };
  const handlers = [
    defineHandler(double, { handle: async (...all) => seen.push(all) }),
    defineHandler(double, { handle: async (one = { n: 0 }, two = task) => seen.push([one, two]) }),
    defineHandler(double, {
      async handle() {
        // oxlint-disable-next-line prefer-rest-params -- what a function that declares nothing is called with
        return seen.push(Array.from(arguments));
      },
    }),
  ];
  for (const handler of handlers) await handler.run(payload, task);
  expect(seen).toEqual([[payload, task], [payload, task], [payload, task]]);
});

test("calls the function on its options, so that they may hold what it needs", async () => {
  const options = {
    async handle(this: { handle: unknown }) {
      return this.handle === options.handle ? 1 : 0;
    },
  };
  await expect(defineHandler(double, options).run({ n: 1 }, task)).resolves.toBe(1);
});

test("a function that throws before its first await rejects", async () => {
  const handler = defineHandler(double, {
    handle() {
      throw new RangeError("no");
    },
  });
  const running = handler.run({ n: 1 }, task);
  await expect(running).rejects.toThrow(RangeError);
});

test("leaves concurrency to the pool unless told otherwise", () => {
  expect(defineHandler(double, { handle: async () => 1 }).concurrency).toBeUndefined();
});

test("keeps where its threads find it, and runs in the caller's thread all the same", async () => {
  const threads = { module: import.meta.url, count: 2, heapMb: 64 };
  const handler = defineHandler(double, { threads, concurrency: 2, handle: async ({ n }) => n });
  expect(handler.threads).toEqual(threads);
  await expect(handler.run({ n: 1 }, task)).resolves.toBe(1);
  expect(defineHandler(double, { handle: async () => 1 }).threads).toBeUndefined();
});

const handle = async () => 1;

test("refuses what is no handler", () => {
  const wrong = (job: unknown, options: unknown) => () => defineHandler(job as typeof double, options as never);
  expect(wrong({ name: "double" }, { handle })).toThrow("expected a job made by defineJob, got an object");
  expect(wrong(double, {})).toThrow('expected handle(payload, task) among the options of the handler of job "double"');
  expect(wrong(double, undefined)).toThrow(OptionError);
  expect(wrong(double, handle)).toThrow("expected an object with the options of the handler");
  expect(wrong(double, { handle: 5 })).toThrow("expected a function for handle");
  expect(wrong(double, { handel: handle })).toThrow("did you mean handle?");
  for (const concurrency of [0, -1, 1.5, Infinity, "5"]) expect(wrong(double, { handle, concurrency })).toThrow(OptionError);
  expect(wrong(double, { handle, threads: { count: 2 } })).toThrow("expected import.meta.url for the module");
  expect(wrong(double, { handle, threads: { module: "./double.ts" } })).toThrow("expected import.meta.url for the module");
  expect(wrong(double, { handle, threads: { module: import.meta.url, count: 0 } })).toThrow(OptionError);
  expect(wrong(double, { handle, threads: { module: import.meta.url, heapMb: 8 } })).toThrow("expected a whole number of at least 32 for heapMb");
  expect(wrong(double, { handle, threads: { module: import.meta.url, counts: 2 } })).toThrow("did you mean count?");
  expect(wrong(double, { handle, concurrency: 3, threads: { module: import.meta.url, count: 2 } })).toThrow("expected a concurrency of at most 2");
  expect(wrong(double, { handle, chunk: { size: 3 } })).toThrow('unknown option "chunk"');
});
