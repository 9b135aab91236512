import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { BackendError, BackendFullError, PreflightError } from "../../src/errors.ts";
import { Connections } from "../../src/redis/connection.ts";
import { asBackendError } from "../../src/redis/errors.ts";
import { runScript, type Script } from "../../src/redis/script.ts";
import { event, failure, takes } from "../support/outcome.ts";
import { freePort } from "../support/redis-process.ts";
import { freshPrefix, redisClient, redisUrl, startRedis } from "../support/redis.ts";

const run = promisify(execFile);

/** What callers are promised. */
const ANSWER_MS = 5000;

function connections(url: string): Connections {
  const made = new Connections(url, {});
  onTestFinished(() => made.close());
  return made;
}

async function opened(url: string): Promise<Connections> {
  const made = connections(url);
  await made.open();
  return made;
}

test("opens one connection, however many ask, and knows the server's time", async () => {
  const redis = connections(redisUrl());
  await Promise.all([redis.open(), redis.open(), redis.open()]);
  const { command } = redis;
  await redis.open();
  expect(redis.command).toBe(command);
  expect(await command.ping()).toBe("PONG");
  expect(Math.abs(redis.clock.now() - Date.now())).toBeLessThan(100);
});

test("does no I/O before it is opened, and gives no client", async () => {
  const redis = connections(`redis://127.0.0.1:${await freePort()}`);
  expect(() => redis.command).toThrow(BackendError);
  expect(() => redis.dedicated("x", { blockMs: 1000 })).toThrow(/open\(\)/);
  expect(redis.warnings).toEqual([]);
  await redis.close();
});

test("says within five seconds that nothing listens, and opens when something does", async () => {
  const server = await startRedis();
  await server.stop();
  const redis = connections(`redis://user:secret@127.0.0.1:${server.port}`);
  const { error, tookMs } = await failure(redis.open());
  expect(error).toBeInstanceOf(BackendError);
  expect(String(error)).toContain("ECONNREFUSED");
  expect(String(error)).not.toContain("secret");
  expect((error as BackendError).mayHaveRun).toBe(false);
  expect(tookMs).toBeLessThan(ANSWER_MS);

  const again = connections(server.url);
  const opening = again.open();
  await server.start();
  await opening;
  expect(await again.command.ping()).toBe("PONG");
});

test("waits for a server that still loads its data", async () => {
  const server = await startRedis({ "key-load-delay": "500" });
  const before = new Redis(server.url);
  // While it loads them it answers once in a thousand.
  const keys = before.pipeline();
  for (let key = 0; key < 4000; key += 1) keys.set(String(key), "");
  await keys.exec();
  before.disconnect();
  await server.stop();
  const starting = server.start();
  const bare = new Redis(server.url, { enableReadyCheck: false, retryStrategy: () => 20, maxRetriesPerRequest: null });
  bare.on("error", () => undefined);
  onTestFinished(() => bare.disconnect());
  expect(await bare.info("persistence")).toContain("loading:1");
  const redis = await opened(server.url);
  expect(await redis.command.dbsize()).toBe(4000);
  await starting;
});

test("may be opened again after it failed", async () => {
  const server = await startRedis();
  await server.stop();
  const redis = connections(server.url);
  await expect(redis.open()).rejects.toThrow(BackendError);
  await server.start();
  await redis.open();
  expect(await redis.command.ping()).toBe("PONG");
});

test("says within five seconds that a server accepts connections and never answers", async () => {
  const server = await startRedis();
  server.pause();
  const { error, tookMs } = await failure(connections(server.url).open());
  expect(error).toBeInstanceOf(BackendError);
  expect(tookMs).toBeLessThan(ANSWER_MS);
});

test("a wrong password and an unknown database are refused at once", async () => {
  const server = await startRedis({ requirepass: "right" });
  const wrong = await failure(connections(`redis://:wrong-one@127.0.0.1:${server.port}`).open());
  expect(wrong.error).toBeInstanceOf(BackendError);
  expect(wrong.tookMs).toBeLessThan(1000);
  expect(JSON.stringify(wrong.error) + String(wrong.error) + JSON.stringify((wrong.error as Error).cause)).not.toContain("wrong-one");
  expect(await failure(connections(server.url).open())).toMatchObject({ error: { message: expect.stringContaining("NOAUTH") } });
  expect(await failure(connections(`redis://:right@127.0.0.1:${server.port}/99`).open())).toMatchObject({ error: { message: expect.stringContaining("DB index") } });
  const redis = await opened(`redis://:right@127.0.0.1:${server.port}/3`);
  await redis.command.set("here", "1");
  expect(await redis.command.info("keyspace")).toContain("db3:keys=1");
});

