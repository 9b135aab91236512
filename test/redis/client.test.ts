import { expect, onTestFinished, test } from "vitest";
import { BackendError } from "../../src/errors.ts";
import { Client } from "../../src/redis/client.ts";
import { Connections } from "../../src/redis/connection.ts";
import { asBackendError } from "../../src/redis/errors.ts";
import { runScript, type Script } from "../../src/redis/script.ts";
import { event, failure, takes } from "../support/outcome.ts";
import { freePort } from "../support/redis-process.ts";
import { freshPrefix, redisClient, redisUrl, startRedis } from "../support/redis.ts";
import { startProxy } from "../support/tcp-proxy.ts";

/** What callers are promised. */
const ANSWER_MS = 5000;
const INCREMENT: Script = { name: "increment", lua: 'return redis.call("INCR", KEYS[1])' };

async function opened(url: string): Promise<Connections> {
  const made = new Connections(url, {});
  onTestFinished(() => made.close());
  await made.open();
  return made;
}

test("when Redis dies, what was sent is rejected at once, and what was not is told apart", async () => {
  const server = await startRedis();
  const redis = await opened(server.url);
  await runScript(redis.command, INCREMENT, ["n"], []);
  server.pause();
  const sent = failure(runScript(redis.command, INCREMENT, ["n"], []));
  const closed = event(redis.command, "close");
  await server.kill();
  const { error, tookMs } = await sent;
  expect(error).toBeInstanceOf(BackendError);
  expect((error as BackendError).mayHaveRun).toBe(true);
  expect(tookMs).toBeLessThan(1000);

  await closed;
  const waiting = await failure(runScript(redis.command, INCREMENT, ["n"], []));
  expect(waiting.error).toBeInstanceOf(BackendError);
  expect((waiting.error as BackendError).mayHaveRun).toBe(false);
  expect(waiting.tookMs).toBeLessThan(ANSWER_MS);

  await server.start();
  expect(await takes(redis.command.ping())).toBeLessThan(2000);
});

test("what was given up while Redis was away is never sent afterwards, alone or in a pipeline", async () => {
  const server = await startRedis();
  const redis = await opened(server.url);
  await redis.command.set("n", "0");
  const closed = event(redis.command, "close");
  await server.stop();
  await closed;
  const pipeline = redis.command.pipeline().incr("n").incr("n").exec();
  await Promise.all([
    expect(runScript(redis.command, INCREMENT, ["n"], [])).rejects.toThrow(BackendError),
    expect(redis.command.incr("n")).rejects.toThrow("timed out"),
  ]);
  expect((await pipeline)?.map(([error]) => error?.message)).toEqual(["Command timed out", "Command timed out"]);
  await server.start();
  const late = redis.command.pipeline().incr("n").get("n").exec();
  expect(await redis.command.get("n")).toBe("1");
  expect(await late).toEqual([[null, 1], [null, "1"]]);
});

test("is back at most two seconds after Redis is, however long that was away", async () => {
  const server = await startRedis();
  const redis = await opened(server.url);
  const blocking = redis.dedicated("blocking", { blockMs: 10_000 });
  await blocking.ping();
  const delaysMs: number[] = [];
  const longest = new Promise<void>((resolve) => {
    redis.command.on("reconnecting", (delayMs: number) => {
      if (delaysMs.push(delayMs) === 7) resolve();
    });
  });
  await server.kill();
  await longest;
  expect(delaysMs).toEqual([50, 100, 200, 400, 800, 1000, 1000]);
  await server.start();
  expect(await takes(Promise.all([redis.command.ping(), blocking.ping()]))).toBeLessThan(2000);
});

test("a frozen server: commands are answered within five seconds, and it heals when the server thaws", async () => {
  const server = await startRedis();
  const redis = await opened(server.url);
  server.pause();
  const { error, tookMs } = await failure(redis.command.ping());
  expect(asBackendError(error)).toBeInstanceOf(BackendError);
  expect(tookMs).toBeLessThan(ANSWER_MS);
  // Once more, until the dead connection was given up and a new one is being tried.
  await failure(redis.command.ping());
  server.resume();
  expect(await takes(redis.command.ping())).toBeLessThan(2000);
}, 30_000);

