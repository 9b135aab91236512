import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { App, connect } from "../src/app.ts";
import { BackendError, EnqueueTimeoutError, NoRedisError, OptionError } from "../src/errors.ts";
import { defineHandler, defineJob, defineQueue, typed, type Delivery, type Job } from "../src/index.ts";
import { recordedLog, testApp, until } from "./support/app.ts";
import { failure } from "./support/outcome.ts";
import { freshPrefix, redisClient, redisUrl, startRedis } from "./support/redis.ts";

const job = defineJob("job", { queue: "work", payload: typed<number>(), result: typed<number>() });
type OpenJob = typeof job extends Job<infer T> ? Delivery<T> : never;

test("connects when something first needs Redis, and not before", async () => {
  const connections: Socket[] = [];
  const server = createServer((socket) => connections.push(socket)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const app = testApp({ redis: `redis://127.0.0.1:${(server.address() as AddressInfo).port}` });
  onTestFinished(() => {
    for (const socket of connections) socket.destroy();
    server.close();
  });
  const queue = app.queue(job);
  queue.job("some");
  queue.deliveries();
  await new Promise(setImmediate);
  expect(connections).toEqual([]);
  const put = failure(app.put(job, 1));
  await once(server, "connection");
  await app[Symbol.asyncDispose]();
  expect((await put).error).toBeInstanceOf(BackendError);
});

test.each([
  ["a put", job],
  ["one of a contract that redacts", defineJob("job", { queue: "work", payload: typed<number>(), result: typed<number>(), redact: ["body"] })],
])("%s while Redis is not up yet is told so in time, the next one at once, and one after it is up is put", async (_, job) => {
  const server = await startRedis();
  await server.stop();
  const app = testApp({ redis: server.url });
  const first = await failure(app.put(job, 1));
  expect(first.error).toBeInstanceOf(EnqueueTimeoutError);
  expect(first.error).toMatchObject({ jobMayExist: false });
  expect(first.tookMs).toBeLessThan(5000);
  const second = await failure(app.put(job, 2));
  expect(second.error).toMatchObject({ code: "ENQUEUE_TIMEOUT", jobMayExist: false });
  expect(second.tookMs).toBeLessThan(100);
  await server.start();
  await until(() => app.put(job, 3).then(() => true, () => false));
  await (first.error as EnqueueTimeoutError).retry();
  expect(await app.queue(job).counts()).toMatchObject({ waiting: 2 });
});

test("says what is wrong with its options at once", () => {
  for (const prefix of ["", "a:b", "a b", "{a", "a}", "{}", 7]) expect(() => connect({ redis: redisUrl(), prefix: prefix as string })).toThrow(OptionError);
  expect(() => connect({ redis: redisUrl(), prefx: "p" } as never)).toThrow(OptionError);
  expect(() => connect({ redis: "http://localhost" })).toThrow(OptionError);
  for (const prefix of ["bull", "{bull}", "team-1"]) expect(connect({ redis: redisUrl(), prefix })).toBeInstanceOf(App);
});

test("a durable put is told where no replica can have it, and others are not", async () => {
  const redis = await startRedis();
  const app = connect({ redis: redis.url, durable: { replicas: 2, timeout: 500 }, log: recordedLog() });
  onTestFinished(() => app[Symbol.asyncDispose]());
  await expect(app.put(job, 1, { durable: true })).rejects.toMatchObject({ code: "NOT_REPLICATED", message: expect.stringContaining("expected 2 replicas") });
  await expect(app.queue(job).putMany([1, 2], { durable: true })).rejects.toMatchObject({ code: "NOT_REPLICATED" });
  await app.put(job, 1);
  expect(await app.queue(job).counts()).toMatchObject({ waiting: 1 });
  for (const durable of [true, { replicas: 0 }, { timeout: "5s" }, { count: 1 }]) expect(() => connect({ redis: redis.url, durable: durable as object })).toThrow(OptionError);
});

test("never guesses where Redis is", () => {
  const { REDIS_URL, REDIS_URL_FILE } = process.env;
  delete process.env["REDIS_URL"];
  delete process.env["REDIS_URL_FILE"];
  onTestFinished(() => {
    Object.assign(process.env, REDIS_URL !== undefined && { REDIS_URL }, REDIS_URL_FILE !== undefined && { REDIS_URL_FILE });
  });
  expect(() => connect()).toThrow(NoRedisError);
});

test("its address is for messages: it holds no password", () => {
  const app = connect({ redis: "redis://user:secret@127.0.0.1:6380/3" });
  expect(app.address).toContain("127.0.0.1:6380");
  expect(app.address).not.toContain("secret");
});

test("logs once what should be changed about the server, whoever connects first", async () => {
  const { url } = await startRedis({ appendonly: "no", save: "" });
  const log = recordedLog();
  const app = testApp({ redis: url, log });
  await Promise.all([app.ready(), app.ready(), app.put(job, 1)]);
  await app.ready();
  expect(log.lines.filter(({ message }) => message.includes("persisted"))).toEqual([expect.objectContaining({ level: "warn" })]);
});

test("tells what a power loss costs", async () => {
  const log = recordedLog();
  const app = testApp({ redis: (await startRedis()).url, log });
  expect(app.durability).toBeUndefined();
  await app.ready();
  expect(app.durability).toContain("loses up to the last second");
  expect(log.lines).toEqual([]);
});

test("two apps of one prefix share their queues; apps of two do not", async () => {
  const prefix = freshPrefix();
  await testApp({ prefix }).put(job, 1);
  expect((await testApp({ prefix }).queue(job).counts()).waiting).toBe(1);
  expect((await testApp().queue(job).counts()).waiting).toBe(0);
  expect(await redisClient().exists(`${prefix}:work:wait`)).toBe(1);
});

test("takes only what defineJob made, and one bound for one queue", () => {
  const app = testApp();
  expect(() => app.queue({ name: "job", queue: "work" } as never)).toThrow(OptionError);
  app.queue(job);
  expect(() => app.queue(defineJob("other", { queue: defineQueue("work", { maxSize: 5 }) }))).toThrow(OptionError);
});

test("disposing it cancels its pools and gives back what they held", async () => {
  const prefix = freshPrefix();
  const app = testApp({ prefix });
  const interrupted = Promise.withResolvers<void>();
  const pool = app.pool([
    defineHandler(job, {
      async handle(_, { signal }) {
        signal.addEventListener("abort", () => interrupted.resolve(), { once: true });
        await interrupted.promise;
        throw signal.reason;
      },
    }),
  ]);
  await app.put(job, 1);
  await until(() => pool.running === 1);
  await app[Symbol.asyncDispose]();
  await interrupted.promise;
  await pool.done;
  expect(await testApp({ prefix }).queue(job).counts()).toMatchObject({ waiting: 1, active: 0, failed: 0 });
});

test("disposing it gives back what is held by hand, ends every wait, and leaves no connection", async () => {
  const { url } = await startRedis();
  const app = testApp({ redis: url, prefix: "p" });
  const queue = app.queue(job);
  const put = await app.put(job, 1);
  const deliveries = queue.deliveries()[Symbol.asyncIterator]();
  const delivery = (await deliveries.next()).value as OpenJob;
  expect(delivery.payload).toBe(1);
  const waits = [put.result(), queue.join(), deliveries.next()].map((wait) => failure(wait));
  await app[Symbol.asyncDispose]();
  const [result, join, next] = await Promise.all(waits);
  expect([result!.error, join!.error]).toEqual([expect.any(BackendError), expect.any(BackendError)]);
  expect(next!.error).toBeUndefined();
  expect((await failure(app.put(job, 2))).error).toBeInstanceOf(BackendError);
  const other = testApp({ redis: url, prefix: "p" });
  expect(await other.queue(job).counts()).toMatchObject({ waiting: 1, active: 0 });
});

test("disposing it takes a bounded time and throws nothing, also while Redis is gone, and twice", async () => {
  const redis = await startRedis();
  const app = connect({ redis: redis.url, log: recordedLog() });
  const pool = app.pool([defineHandler(job, { handle: async (n) => n })]);
  await app.put(job, 1);
  await until(async () => (await app.queue(job).counts()).completed === 1);
  await redis.kill();
  const { error, tookMs } = await failure(Promise.all([app[Symbol.asyncDispose](), app[Symbol.asyncDispose]()]));
  expect(error).toBeUndefined();
  // The grace of its pool, and then what closing itself waits.
  expect(tookMs).toBeLessThan(7000);
  await pool.done;
  const never = connect({ redis: "redis://127.0.0.1:1" });
  expect((await failure(never[Symbol.asyncDispose]())).error).toBeUndefined();
});

test("handlers that lock by key run one at a time for each key, in whatever process, and those of other keys meanwhile", async () => {
  const prefix = freshPrefix();
  const transfer = defineJob("transfer", { payload: typed<{ account: number }>() });
  const accounts = new Map([[42, { balance: 0, inside: 0 }], [43, { balance: 0, inside: 0 }]]);
  let most = 0;
  const processes = [testApp({ prefix }), testApp({ prefix })];
  for (const app of processes) {
    const handler = defineHandler(transfer, {
      async handle(payload, task) {
        await using _ = await app.lock(`account:${payload.account}`, { signal: task.signal, timeout: "30s" });
        const account = accounts.get(payload.account)!;
        account.inside += 1;
        expect(account.inside).toBe(1);
        most = Math.max(most, [...accounts.values()].reduce((sum, { inside }) => sum + inside, 0));
        const { balance } = account;
        await new Promise((resolve) => setTimeout(resolve, 2));
        account.balance = balance + 1;
        account.inside -= 1;
      },
    });
    app.pool([handler], { concurrency: 4 });
  }
  const queue = processes[0]!.queue(transfer);
  await queue.putMany(Array.from({ length: 40 }, (_, i) => ({ account: 42 + (i % 2) })));
  await queue.join();
  expect([...accounts.values()].map(({ balance }) => balance)).toEqual([20, 20]);
  expect(await queue.counts()).toMatchObject({ completed: 40, failed: 0 });
  expect(most).toBe(2);
});

test("a handler that is told to end while it waits for a lock leaves the line, and its job is given back", async () => {
  const prefix = freshPrefix();
  const [owner, worker] = [testApp({ prefix }), testApp({ prefix })];
  const waits = Promise.withResolvers<void>();
  const handler = defineHandler(job, {
    async handle(_, task) {
      waits.resolve();
      await using held = await worker.lock("account:42", { signal: task.signal });
      return held.fence;
    },
  });
  const held = await owner.lock("account:42");
  const pool = worker.pool([handler]);
  const handle = await owner.put(job, 1);
  await waits.promise;
  await pool.cancel();
  expect(await handle.state()).toBe("waiting");
  await held[Symbol.asyncDispose]();
  await using _ = await owner.lock("account:42", { timeout: "5s" });
});
