import { expect, test } from "vitest";
import { z } from "zod";
import { BackendError, BackendFullError, OptionError, PayloadError, QueueFullError } from "../../src/errors.ts";
import { defineHandler, defineJob, defineQueue, typed } from "../../src/index.ts";
import { testApp, until } from "../support/app.ts";
import { failure } from "../support/outcome.ts";
import { freshPrefix, redisClient, startRedis } from "../support/redis.ts";

const numbers = defineJob("number", { queue: "work", payload: z.int() });

/** An app, its queue of numbers, and what Redis holds of it. */
function numbersQueue(options: { readonly maxSize?: number } = {}) {
  const prefix = freshPrefix();
  const redis = redisClient();
  const job = defineJob("number", { queue: defineQueue("work", options), payload: z.int() });
  const app = testApp({ prefix });
  /** In the order in which they would be taken. */
  const waiting = async (): Promise<number[]> => {
    const ids = (await redis.lrange(`${prefix}:work:wait`, "0", "-1")).toReversed();
    return Promise.all(ids.map(async (id) => Number(await redis.hget(`${prefix}:work:${id}`, "data"))));
  };
  const take = (count: number) => redis.rpop(`${prefix}:work:wait`, count);
  return { app, job, queue: app.queue(job), redis, prefix, waiting, take };
}

/** Gives its values one by one, and says whether it was closed before its end. */
function source<T>(values: Iterable<T>) {
  const seen = { given: 0, closed: false };
  function* generate(): Generator<T> {
    let ended = false;
    try {
      for (const value of values) {
        seen.given += 1;
        yield value;
      }
      ended = true;
    } finally {
      seen.closed = !ended;
    }
  }
  return { seen, values: generate() };
}

function* upTo(count: number): Generator<number> {
  for (let n = 0; n < count; n += 1) yield n;
}

async function* laterUpTo(count: number): AsyncGenerator<number> {
  for (const n of upTo(count)) {
    if (n % 100 === 0) await new Promise(setImmediate);
    yield n;
  }
}

test("a put is in Redis when it resolves, under an id of its own", async () => {
  const { queue, redis, prefix } = numbersQueue();
  const [one, two] = await Promise.all([queue.put(1), queue.put(2)]);
  expect(one.id).toMatch(/^[\w-]{22}$/);
  expect(two.id).not.toBe(one.id);
  expect([one.added, two.added]).toEqual([true, true]);
  expect(await redis.hmget(`${prefix}:work:${one.id}`, "name", "data")).toEqual(["number", "1"]);
});

test("a put of an id that is there already adds nothing, and says so", async () => {
  const { queue, waiting } = numbersQueue();
  expect(await queue.put(1, { id: "one" })).toMatchObject({ id: "one", added: true });
  expect(await queue.put(2, { id: "one" })).toMatchObject({ id: "one", added: false });
  expect(await waiting()).toEqual([1]);
});

test("what a put cannot take is refused before any I/O", async () => {
  // Nobody listens there: whatever tried to connect would say so.
  const queue = testApp({ redis: "redis://127.0.0.1:1" }).queue(numbers);
  const wrong: readonly [Promise<unknown>, new (...args: never[]) => Error][] = [
    [queue.put("one" as never), PayloadError],
    [queue.putNoWait(1.5), PayloadError],
    [queue.put(1, { prioriti: 1 } as never), OptionError],
    [queue.put(1, { delay: "1s", runAt: new Date() }), OptionError],
    [queue.put(1, { id: "a:b" }), OptionError],
    [queue.putMany([1], { lifo: "yes" } as never), OptionError],
    [queue.putMany([1], { id: "one" } as never), OptionError],
    [queue.join({ timeout: -1 }), OptionError],
  ];
  for (const [refused, kind] of wrong) expect((await failure(refused)).error).toBeInstanceOf(kind);
  expect(() => queue.job("")).toThrow(OptionError);
});

test("delay, priority and LIFO put a job where they say", async () => {
  const { queue, waiting, redis, prefix } = numbersQueue();
  await queue.put(1);
  await queue.put(2, { lifo: true });
  await queue.put(3, { priority: 5 });
  const late = await queue.put(4, { delay: "1h" });
  await queue.put(5, { runAt: new Date(0) });
  expect(await waiting()).toEqual([2, 1, 5]);
  expect(await queue.counts()).toEqual({ waiting: 3, prioritized: 1, delayed: 1, "waiting-children": 0, active: 0, completed: 0, failed: 0, unfinished: 5 });
  expect(await late.state()).toBe("delayed");
  expect(await redis.zrange(`${prefix}:work:delayed`, "0", "-1")).toEqual([late.id]);
});

