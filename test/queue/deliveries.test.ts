import { once } from "node:events";
import { Queue as StockQueue } from "bullmq";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { defineHandler, defineJob, LeaseLostError, OptionError, StateError, type Delivery, type JobTypes } from "../../src/index.ts";
import { recordedLog, testApp, until } from "../support/app.ts";
import { failure, takes } from "../support/outcome.ts";
import { freshPrefix, redisClient, redisUrl, startRedis } from "../support/redis.ts";

const job = defineJob("work", { payload: z.object({ n: z.int() }), result: z.int(), backoff: { type: "fixed", base: 0 } });
type Work = NonNullable<(typeof job)["types"]>;

/** The next delivery; the iteration goes on. */
async function next<T extends JobTypes>(iteration: AsyncIterator<Delivery<T>>): Promise<Delivery<T>> {
  const { done, value } = await iteration.next();
  if (done === true) throw new Error("expected one more delivery");
  return value as Delivery<T>;
}

function setUp(options?: { readonly concurrency?: number; readonly signal?: AbortSignal }) {
  const prefix = freshPrefix();
  const log = recordedLog();
  const app = testApp({ prefix, log });
  const queue = app.queue(job);
  const iteration = queue.deliveries(options)[Symbol.asyncIterator]() as AsyncGenerator<Delivery<Work>, void>;
  const hash = (id: string) => redisClient().hgetall(`${prefix}:work:${id}`);
  return { prefix, log, app, queue, iteration, hash };
}

test("a delivery is acknowledged with a result", async () => {
  const { queue, iteration } = setUp();
  const handle = await queue.put({ n: 20 });
  const delivery = await next(iteration);
  expect(delivery.payload).toEqual({ n: 20 });
  expect(delivery.task).toMatchObject({ id: handle.id, name: "work", attempt: 1 });
  await delivery.ack(21);
  expect(await handle.result()).toBe(21);
});

test("one that fails is tried again, and is a dead letter when its attempts are spent", async () => {
  const { queue, iteration } = setUp();
  const handle = await queue.put({ n: 1 }, { attempts: 2 });
  await (await next(iteration)).fail(new Error("first"));
  const second = await next(iteration);
  expect(second.task.attempt).toBe(2);
  await second.fail(new Error("second"));
  expect(await handle.outcome()).toMatchObject({ state: "failed", error: { message: "second", attempts: 2 } });
});

test("one that is released comes again, no attempt spent, and after its delay", async () => {
  const { queue, iteration } = setUp();
  await queue.put({ n: 1 });
  await (await next(iteration)).release();
  const again = await next(iteration);
  expect(again.task.attempt).toBe(1);
  await again.release(300);
  const releasedAt = performance.now();
  const last = await next(iteration);
  expect(performance.now() - releasedAt).toBeGreaterThan(280);
  expect(last.task.attempt).toBe(1);
  await last.ack(1);
});

test("one that is disposed without an end is released; one that has ended stays so", async () => {
  const { queue, iteration } = setUp();
  const handle = await queue.put({ n: 1 });
  {
    await using delivery = await next(iteration);
    expect(delivery.task.attempt).toBe(1);
  }
  const delivery = await next(iteration);
  await delivery.ack(1);
  await delivery[Symbol.asyncDispose]();
  expect(await handle.state()).toBe("completed");
});

