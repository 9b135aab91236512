/** What a command stands on: its settings, its log, its output, and what may end it. */
import { connectOperator, type Operator } from "../admin/operator.ts";
import type { App } from "../app.ts";
import type { Config } from "../config.ts";
import { createLog, type Logger } from "../log.ts";
import type { RedisOption } from "../redis/connection.ts";
import type { Interruption } from "./interruption.ts";
import type { Output } from "./output.ts";
import { keepMemorySmall } from "./small-memory.ts";

export interface Context {
  readonly config: Config;
  readonly log: Logger;
  readonly output: Output;
  readonly interruption: Interruption;
}

/**
 * The app of a command: on the Redis that was named, else on this folder's own where it runs.
 *
 * @throws NoRedisError when there is neither
 */
export async function openApp({ config, log }: Context): Promise<App> {
  const { connect } = await import("../app.ts"); // far more than who only looks needs
  return connect({ ...(await redisOf(config)), prefix: config.prefix, log });
}

/** As `openApp`: the operator of a command. What it did its command prints, so its log tells less unless it is asked. */
export function openOperator(context: Context): Promise<Operator> {
  return openOtherOperator(context, {});
}

/** The operator of another place, of the same person. What is not said is as it is for the command. */
export async function openOtherOperator({ config, ...context }: Context, { redis, prefix = config.prefix }: { readonly redis?: RedisOption | undefined; readonly prefix?: string | undefined }): Promise<Operator> {
  const { readOnly, who } = config;
  keepMemorySmall();
  const log = config.origins.logLevel === "default" ? createLog({ level: "warn" }) : context.log;
  return connectOperator({ ...(redis === undefined ? await redisOf(config) : { redis }), prefix, readOnly, ...(who !== undefined && { who }), log });
}

async function redisOf({ redis }: Config): Promise<{ readonly redis?: RedisOption }> {
  if (redis !== undefined) return { redis };
  const { embeddedStatus } = await import("../redis/embedded.ts");
  return (await embeddedStatus({})).state === "running" ? { redis: "embedded" } : {};
}
