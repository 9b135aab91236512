/** Apps on the Redis of the tests, and ways to wait for what they do. */
import { onTestFinished } from "vitest";
import { connect, type App } from "../../src/app.ts";
import type { Logger, LogMethod } from "../../src/log.ts";
import type { RedisOption } from "../../src/redis/connection.ts";
import { freshPrefix, redisUrl } from "./redis.ts";

/** One line of a log. */
export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface RecordedLog extends Logger {
  readonly lines: readonly LogLine[];
}

/** A log that keeps its lines. */
export function recordedLog(lines: LogLine[] = [], bound: object = {}): RecordedLog {
  const at =
    (level: string): LogMethod =>
    (...said: [string] | [object, string]) => {
      const [fields, message] = said.length === 1 ? [{}, said[0]] : said;
      lines.push({ level, message, fields: { ...bound, ...fields } });
    };
  return { lines, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error"), child: (fields) => recordedLog(lines, { ...bound, ...fields }) };
}

export interface TestAppOptions {
  readonly redis?: RedisOption;
  readonly prefix?: string;
  readonly log?: Logger;
}

/** An app under a prefix of its own, closed when the test is over. */
export function testApp({ redis = redisUrl(), prefix = freshPrefix(), log = recordedLog() }: TestAppOptions = {}): App {
  const app = connect({ redis, prefix, log });
  onTestFinished(() => app[Symbol.asyncDispose]());
  return app;
}

/** Resolves when the condition holds; rejects after `withinMs`. For conditions that have no event of their own. */
export async function until(condition: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<void> {
  const startedAt = performance.now();
  while (!(await condition())) {
    if (performance.now() - startedAt > withinMs) throw new Error(`did not come true within ${withinMs} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