test("heals within twenty seconds when the network drops packets without a word", async () => {
  const server = await startRedis();
  await using proxy = await startProxy(server.port);
  const redis = await opened(`redis://127.0.0.1:${proxy.port}`);
  const blocking = redis.dedicated("blocking", { blockMs: 2000 });
  await blocking.ping();
  proxy.silence();
  const startedAt = performance.now();
  const heals = async (): Promise<void> => {
    while ((await redis.command.ping().catch(() => undefined)) !== "PONG") continue;
  };
  const unblocks = async (): Promise<void> => {
    while ((await blocking.blpop("nothing", 1).catch((error: Error) => error)) !== null) continue;
  };
  await Promise.all([heals(), unblocks()]);
  expect(performance.now() - startedAt).toBeLessThan(20_000);
}, 30_000);

test("a lost reply is reported as such, and the command is not sent again", async () => {
  const server = await startRedis();
  await using proxy = await startProxy(server.port);
  const redis = await opened(`redis://127.0.0.1:${proxy.port}`);
  await runScript(redis.command, INCREMENT, ["n"], []);
  proxy.loseReplies();
  const { error } = await failure(runScript(redis.command, INCREMENT, ["n"], []));
  expect((error as BackendError).mayHaveRun).toBe(true);
  expect(await redis.command.get("n")).toBe("2");
});

test("after the event loop was blocked, answers that are there count", async () => {
  const redis = await opened(redisUrl());
  let closed = 0;
  redis.command.on("close", () => (closed += 1));
  const sent = [redis.command.ping(), redis.command.ping()];
  // Longer than commands may take, and than a connection may be silent.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 8000);
  expect(await Promise.all(sent)).toEqual(["PONG", "PONG"]);
  expect(await redis.command.ping()).toBe("PONG");
  expect(closed).toBe(0);
}, 20_000);

test("never goes on in database 0 when its own cannot be had", async () => {
  const server = await startRedis();
  const client = new Client({ port: server.port, host: "127.0.0.1", db: 99, commandTimeout: 500, maxRetriesPerRequest: null });
  onTestFinished(() => client.abandon());
  await expect(client.set("here", "1")).rejects.toThrow("timed out");
  expect(client.connectionFault).toContain("DB index");
  client.abandon();
  expect(await (await opened(server.url)).command.dbsize()).toBe(0);
});

test("one that is disconnected while it waits to reconnect ends, and says so to every caller", async () => {
  const client = new Client({ port: await freePort(), host: "127.0.0.1", maxRetriesPerRequest: null, retryStrategy: () => 60_000 });
  await event(client, "reconnecting");
  const waiting = failure(client.ping());
  const ended = event(client, "end");
  client.disconnect();
  await ended;
  expect((await waiting).error).toMatchObject({ message: "Connection is closed." });
  await expect(client.ping()).rejects.toThrow("Connection is closed.");
});

test("blocks longer than commands may take, under the name it was given", async () => {
  const redis = await opened(redisUrl());
  const key = freshPrefix();
  const blocking = redis.dedicated("a-name", { blockMs: 7000 });
  const popped = blocking.bzpopmin(key, 7);
  await expect.poll(async () => String(await redisClient().client("LIST"))).toMatch(/name=a-name .*cmd=bzpopmin/);
  expect(await popped).toBeNull();
}, 15_000);

test("a command that blocks is rejected as soon as its connection breaks", async () => {
  const server = await startRedis();
  const redis = await opened(server.url);
  const blocking = redis.dedicated("blocking", { blockMs: 60_000 });
  const popped = failure(blocking.blpop("nothing", 60));
  await expect.poll(async () => String(await redis.command.client("LIST"))).toMatch(/name=blocking .*cmd=blpop/);
  await server.kill();
  expect((await popped).tookMs).toBeLessThan(5000);
});

test("a server that became a replica is left for whoever answers to its name now", async () => {
  const server = await startRedis();
  const redis = await opened(server.url);
  await redis.command.replicaof("127.0.0.1", await freePort());
  const reconnected = event(redis.command, "reconnecting");
  const { error } = await failure(runScript(redis.command, INCREMENT, ["n"], []));
  expect(error).toBeInstanceOf(BackendError);
  expect((error as BackendError).mayHaveRun).toBe(false);
  await reconnected;
});