test("counts jobs by state as they run and end", async () => {
  const { app, job, queue } = numbersQueue();
  const gate = Promise.withResolvers<void>();
  await queue.putMany([1, 2, 3]);
  const handler = defineHandler(job, { handle: (n) => gate.promise.then(() => (n === 3 ? Promise.reject(new Error("three")) : undefined)) });
  app.pool([handler], { concurrency: 2 });
  await until(async () => (await queue.counts()).active === 2);
  expect(await queue.counts()).toMatchObject({ waiting: 1, active: 2, unfinished: 3 });
  gate.resolve();
  await until(async () => (await queue.counts()).completed === 2);
  expect(await queue.counts()).toMatchObject({ completed: 2, unfinished: 1 });
});

test("a queue exists once somebody has used it", async () => {
  const { queue } = numbersQueue();
  expect(await queue.exists()).toBe(false);
  await queue.put(1);
  expect(await queue.exists()).toBe(true);
});

test("a put into a full queue waits for room; putNoWait does not", async () => {
  const { queue, waiting, take } = numbersQueue({ maxSize: 2 });
  await Promise.all([queue.putNoWait(1), queue.putNoWait(2)]);
  const { error, tookMs } = await failure(queue.putNoWait(3));
  expect(error).toBeInstanceOf(QueueFullError);
  expect(tookMs).toBeLessThan(1000);
  let put = false;
  const waits = queue.put(4).then(() => (put = true));
  expect((await failure(queue.putNoWait(5))).error).toBeInstanceOf(QueueFullError);
  expect(put).toBe(false);
  await take(1);
  await waits;
  expect(await waiting()).toEqual([2, 4]);
});

test("a signal ends a put that waits for room, and nothing is put", async () => {
  const { queue, waiting, take } = numbersQueue({ maxSize: 1 });
  await queue.put(1);
  const gone = new AbortController();
  const put = failure(queue.put(2, { signal: gone.signal }));
  const many = failure(queue.putMany([3, 4], { signal: gone.signal }));
  gone.abort(new Error("the user has gone"));
  expect((await put).error).toEqual(new Error("the user has gone"));
  expect((await many).error).toEqual(new Error("the user has gone"));
  await take(1);
  await queue.put(5);
  expect(await waiting()).toEqual([5]);
});

test.each([
  ["an iterable", upTo],
  ["an async iterable", laterUpTo],
])("putMany puts all of %s in order, over many scripts, and says how many were added", async (_, values) => {
  const { queue, waiting } = numbersQueue();
  expect(await queue.putMany(values(1234))).toBe(1234);
  expect(await waiting()).toEqual([...upTo(1234)]);
  expect(await queue.putMany(values(0))).toBe(0);
});

test("putMany does not count what was there already, before or among them", async () => {
  const { queue, waiting } = numbersQueue();
  await queue.put(700, { id: "n700" });
  expect(await queue.putMany([1, 2, 2, 700, 3, 1], { id: (n) => `n${n}` })).toBe(3);
  expect(await waiting()).toEqual([700, 1, 2, 3]);
});

test("the options of putMany hold for all of them", async () => {
  const { queue } = numbersQueue();
  expect(await queue.putMany(upTo(600), { delay: "1h", attempts: 7 })).toBe(600);
  expect(await queue.counts()).toMatchObject({ delayed: 600, waiting: 0 });
});

test.each([3, 499, 500, 1000])("a payload that is refused ends putMany after those %i before it", async (good) => {
  const { queue, waiting } = numbersQueue();
  const { seen, values } = source<number>([...upTo(good), 0.5, ...upTo(1000)]);
  const { error } = await failure(queue.putMany(values));
  expect(error).toBeInstanceOf(PayloadError);
  expect(seen).toEqual({ given: good + 1, closed: true });
  expect(await waiting()).toEqual([...upTo(good)]);
});

test("an id that is refused, or a function of ids that throws, does the same", async () => {
  const { queue, waiting } = numbersQueue();
  expect((await failure(queue.putMany([1, 2, 3], { id: (n) => (n < 3 ? `n${n}` : "3") }))).error).toBeInstanceOf(OptionError);
  const noId = (n: number): string => {
    if (n === 5) throw new RangeError("no id for 5");
    return `n${n}`;
  };
  expect((await failure(queue.putMany([4, 5, 6], { id: noId }))).error).toEqual(new RangeError("no id for 5"));
  expect(await waiting()).toEqual([1, 2, 4]);
});

