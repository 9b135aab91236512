/**
 * Environment, flags and `millrace.config.ts` become one frozen Config, each value checked and its origin known.
 *
 * Flags go over the environment, the environment over the file, the file over the defaults. Whatever prints an
 * address of Redis prints `maskSecrets` of it.
 */
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { OptionError } from "./errors.ts";
import { check, checkOptions, shown } from "./options.ts";
import type { Check, Duration, Size } from "./options.ts";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What `millrace.config.ts` exports as its default: every setting may be absent. */
export interface ConfigFile {
  /** `redis://…`, `rediss://…`, `unix:…`, `redis+sentinel://…`, `redis+cluster://…`, `"embedded"`, or options of ioredis. */
  readonly redis?: string | object;
  /** Before every key. @default "bull", BullMQ's own */
  readonly prefix?: string;
  /** @default "info" */
  readonly logLevel?: LogLevel;
  /** Tasks that one worker process runs at once; at least 1. @default what its handlers ask for */
  readonly concurrency?: number;
  /** How long a stopping worker lets its tasks run on. @default "25s" */
  readonly drain?: Duration;
  /** How long, after the drain, cancelled tasks have to end, and to be given back. @default "5s" */
  readonly grace?: Duration;
  /** How long, at the end, an answer of Redis is waited for; kept free of the grace, up to a fifth of it. @default "1s" */
  readonly flush?: Duration;
  /** Worker processes under one supervisor, at least 1; `"auto"` is one a core. @default one, without a supervisor */
  readonly processes?: number | "auto";
  /** Memory that one of them may hold before another takes its place, at least 64 MiB. @default no limit */
  readonly maxRss?: Size;
  /** Jobs that one of them runs before another takes its place, at least 1. @default no limit */
  readonly maxJobs?: number;
  /** How many of its handlers may ignore their signal and run on before another takes its place, at least 0. @default 10 */
  readonly maxStuck?: number;
  /** How soon a dead worker's jobs run again: within 15 s, or 7. @default "normal" */
  readonly recovery?: "normal" | "fast";
  /** Files and folders that `worker start` loads. @default ["workers"] */
  readonly workers?: readonly string[];
}

/** Where a worker answers who asks for its health. */
export type HealthAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/** Every setting of one process. Frozen. */
export interface Config {
  readonly redis: string | object | undefined;
  readonly prefix: string;
  readonly logLevel: LogLevel;
  readonly concurrency: number | undefined;
  readonly name: string | undefined;
  readonly health: HealthAddress | undefined;
  readonly drainMs: number;
  readonly graceMs: number;
  readonly flushMs: number;
  readonly processes: number | undefined;
  readonly maxRssBytes: number | undefined;
  readonly maxJobs: number | undefined;
  readonly maxStuck: number;
  readonly recovery: "normal" | "fast";
  readonly workers: readonly string[];
  /** Commands that change anything are refused. */
  readonly readOnly: boolean;
  /** Who the trail says that changes things; undefined: the user of this machine. */
  readonly who: string | undefined;
  /** Where each value comes from: `"--redis"`, `"REDIS_URL"`, `"millrace.config.ts"` or `"default"`. */
  readonly origins: Readonly<Record<Setting, string>>;
  /** What the user should be told about the way it was set, one sentence each. */
  readonly warnings: readonly string[];
}

export type Setting = "redis" | "prefix" | "logLevel" | "concurrency" | "name" | "health" | "drain" | "grace" | "flush" | "processes" | "maxRss" | "maxJobs" | "maxStuck" | "recovery" | "workers" | "readOnly" | "who";

/** The settings that flags carry, as text; the command line names them `--redis`, `--log-level` and so on. */
export type Flags = { readonly [K in Exclude<Setting, "workers">]?: string | undefined } & { readonly workers?: readonly string[] | undefined };

type Environment = Readonly<Record<string, string | undefined>>;

/** How one setting is named in each source, and what it must be. */
interface Source {
  readonly flag?: string;
  readonly variable?: string;
  /** Digits alone are a number there: of slots, of milliseconds, of bytes. */
  readonly numeric?: true;
  readonly check: Check<unknown>;
}

