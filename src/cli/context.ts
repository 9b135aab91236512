/** What a command stands on: its settings, its log, its output, and what may end it. */
import { connect, type App } from "../app.ts";
import type { Config } from "../config.ts";
import type { Logger } from "../log.ts";
import { embeddedStatus } from "../redis/embedded.ts";
import type { Interruption } from "./interruption.ts";
import type { Output } from "./output.ts";

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
  const redis = config.redis ?? ((await embeddedStatus({})).state === "running" ? "embedded" : undefined);
  return connect({ ...(redis !== undefined && { redis }), prefix: config.prefix, log });
}
