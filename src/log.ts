/**
 * The log: pino's root and its children.
 *
 * One line an event, to standard error: JSON where a program reads it, coloured text on a terminal. Nothing is loaded,
 * opened or written before the first line, and text is made in this thread, so that importing costs nothing.
 */
import { createRequire } from "node:module";
import { isatty } from "node:tty";
import type { Logger as Pino } from "pino";
import { logLevelFromEnvironment, maskSecrets } from "./config.ts";
import type { LogLevel } from "./config.ts";

/** One level's way to say something: a message, or fields and a message. */
export interface LogMethod {
  (message: string): void;
  (fields: object, message: string): void;
}

/** What Millrace asks of a log. Any pino logger is one. */
export interface Logger {
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
  /** A log whose every line carries these fields too. */
  child(fields: Record<string, unknown>): Logger;
}

/** Where lines go. */
export interface LogStream {
  write(line: string): unknown;
  readonly isTTY?: boolean;
}

/**
 * A new root.
 *
 * @param level   the least that is written; `MILLRACE_LOG_LEVEL` or `info` unless told
 * @param stream  standard error unless told
 * @param pretty  text instead of JSON; where the stream is a terminal unless told
 * @throws OptionError when `MILLRACE_LOG_LEVEL` is no level
 */
export function createLog(options: { readonly level?: LogLevel; readonly stream?: LogStream; readonly pretty?: boolean } = {}): Logger {
  const level = options.level ?? logLevelFromEnvironment() ?? "info";
  let write: ((line: string) => unknown) | undefined;
  const open = (): ((line: string) => unknown) => {
    const stream = options.stream ?? standardError();
    const text = (options.pretty ?? stream.isTTY === true) ? prettyPrinter(stream.isTTY === true) : undefined;
    return (line) => stream.write(text === undefined ? line : text(line));
  };
  return new LaterLog(() => {
    const { pino } = loadPino();
    return pino(
      { level, formatters: { level: (label) => ({ level: label }) }, serializers: { err: errorFields }, timestamp: pino.stdTimeFunctions.isoTime },
      { write: (line: string) => (write ??= open())(maskSecrets(line)) },
    );
  });
}

const require = createRequire(import.meta.url);

function loadPino(): typeof import("pino") {
  return require("pino") as typeof import("pino");
}

/** A pino that is made when it is first asked for something: most commands that look say nothing, and need not wait for it. */
class LaterLog implements Logger {
  readonly #make: () => Pino;
  #made: Pino | undefined;

  constructor(make: () => Pino) {
    this.#make = make;
  }

  get #log(): Pino {
    return (this.#made ??= this.#make());
  }

  /** As pino's: the least that is written. */
  get level(): string {
    return this.#log.level;
  }

  set level(level: string) {
    this.#log.level = level;
  }

  readonly debug: LogMethod = (...line: readonly unknown[]) => this.#log.debug(...(line as [object, string]));
  readonly info: LogMethod = (...line: readonly unknown[]) => this.#log.info(...(line as [object, string]));
  readonly warn: LogMethod = (...line: readonly unknown[]) => this.#log.warn(...(line as [object, string]));
  readonly error: LogMethod = (...line: readonly unknown[]) => this.#log.error(...(line as [object, string]));

  child(fields: Record<string, unknown>): Logger {
    return this.#log.child(fields);
  }
}

let root: Logger | undefined;

/** The log of whoever brings none: warnings and worse, unless `MILLRACE_LOG_LEVEL` says otherwise. One a process. */
export function rootLog(): Logger {
  root ??= createLog({ level: logLevelFromEnvironment() ?? "warn" });
  return root;
}

/** Synchronous, so that nothing is lost when the process exits; quiet once nobody reads. */
function standardError(): LogStream {
  const sink = loadPino().destination({ dest: 2, sync: true });
  return { write: (line) => sink.write(line), isTTY: isatty(2) };
}

/** Without ioredis's `command`: its arguments are the password, or somebody's payload. */
function errorFields(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { command: _, ...fields } = loadPino().stdSerializers.err(error) as { command?: unknown };
  return fields;
}

/** pino-pretty, or undefined where it is not installed. */
function prettyPrinter(colour: boolean): ((line: string) => string) | undefined {
  try {
    const { prettyFactory } = require("pino-pretty") as typeof import("pino-pretty");
    return prettyFactory({ colorize: colour && !process.env["NO_COLOR"], ignore: "pid,hostname", translateTime: "SYS:HH:MM:ss.l", singleLine: true });
  } catch {
    return undefined;
  }
}
