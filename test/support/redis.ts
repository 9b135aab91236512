/** The Redis of the tests: one server for the whole run, and servers of their own for tests that break them. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { inject, onTestFinished, TestRunner } from "vitest";
import { findServer } from "../../src/redis/server.ts";
import { freePort, startProcess } from "./redis-process.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Of the shared server; or why there is none. */
    redis: { readonly url: string } | { readonly missing: string };
    /** Begins the prefixes of this run. */
    redisPrefix: string;
  }
}

/** The URL of the shared server. */
export function redisUrl(): string {
  const redis = inject("redis");
  if ("missing" in redis) throw new Error(redis.missing);
  return redis.url;
}

/** A key prefix that no other test uses. */
export function freshPrefix(): string {
  return inject("redisPrefix") + randomBytes(6).toString("hex");
}

/** A plain client of the shared server, or of another; closed when the test is over. */
export function redisClient(url = redisUrl()): Redis {
  const client = new Redis(url, { maxRetriesPerRequest: null });
  if (TestRunner.getCurrentTest()) onTestFinished(() => client.disconnect());
  return client;
}

/** A server of a test's own. */
export interface OwnRedis extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Of the server that runs now. */
  readonly pid: number;
  /** Ends it in order (SIGTERM). */
  stop(): Promise<void>;
  /** Ends it at once (SIGKILL). */
  kill(): Promise<void>;
  /** Starts it again after one of these: same port, same data. */
  start(): Promise<void>;
  /** Stops it in its tracks (SIGSTOP): connections stay open, nothing answers. */
  pause(): void;
  resume(): void;
}

/**
 * Starts a server on a free port of this machine; gone when the test is over, or this process, however it ends. The
 * test is skipped where there is no server program.
 *
 * @param settings  beside, or instead of, append-only file and noeviction: `{ maxmemory: "3mb" }`
 */
export async function startRedis(settings: Readonly<Record<string, string>> = {}): Promise<OwnRedis> {
  const test = TestRunner.getCurrentTest();
  const program = await findServer();
  if (program === undefined) {
    test?.context.skip("no redis-server or valkey-server here for a test that breaks one");
    throw new Error("no redis-server or valkey-server on the PATH");
  }
  const dir = await mkdtemp(join(tmpdir(), "millrace-test-redis-"));
  const port = await freePort();
  let server = await startProcess(program.path, dir, port, settings);
  const own: OwnRedis = {
    url: `redis://127.0.0.1:${port}`,
    port,
    get pid() {
      return server.pid;
    },
    stop: () => server.end("SIGTERM"),
    kill: () => server.end("SIGKILL"),
    start: async () => {
      server = await startProcess(program.path, dir, port, settings);
    },
    pause: () => process.kill(server.pid, "SIGSTOP"),
    resume: () => process.kill(server.pid, "SIGCONT"),
    [Symbol.asyncDispose]: async () => {
      await server.end("SIGKILL");
      await rm(dir, { recursive: true, force: true });
    },
  };
  if (test !== undefined) onTestFinished(() => own[Symbol.asyncDispose]());
  return own;
}
