/** The Redis of the tests: one server for the whole run, and servers of their own for tests that break them. */
import { randomBytes } from "node:crypto";
import { Redis } from "ioredis";
import { inject, onTestFinished, TestRunner } from "vitest";
import { findServer } from "../../src/redis/server.ts";
import { openCluster, type Cluster, type ClusterOptions } from "./cluster.ts";
import { openRedis, type OwnRedis } from "./own-redis.ts";
import { openSentinels, type Sentinels, type SentinelsOptions } from "./sentinel.ts";

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
export function startRedis(settings: Readonly<Record<string, string>> = {}): Promise<OwnRedis> {
  return ofTest((program) => openRedis(program, settings));
}

/** As {@link startRedis}: a primary, its replicas and three Sentinels. */
export function startSentinels(options?: SentinelsOptions): Promise<Sentinels> {
  return ofTest((program) => openSentinels(program, options));
}

/** As {@link startRedis}: a cluster. */
export function startCluster(options?: ClusterOptions): Promise<Cluster> {
  return ofTest((program) => openCluster(program, options));
}

async function ofTest<T extends AsyncDisposable>(open: (program: string) => Promise<T>): Promise<T> {
  const test = TestRunner.getCurrentTest();
  const program = await findServer();
  if (program === undefined) {
    test?.context.skip("no redis-server or valkey-server here for a test that breaks one");
    throw new Error("no redis-server or valkey-server on the PATH");
  }
  const own = await open(program.path);
  if (test !== undefined) onTestFinished(() => own[Symbol.asyncDispose]());
  return own;
}