test("speaks TLS, and refuses a certificate that nobody vouches for at once", async () => {
  const dir = await mkdtemp(join(tmpdir(), "millrace-test-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
  await run("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "1", "-subj", "/CN=localhost"]);
  const tlsPort = await freePort();
  await startRedis({ "tls-port": String(tlsPort), "tls-cert-file": cert, "tls-key-file": key, "tls-auth-clients": "no" });
  const { error, tookMs } = await failure(connections(`rediss://localhost:${tlsPort}`).open());
  expect(String(error)).toContain("self-signed certificate");
  expect(tookMs).toBeLessThan(1000);
  const redis = new Connections({ host: "localhost", port: tlsPort, tls: { ca: await readFile(cert) } }, {});
  onTestFinished(() => redis.close());
  await redis.open();
  expect(await redis.command.ping()).toBe("PONG");
});

test("takes the connection's facts from options, and keeps its own ways", async () => {
  const redis = new Connections({ port: Number(new URL(redisUrl()).port), host: new URL(redisUrl()).hostname, db: 1, commandTimeout: 1, enableOfflineQueue: false, lazyConnect: false }, {});
  onTestFinished(() => redis.close());
  await redis.open();
  expect(redis.address).toMatch(/\/1$/);
  expect(await redis.dedicated("blocking", { blockMs: 1000 }).blpop(freshPrefix(), 0.2)).toBeNull();
});

test("refuses a server that would evict jobs", async () => {
  const server = await startRedis({ "maxmemory-policy": "allkeys-lru" });
  await expect(connections(server.url).open()).rejects.toThrow(PreflightError);
});

test("keeps the warnings of a server that persists nothing", async () => {
  const server = await startRedis({ appendonly: "no" });
  expect((await opened(server.url)).warnings).toEqual([{ sentence: expect.stringContaining("nothing is persisted") as string, evidence: { appendonly: "no", save: "" } }]);
});

test("a full server refuses a write within 100 ms, goes on reading, and recovers", async () => {
  const server = await startRedis({ maxmemory: "8mb" });
  const redis = await opened(server.url);
  const fill: Script = { name: "fill", lua: 'return redis.call("SET", KEYS[1], string.rep("x", ARGV[1]))' };
  let full: { error: unknown; tookMs: number } = { error: undefined, tookMs: 0 };
  for (let n = 0; full.error === undefined; n += 1) full = await failure(runScript(redis.command, fill, [`k${n}`], [1_000_000]));
  expect(full.error).toBeInstanceOf(BackendFullError);
  expect((full.error as BackendFullError).mayHaveRun).toBe(false);
  expect(full.tookMs).toBeLessThan(100);
  // What the refused one took is free again, on some versions at once.
  await redis.command.config("SET", "maxmemory", "1");
  await expect(redis.command.set("plain", "x".repeat(1000)).catch((error: unknown) => Promise.reject(asBackendError(error)))).rejects.toThrow(BackendFullError);
  expect(await redis.command.strlen("k0")).toBe(1_000_000);
  await redis.command.del("k0", "k1", "k2");
  await redis.command.config("SET", "maxmemory", "8mb");
  expect(await runScript(redis.command, fill, ["k0"], [1000])).toBe("OK");
});

test("close keeps its two seconds whatever state Redis is in, and is idempotent", async () => {
  const server = await startRedis();
  const frozen = await opened(server.url);
  const pending = failure(frozen.command.ping());
  server.pause();
  const late = failure(frozen.command.ping());
  expect(await takes(Promise.all([frozen.close(), frozen.close()]))).toBeLessThan(2000);
  await pending;
  expect((await late).tookMs).toBeLessThan(2000);
  expect(() => frozen.command).toThrow(BackendError);
  await expect(frozen.open()).rejects.toThrow(BackendError);

  server.resume();
  const gone = await opened(server.url);
  const closed = event(gone.command, "close");
  await server.kill();
  await closed;
  const waiting = failure(gone.command.ping());
  expect(await takes(gone.close())).toBeLessThan(2000);
  expect((await waiting).tookMs).toBeLessThan(2000);

  const never = connections(server.url);
  const opening = failure(never.open());
  expect(await takes(never.close())).toBeLessThan(2000);
  expect((await opening).error).toBeInstanceOf(BackendError);
});

test("close waits for answers that are on their way", async () => {
  const redis = await opened(redisUrl());
  const key = freshPrefix();
  const answers = Array.from({ length: 100 }, () => redis.command.incr(key));
  await redis.close();
  expect((await Promise.all(answers)).at(-1)).toBe(100);
  await redisClient().del(key);
});

test("nothing keeps the process alive after close, also when Redis is gone", async () => {
  const server = await startRedis();
  const program = `
    import { Connections } from ${JSON.stringify(new URL("../../src/redis/connection.ts", import.meta.url).href)};
    const redis = new Connections(${JSON.stringify(server.url)});
    await redis.open();
    redis.dedicated("blocking", { blockMs: 60_000 }).blpop("nothing", 60).catch(() => undefined);
    process.kill(${server.pid}, "SIGKILL");
    await new Promise((resolve) => redis.command.once("reconnecting", resolve));
    redis.command.ping().catch(() => undefined);
    await redis.close();
    console.log(performance.now());
    process.on("exit", () => console.log(performance.now()));
  `;
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", program]);
  const [closedAt, exitedAt] = stdout.trim().split("\n").map(Number);
  expect((exitedAt ?? Infinity) - (closedAt ?? 0)).toBeLessThan(500);
});