test("ends once: a second end is refused", async () => {
  const { queue, iteration } = setUp();
  await queue.put({ n: 1 });
  const delivery = await next(iteration);
  const ends = await Promise.allSettled([delivery.ack(1), delivery.ack(2), delivery.fail(new Error("x")), delivery.release()]);
  expect(ends.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  await expect(delivery.release()).rejects.toBeInstanceOf(StateError);
});

test("a result or a delay that is refused leaves it open", async () => {
  const { queue, iteration } = setUp();
  const handle = await queue.put({ n: 1 });
  const delivery = await next(iteration);
  await expect(delivery.ack("seven" as never)).rejects.toMatchObject({ code: "PAYLOAD_INVALID" });
  await expect(delivery.release(-1)).rejects.toBeInstanceOf(OptionError);
  expect(await handle.state()).toBe("active");
  await delivery.ack(7);
  expect(await handle.result()).toBe(7);
});

test("has as many open at once as its concurrency, and waits for one to end", async () => {
  const { queue, iteration } = setUp({ concurrency: 2 });
  await queue.putMany([{ n: 1 }, { n: 2 }, { n: 3 }]);
  const [first] = [await next(iteration), await next(iteration)];
  const third = next(iteration);
  await until(async () => (await queue.counts()).active === 2);
  expect(await queue.counts()).toMatchObject({ active: 2, waiting: 1 });
  await first.ack(1);
  expect((await third).payload).toEqual({ n: 3 });
});

test("two consumers share the jobs, and each is delivered once", async () => {
  const { prefix, queue, iteration } = setUp();
  const other = testApp({ prefix }).queue(job).deliveries()[Symbol.asyncIterator]();
  await queue.putMany(Array.from({ length: 40 }, (_, n) => ({ n })));
  const seen: number[] = [];
  const drain = async (from: AsyncIterator<Delivery<Work>>): Promise<void> => {
    while (seen.length < 40) {
      const delivery = await Promise.race([next(from), until(() => seen.length === 40).then(() => undefined)]);
      if (delivery === undefined) return;
      seen.push(delivery.payload.n);
      await delivery.ack(0);
    }
  };
  await Promise.all([drain(iteration), drain(other)]);
  expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, n) => n));
});

test("its lease is renewed while it is open, also after the iteration has ended", async () => {
  const ended = new AbortController();
  const { prefix, queue, iteration, hash } = setUp({ signal: ended.signal });
  const handle = await queue.put({ n: 1 });
  const delivery = await next(iteration);
  ended.abort();
  expect(await iteration.next()).toMatchObject({ done: true });
  // Whoever would take a lease that has run out.
  testApp({ prefix }).pool([defineHandler(job, { handle: async () => -1 })]);
  const redis = redisClient();
  const key = `${prefix}:work:${handle.id}:lock`;
  const granted = await redis.pttl(key);
  await until(async () => (await redis.pttl(key)) < granted - 2000);
  await until(async () => (await redis.pttl(key)) > granted - 1000);
  await delivery.ack(1);
  expect(await handle.result()).toBe(1);
  expect(await hash(handle.id)).toMatchObject({ ats: "1" });
});

test("leaving the loop early gives back the delivery of that turn, and ends the consumer", async () => {
  const { prefix, queue, app } = setUp();
  const handle = await queue.put({ n: 1 });
  for await (const delivery of queue.deliveries()) {
    expect(delivery.task.id).toBe(handle.id);
    break;
  }
  expect(await handle.state()).toBe("waiting");
  await expect(
    (async () => {
      for await (const _ of queue.deliveries()) throw new Error("the body fails");
    })(),
  ).rejects.toThrow("the body fails");
  expect(await handle.state()).toBe("waiting");
  await app[Symbol.asyncDispose]();
  expect(await redisClient().hget(`${prefix}:work:${handle.id}`, "atm")).toBeNull();
});

test("a signal ends the iteration, whether it waits or is handed one at that moment", async () => {
  const ended = new AbortController();
  const { queue, iteration } = setUp({ signal: ended.signal });
  const waiting = iteration.next();
  await until(async () => (await queue.counts()).unfinished === 0);
  ended.abort();
  expect(await takes(waiting)).toBeLessThan(1000);
  expect(await waiting).toMatchObject({ done: true });

  const fired = AbortSignal.abort();
  await queue.put({ n: 1 });
  for await (const _ of queue.deliveries({ signal: fired })) expect.unreachable();
  expect(await queue.counts()).toMatchObject({ waiting: 1, active: 0 });
});

test("closing the app gives back what is open", async () => {
  const { prefix, queue, app, iteration } = setUp({ concurrency: 2 });
  const handles = [await queue.put({ n: 1 }), await queue.put({ n: 2 })];
  await next(iteration);
  await next(iteration);
  await app[Symbol.asyncDispose]();
  const redis = redisClient();
  expect(await redis.llen(`${prefix}:work:wait`)).toBe(2);
  for (const { id } of handles) expect(await redis.hget(`${prefix}:work:${id}`, "atm")).toBeNull();
});

