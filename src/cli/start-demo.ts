/** `demo`: sees to a Redis, then runs the main job on it. */
import { numberOrText } from "../config.ts";
import { check } from "../options.ts";
import { provideRedis } from "../redis/provide.ts";
import type { Context } from "./context.ts";
import { demo } from "./demo.ts";

/** The flags of the command, as text. */
export interface DemoFlags {
  readonly manifest?: string;
  readonly producers?: string;
  readonly consumers?: string;
  readonly concurrency?: string;
}

/** @returns the demo's exit code; that of an interruption when one ended it */
export async function startDemo({ config, log, output, interruption }: Context, dir: string | undefined, flags: DemoFlags): Promise<number> {
  const { producers, consumers, concurrency, manifest } = flags;
  const counts = { producers: countOf(producers, "--producers"), consumers: countOf(consumers, "--consumers"), concurrency: countOf(concurrency, "--concurrency") };
  const { redis, release } = config.redis === undefined ? await provideRedis((line) => log.info(line)) : { redis: config.redis, release: async () => undefined };
  try {
    const { signal } = interruption;
    const { exitCode } = await demo({ dir, manifest, ...counts, json: output.json, redis, prefix: config.prefix, log, signal, out: process.stdout, err: process.stderr });
    return interruption.exitCode ?? exitCode;
  } finally {
    await release();
  }
}

function countOf(text: string | undefined, flag: string): number | undefined {
  return text === undefined ? undefined : check.integer({ min: 1 })(numberOrText(text), flag);
}
