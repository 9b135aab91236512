import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { App, connect } from "../src/app.ts";
import { BackendError, NoRedisError, OptionError } from "../src/errors.ts";
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

test("says what is wrong with its options at once", () => {
  for (const prefix of ["", "a:b", "a b", "{a", "a}", "{}", 7]) expect(() => connect({ redis: redisUrl(), prefix: prefix as string })).toThrow(OptionError);
  expect(() => connect({ redis: redisUrl(), prefx: "p" } as never)).toThrow(OptionError);
  expect(() => connect({ redis: "http://localhost" })).toThrow(OptionError);
  for (const prefix of ["bull", "{bull}", "team-1"]) expect(connect({ redis: redisUrl(), prefix })).toBeInstanceOf(App);
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
