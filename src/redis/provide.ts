/** Sees to a Redis for a command that must run on a bare machine. */
import { RedisServerError } from "../errors.ts";
import { fromEnvironment, type RedisOption } from "./address.ts";
import { dockerAnswers, startContainer } from "./container.ts";
import { ensureServer } from "./server.ts";

/** A Redis that was seen to: what to connect to, and how to give it back. */
export interface ProvidedRedis {
  readonly redis: RedisOption;
  release(): Promise<void>;
}

/**
 * The Redis of the environment (`REDIS_URL`, `REDIS_URL_FILE`); else the embedded server, its program installed where
 * we may; else one in a container.
 *
 * @param log  told what is done, one line each
 * @throws RedisServerError with the command that gets one, where none of these works
 */
export async function provideRedis(log: (line: string) => void, env: NodeJS.ProcessEnv = process.env): Promise<ProvidedRedis> {
  const named = fromEnvironment(env);
  if (named !== undefined) return { redis: named, release: nothing };
  try {
    await ensureServer(log, env);
    return { redis: "embedded", release: nothing };
  } catch (error) {
    if (!(error instanceof RedisServerError) || !(await dockerAnswers(env))) throw error;
    log("no redis-server or valkey-server here, but Docker: starting a container");
    const { url, stop } = await startContainer();
    return { redis: url, release: stop };
  }
}

async function nothing(): Promise<void> {}