const SETTINGS: Readonly<Record<Setting, Source>> = {
  redis: { flag: "--redis", variable: "REDIS_URL", check: redisAddress },
  prefix: { flag: "--prefix", variable: "MILLRACE_PREFIX", check: check.string() },
  logLevel: { flag: "--log-level", variable: "MILLRACE_LOG_LEVEL", check: check.oneOf(...LOG_LEVELS) },
  concurrency: { flag: "--concurrency", variable: "MILLRACE_CONCURRENCY", numeric: true, check: check.integer({ min: 1 }) },
  name: { flag: "--name", variable: "MILLRACE_NAME", check: check.string({ max: 200 }) },
  health: { flag: "--health", variable: "MILLRACE_HEALTH", check: healthAddress },
  drain: { flag: "--drain", variable: "MILLRACE_DRAIN", numeric: true, check: check.duration() },
  grace: { flag: "--grace", variable: "MILLRACE_GRACE", numeric: true, check: check.duration() },
  flush: { flag: "--flush", variable: "MILLRACE_FLUSH", numeric: true, check: check.duration() },
  processes: { flag: "--processes", variable: "MILLRACE_PROCESSES", numeric: true, check: processCount },
  maxRss: { flag: "--max-rss", variable: "MILLRACE_MAX_RSS", numeric: true, check: check.size({ min: 64 * 1024 ** 2 }) },
  maxJobs: { flag: "--max-jobs", variable: "MILLRACE_MAX_JOBS", numeric: true, check: check.integer({ min: 1 }) },
  maxStuck: { flag: "--max-stuck", variable: "MILLRACE_MAX_STUCK", numeric: true, check: check.integer({ min: 0 }) },
  recovery: { flag: "--recovery", variable: "MILLRACE_RECOVERY", check: check.oneOf("normal", "fast") },
  workers: { check: listOfPaths },
  readOnly: { flag: "--read-only", variable: "MILLRACE_READ_ONLY", check: yesOrNo },
  who: { variable: "MILLRACE_WHO", check: check.string({ max: 200 }) },
};

const DEFAULTS: Readonly<Partial<Record<Setting, unknown>>> = Object.freeze({ prefix: "bull", logLevel: "info", drain: 25_000, grace: 5000, flush: 1000, maxStuck: 10, recovery: "normal", workers: ["workers"], readOnly: false });

/** A worker's name, and where it answers, belong to one process, so a file that all share cannot give them. */
const IN_FILE = ["redis", "prefix", "logLevel", "concurrency", "drain", "grace", "flush", "processes", "maxRss", "maxJobs", "maxStuck", "recovery", "workers"] as const;

const FILES = ["millrace.config.ts", "millrace.config.js", "millrace.config.mjs"];

/**
 * The settings of a process.
 *
 * @param flags   what the command line gave, as text
 * @param folder  where `millrace.config.ts` is looked for; the working directory unless told
 * @param load    gives a module of the user's; `import()` unless told
 * @throws OptionError when a value is not of its form, naming its origin
 */
export async function loadConfig(options: {
  readonly flags?: Flags;
  readonly environment?: Environment;
  readonly folder?: string;
  readonly load?: (path: string) => Promise<{ readonly default?: unknown }>;
}): Promise<Config> {
  const { flags = {}, environment = process.env, folder = process.cwd(), load = importFile } = options;
  const given: Partial<Record<Setting, { readonly value: unknown; readonly origin: string }>> = {};
  for (const [file, settings] of await configFile(folder, load)) {
    for (const [setting, value] of Object.entries(settings)) given[setting as Setting] = { value, origin: file };
  }
  for (const [setting, source] of entries(SETTINGS)) {
    const variable = fromEnvironment(source, environment);
    if (variable !== undefined) given[setting] = variable;
    const flag = flags[setting];
    if (flag !== undefined) given[setting] = { value: source.check(ofText(flag, source), source.flag ?? setting), origin: source.flag ?? "arguments" };
  }
  const valueOf = (setting: Setting): unknown => given[setting]?.value ?? DEFAULTS[setting];
  const origins = Object.fromEntries(Object.keys(SETTINGS).map((setting) => [setting, given[setting as Setting]?.origin ?? "default"]));
  return Object.freeze({
    redis: valueOf("redis") as string | object | undefined,
    prefix: valueOf("prefix") as string,
    logLevel: valueOf("logLevel") as LogLevel,
    concurrency: valueOf("concurrency") as number | undefined,
    name: valueOf("name") as string | undefined,
    health: valueOf("health") as HealthAddress | undefined,
    drainMs: valueOf("drain") as number,
    graceMs: valueOf("grace") as number,
    flushMs: valueOf("flush") as number,
    processes: valueOf("processes") as number | undefined,
    maxRssBytes: valueOf("maxRss") as number | undefined,
    maxJobs: valueOf("maxJobs") as number | undefined,
    maxStuck: valueOf("maxStuck") as number,
    recovery: valueOf("recovery") as Config["recovery"],
    workers: Object.freeze(valueOf("workers") as readonly string[]),
    readOnly: valueOf("readOnly") as boolean,
    who: valueOf("who") as string | undefined,
    origins: Object.freeze(origins) as Config["origins"],
    warnings: Object.freeze(warningsOn(given.redis)),
  });
}

/**
 * Where the environment says that Redis is: `REDIS_URL`, or the first line of the file that `REDIS_URL_FILE` names, or undefined.
 *
 * @throws OptionError when both are set, the file cannot be read, or the address is of no known form
 */
export function redisFromEnvironment(environment: Environment = process.env): string | undefined {
  return fromEnvironment(SETTINGS.redis, environment)?.value as string | undefined;
}

/** The level that `MILLRACE_LOG_LEVEL` asks for, or undefined. @throws OptionError when it is no level */
export function logLevelFromEnvironment(environment: Environment = process.env): LogLevel | undefined {
  return fromEnvironment(SETTINGS.logLevel, environment)?.value as LogLevel | undefined;
}

