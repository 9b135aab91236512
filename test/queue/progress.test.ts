import { expect, test } from "vitest";
import { BackendError, TimeoutError } from "../../src/errors.ts";
import { defineHandler, defineJob, OptionError, typed } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { failure } from "../support/outcome.ts";
import { startRedis } from "../support/redis.ts";

const job = defineJob("work", { payload: typed<string>(), progress: typed<{ readonly done: number }>() });

/** A job whose handler tells of each step when it is let. */
async function stepping(redis?: string) {
  const app = testApp(redis === undefined ? {} : { redis });
  const steps: (() => void)[] = [];
  const next = (signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason as Error));
      steps.push(resolve);
    });
  const handler = defineHandler(job, {
    async handle(_, task) {
      for (let done = 1; done <= 3; done += 1) {
        await next(task.signal);
        await task.progress({ done });
      }
      await next(task.signal);
    },
  });
  const put = await app.put(job, "x");
  app.pool([handler]);
  const step = async (n: number): Promise<void> => {
    await until(() => steps.length === n);
    steps[n - 1]!();
  };
  return { app, put, step };
}

async function collect(values: AsyncIterable<{ readonly done: number }>, onValue: (done: number) => void = () => {}): Promise<number[]> {
  const seen: number[] = [];
  for await (const { done } of values) {
    seen.push(done);
    onValue(done);
  }
  return seen;
}

test("tells each value as it comes, to whoever follows, and ends with the job", async () => {
  const { put, step } = await stepping();
  const first = collect(put.progress(), (done) => void step(done + 1));
  const second = collect(put.progress({ timeout: "20s" }));
  await step(1);
  expect(await first).toEqual([1, 2, 3]);
  expect((await second).at(-1)).toBe(3);
  expect(await put.state()).toBe("completed");
});

test("begins with the latest value, and gives it once the job has ended too", async () => {
  const { put, step } = await stepping();
  for (const n of [1, 2]) await step(n);
  await until(async () => (await put.progress()[Symbol.asyncIterator]().next()).value?.done === 2);
  const late = collect(put.progress());
  for (const n of [3, 4]) await step(n);
  expect((await late).at(-1)).toBe(3);
  expect(await collect(put.progress())).toEqual([3]);
});

test("of a job that never told, or never was, there is none", async () => {
  const { app, put } = await stepping();
  await put.cancel();
  expect(await collect(put.progress())).toEqual([]);
  expect(await collect(app.queue(job).job("never").progress())).toEqual([]);
});

test("ends by its timeout, its signal, and with the app; and by leaving the loop", async () => {
  const { app, put, step } = await stepping();
  expect((await failure(collect(put.progress({ timeout: 50 })))).error).toBeInstanceOf(TimeoutError);
  const gone = new AbortController();
  const following = failure(collect(put.progress({ signal: gone.signal })));
  gone.abort(new Error("no more"));
  expect((await following).error).toEqual(new Error("no more"));
  expect(() => put.progress({ timeout: -1 })).toThrow(OptionError);
  await step(1);
  for await (const { done } of put.progress()) {
    expect(done).toBe(1);
    break;
  }
  const last = failure(collect(put.progress()));
  await app[Symbol.asyncDispose]();
  expect((await last).error).toBeInstanceOf(BackendError);
});

test("an outage of Redis prolongs it", async () => {
  const server = await startRedis();
  const { put, step } = await stepping(server.url);
  const values: number[] = [];
  const following = collect(put.progress(), (done) => values.push(done));
  await step(1);
  await until(() => values.length === 1);
  await server.kill();
  await server.start();
  for (const n of [2, 3, 4]) await step(n);
  expect((await following).at(-1)).toBe(3);
}, 40_000);