test("a source that throws ends putMany with its own error, and what it gave before is put", async () => {
  const { queue, waiting } = numbersQueue();
  function* breaks(): Generator<number> {
    yield* upTo(700);
    throw new RangeError("the disk is gone");
  }
  async function* breaksLater(): AsyncGenerator<number> {
    yield* laterUpTo(10);
    throw new RangeError("the network is gone");
  }
  expect((await failure(queue.putMany(breaks()))).error).toEqual(new RangeError("the disk is gone"));
  expect((await failure(queue.putMany(breaksLater()))).error).toEqual(new RangeError("the network is gone"));
  expect(await waiting()).toEqual([...upTo(700), ...upTo(10)]);
});

test("a source that waits holds back nothing of what it gave before", async () => {
  const { queue, waiting } = numbersQueue();
  const more = Promise.withResolvers<void>();
  async function* slow(): AsyncGenerator<number> {
    yield* [1, 2, 3];
    await more.promise;
    yield 4;
  }
  const put = queue.putMany(slow());
  await until(async () => (await waiting()).length === 3);
  more.resolve();
  expect(await put).toBe(4);
});

test("putMany waits for room, and never puts more than the queue holds", async () => {
  const { queue, waiting, take, redis, prefix } = numbersQueue({ maxSize: 7 });
  const put = queue.putMany(upTo(60));
  const taken: string[] = [];
  while (taken.length < 60) {
    const length = await redis.llen(`${prefix}:work:wait`);
    expect(length).toBeLessThanOrEqual(7);
    if (length > 0) taken.push(...((await take(4)) ?? []));
  }
  expect(await put).toBe(60);
  expect(await waiting()).toEqual([]);
  expect(await Promise.all(taken.map(async (id) => Number(await redis.hget(`${prefix}:work:${id}`, "data"))))).toEqual([...upTo(60)]);
});

test("a Redis that is full ends putMany of an endless source", async () => {
  const { url } = await startRedis({ maxmemory: "5mb" });
  const queue = testApp({ redis: url }).queue(numbers);
  const { seen, values } = source(upTo(Infinity));
  expect((await failure(queue.putMany(values))).error).toBeInstanceOf(BackendFullError);
  expect(seen.closed).toBe(true);
});

test("a paused queue takes puts and delivers nothing until it is resumed", async () => {
  const { app, job, queue } = numbersQueue();
  const ran: number[] = [];
  const finished = Promise.withResolvers<void>();
  const first = Promise.withResolvers<void>();
  app.pool([
    defineHandler(job, {
      async handle(n) {
        first.resolve();
        if (n === 1) await finished.promise;
        ran.push(n);
      },
    }),
  ]);
  const running = await queue.put(1);
  await first.promise;
  await queue.pause();
  await queue.put(2);
  finished.resolve();
  await running.outcome();
  // Its slots are free, and it has been told of the put: were the queue not paused, the pool would take it now.
  expect(await queue.counts()).toMatchObject({ waiting: 1, active: 0, completed: 1 });
  expect((await failure(queue.join({ timeout: 300 }))).error).toMatchObject({ code: "TIMEOUT" });
  expect(ran).toEqual([1]);
  await queue.resume();
  await queue.join({ timeout: "10s" });
  expect(ran).toEqual([1, 2]);
});

test("a pause during an outage ends with an error in time, and the next one works", async () => {
  const redis = await startRedis();
  const queue = testApp({ redis: redis.url }).queue(numbers);
  await queue.put(1);
  await redis.kill();
  const { error, tookMs } = await failure(queue.pause());
  expect(error).toBeInstanceOf(BackendError);
  expect(tookMs).toBeLessThan(5500);
  await redis.start();
  await until(async () => (await failure(queue.pause())).error === undefined);
  expect((await failure(queue.deliveries({ signal: AbortSignal.timeout(200) })[Symbol.asyncIterator]().next())).error).toBeUndefined();
  expect(await queue.counts()).toMatchObject({ waiting: 1, active: 0 });
});

test("contracts that share a queue see its jobs together", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const words = defineJob("word", { queue: "work", payload: typed<string>() });
  await app.put(numbers, 1);
  await app.put(words, "one");
  expect((await app.queue(words).counts()).waiting).toBe(2);
  expect(app.queue(words).name).toBe("work");
});