/** The text with the passwords of all addresses of Redis in it struck out. */
export function maskSecrets(text: string): string {
  if (!text.includes("redis") && !text.includes("unix:")) return text;
  return text
    .replaceAll(/(\brediss?(?:\+\w+)?:\/\/[^\s:@/"']*:)[^\s"']*@/gi, "$1***@")
    .replaceAll(/((?:\brediss?|\bunix):[^\s"']*?[?&]password=)[^\s"'&]*/gi, "$1***");
}

/** Digits alone as a number, so that `"500"` is one where text comes from a command line; all else, as it is, is for its check to refuse. */
export function numberOrText(text: string): number | string {
  return /^\d{1,15}$/.test(text) ? Number(text) : text;
}

function fromEnvironment(source: Source, environment: Environment): { value: unknown; origin: string } | undefined {
  const { variable } = source;
  if (variable === undefined) return undefined;
  const text = environment[variable];
  const path = environment[`${variable}_FILE`];
  // An empty variable is how a compose file says "not set".
  const isSet = text !== undefined && text !== "";
  if (variable === "REDIS_URL" && path !== undefined && path !== "") {
    if (isSet) throw new OptionError("expected one of REDIS_URL and REDIS_URL_FILE, got both");
    return { value: source.check(firstLine(path), "the file that REDIS_URL_FILE names"), origin: "REDIS_URL_FILE" };
  }
  return isSet ? { value: source.check(ofText(text, source), variable), origin: variable } : undefined;
}

function firstLine(path: string): string {
  try {
    return readFileSync(path, "utf8").split("\n", 1)[0]?.trim() ?? "";
  } catch (cause) {
    throw new OptionError(`expected REDIS_URL_FILE to name a readable file, got ${shown(path)}: ${(cause as Error).message}`, { cause });
  }
}

async function configFile(folder: string, load: (path: string) => Promise<{ readonly default?: unknown }>): Promise<[string, object][]> {
  const found = FILES.filter((file) => existsSync(join(folder, file)));
  const [file] = found;
  if (file === undefined) return [];
  if (found.length > 1) throw new OptionError(`expected one config file, got ${found.join(" and ")}`);
  const module = await load(join(folder, file));
  if (module.default === undefined) throw new OptionError(`expected ${file} to export its settings as default, got no default export`);
  const known = Object.fromEntries(IN_FILE.map((setting) => [setting, SETTINGS[setting].check]));
  return [[file, checkOptions(file, module.default, known)]];
}

function importFile(path: string): Promise<{ readonly default?: unknown }> {
  return import(pathToFileURL(path).href) as Promise<{ readonly default?: unknown }>;
}

function ofText(text: string | readonly string[], { numeric }: Source): unknown {
  return numeric === true && typeof text === "string" ? numberOrText(text) : text;
}

function redisAddress(value: unknown, where: string): string | object {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  if (typeof value === "string" && (value === "embedded" || /^(rediss?(\+sentinel|\+cluster)?:\/\/|unix:)./i.test(value))) return value;
  // What is no address may still hold a password, and there is no telling where.
  const got = shown(typeof value === "string" ? value.replace(/:.+$/s, ":…") : value);
  throw new OptionError(`expected redis://…, rediss://…, redis+sentinel://…, redis+cluster://…, unix:… or "embedded" for ${where}, got ${got}`);
}

function healthAddress(value: unknown, where: string): HealthAddress {
  const [, path] = /^unix:(\/.{1,100})$/.exec(String(value)) ?? [];
  if (path !== undefined) return { path };
  const [, host = "127.0.0.1", digits] = /^(?:(\[[\da-f:]+\]|[^\s:[\]]+):)?(\d{1,5})$/i.exec(String(value)) ?? [];
  const port = Number(digits);
  if (port <= 65_535) return { host: host.replaceAll(/[[\]]/g, ""), port };
  throw new OptionError(`expected 8080, 0.0.0.0:8080 or unix:/path for ${where}, got ${shown(value)}`);
}

function processCount(value: unknown, where: string): number {
  if (value === "auto") return availableParallelism();
  if (Number.isSafeInteger(value) && (value as number) >= 1) return value as number;
  throw new OptionError(`expected a whole number of at least 1, or "auto", for ${where}, got ${shown(value)}`);
}

function yesOrNo(value: unknown, where: string): boolean {
  if (value === "1" || value === "true") return true;
  if (value === "0" || value === "false") return false;
  throw new OptionError(`expected 1, true, 0 or false for ${where}, got ${shown(value)}`);
}

function listOfPaths(value: unknown, where: string): readonly string[] {
  if (Array.isArray(value) && value.every((path) => typeof path === "string" && path !== "")) return value as string[];
  throw new OptionError(`expected a list of paths for ${where}, got ${shown(value)}`);
}

function warningsOn(redis: { readonly value: unknown; readonly origin: string } | undefined): string[] {
  if (redis?.origin !== "--redis" || maskSecrets(String(redis.value)) === redis.value) return [];
  return ["the password in --redis can be read by everybody who may list processes: set REDIS_URL or REDIS_URL_FILE instead"];
}

function entries<K extends string, V>(record: Readonly<Record<K, V>>): [K, V][] {
  return Object.entries(record) as [K, V][];
}
