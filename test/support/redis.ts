/** The Redis of the tests: one server for the whole run, and servers of their own for tests that break them. */
import { randomBytes } from "node:crypto";
import { Redis } from "ioredis";
import { inject, onTestFinished, TestRunner } from "vitest";
import { findServer } from "../../src/redis/server.ts";
import { openRedis, type OwnRedis } from "./own-redis.ts";

export type { OwnRedis } from "./own-redis.ts";

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

/**
 * Starts a server of a test's own, gone when the test is over, or this process, however it ends. The test is skipped
 * where there is no server program.
 *
 * @param settings  as for `openRedis`
 */
export async function startRedis(settings: Readonly<Record<string, string>> = {}): Promise<OwnRedis> {
  const test = TestRunner.getCurrentTest();
  const program = await findServer();
  if (program === undefined) {
    test?.context.skip("no redis-server or valkey-server here for a test that breaks one");
    throw new Error("no redis-server or valkey-server on the PATH");
  }
  const own = await openRedis(program.path, settings);
  if (test !== undefined) onTestFinished(() => own[Symbol.asyncDispose]());
  return own;
}