test("a lease that is lost fires the signal, and the delivery can no longer be acknowledged", async () => {
  const { prefix, queue, iteration } = setUp();
  const handle = await queue.put({ n: 1 });
  const delivery = await next(iteration);
  await redisClient().set(`${prefix}:work:${handle.id}:lock`, "somebody else", "PX", 60_000);
  await once(delivery.task.signal, "abort");
  expect(delivery.task.signal.reason).toBeInstanceOf(LeaseLostError);
  await expect(delivery.ack(1)).rejects.toBeInstanceOf(LeaseLostError);
  await expect(delivery.ack(1)).rejects.toBeInstanceOf(StateError);
  expect(await handle.state()).toBe("active");
});

test("an outage ends neither the iteration nor an open delivery", async () => {
  const redis = await startRedis({ appendfsync: "always" });
  const app = testApp({ redis: redis.url });
  const queue = app.queue(job);
  const iteration = queue.deliveries({ concurrency: 2 })[Symbol.asyncIterator]();
  const [first] = await Promise.all([queue.put({ n: 1 }), queue.put({ n: 2 })]);
  const [one, two] = [await next(iteration), await next(iteration)];
  await redis.kill();
  const acknowledged = one.ack(1);
  await redis.start();
  await acknowledged;
  expect(await first.result()).toBe(1);
  const third = next(iteration);
  await redis.stop();
  await redis.start();
  await queue.put({ n: 3 });
  expect((await third).payload).toEqual({ n: 3 });
  await two.ack(2);
}, 60_000);

test("one whose acknowledgement gets no answer stays open, and may be acknowledged again", async () => {
  const redis = await startRedis({ appendfsync: "always" });
  const app = testApp({ redis: redis.url });
  const handle = await app.queue(job).put({ n: 1 });
  const iteration = app.queue(job).deliveries()[Symbol.asyncIterator]();
  const delivery = await next(iteration);
  await redis.kill();
  expect((await failure(delivery.ack(1))).error).toMatchObject({ code: "BACKEND_UNAVAILABLE" });
  await redis.start();
  await delivery.ack(1);
  expect(await handle.result()).toBe(1);
}, 60_000);

test("what it cannot read is settled as a pool would: unknown names go back, what fits nothing is a dead letter", async () => {
  const { prefix, queue, app, iteration, hash } = setUp();
  const { hostname, port } = new URL(redisUrl());
  const stock = new StockQueue("work", { prefix, connection: { host: hostname, port: Number(port) } });
  onTestFinished(() => stock.close());
  const unknown = await app.put(defineJob("unknown", { queue: "work" }));
  const wrong = await stock.add("work", { n: "seven" });
  await queue.put({ n: 3 });
  expect((await next(iteration)).payload).toEqual({ n: 3 });
  expect(await queue.job(wrong.id!).outcome()).toMatchObject({ state: "failed", error: { message: expect.stringMatching(/payload\.n/) } });
  expect(await hash(unknown.id)).toMatchObject({ mu: expect.stringMatching(/^\d+$/) });
  expect((await hash(unknown.id))["atm"]).toBeUndefined();
});

test("a schedule goes on when its runs are consumed by hand", async () => {
  const { prefix, queue, iteration } = setUp();
  const { hostname, port } = new URL(redisUrl());
  const stock = new StockQueue("work", { prefix, connection: { host: hostname, port: Number(port) } });
  onTestFinished(() => stock.close());
  await stock.upsertJobScheduler("often", { every: 200 }, { name: "work", data: { n: 1 } });
  for (let run = 0; run < 3; run += 1) await (await next(iteration)).ack(run);
  await until(async () => (await queue.counts()).completed === 3);
});

test("refuses wrong options at the call, and says at the first delivery that it cannot connect", async () => {
  const { queue } = setUp();
  expect(() => queue.deliveries({ concurrency: 0 })).toThrow(OptionError);
  expect(() => queue.deliveries({ signal: 5 as never })).toThrow(OptionError);
  const redis = await startRedis();
  await redis.kill();
  const iteration = testApp({ redis: redis.url }).queue(job).deliveries()[Symbol.asyncIterator]();
  expect((await failure(iteration.next())).error).toMatchObject({ code: "BACKEND_UNAVAILABLE" });
});
