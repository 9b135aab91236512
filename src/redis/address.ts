/** Where Redis is: an option, a URL or the environment, checked and made into connection facts. */
import { readFileSync } from "node:fs";
import type { RedisOptions } from "ioredis";
import { NoRedisError, OptionError } from "../errors.ts";

/**
 * `"embedded"`: a server of our own for this project. A URL: `redis://[user:password@]host[:port][/db]`, `rediss://`
 * the same over TLS, `unix:/path[?db=n]`. Or ioredis options, as BullMQ's `connection`.
 */
export type RedisOption = "embedded" | (string & {}) | RedisOptions;

/** A server that was named. `shown` is for messages and logs: it holds no password. */
export interface Address {
  readonly options: Readonly<RedisOptions>;
  readonly shown: string;
}

const URL_FORMS = "redis://host:6379/0, rediss://host:6379, unix:/path/redis.sock or \"embedded\"";
const DEFAULT_PORT = 6379;
const LATER = "Sentinel and Cluster are not supported yet: name one server";

/**
 * The server that the option names; without one `REDIS_URL`, then the URL in the file that `REDIS_URL_FILE` names.
 *
 * @throws NoRedisError when none of them is set; OptionError when it is malformed, or not for production
 */
export function resolveAddress(option: RedisOption | undefined, env: NodeJS.ProcessEnv): Address | "embedded" {
  const named = option ?? fromEnvironment(env);
  if (named === undefined) throw new NoRedisError();
  if (named === "embedded") {
    if (env["NODE_ENV"] === "production") {
      throw new OptionError("expected a Redis of your own with NODE_ENV=production, got \"embedded\", which would give every machine a separate one: set REDIS_URL");
    }
    return "embedded";
  }
  return typeof named === "string" ? parseUrl(named) : fromOptions(named);
}

/** The URL that the environment names. @throws OptionError when REDIS_URL_FILE cannot be read or is empty */
export function fromEnvironment(env: NodeJS.ProcessEnv): string | undefined {
  if (env["REDIS_URL"]) return env["REDIS_URL"];
  const file = env["REDIS_URL_FILE"];
  if (!file) return undefined;
  let text: string;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (cause) {
    throw new OptionError(`expected REDIS_URL_FILE to name a file with the URL of Redis, got ${file}: ${(cause as Error).message}`, { cause });
  }
  if (text === "") throw new OptionError(`expected the URL of Redis in ${file} (REDIS_URL_FILE), got an empty file`);
  return text;
}

/** @throws OptionError; its message never shows a password, however broken the URL is */
export function parseUrl(text: string): Address {
  const url = URL.parse(text);
  if (url === null || /^[^/]*\/\/[^/]*,/.test(text)) {
    if (text.includes(",")) throw new OptionError(`expected one server, got ${maskUrl(text)}: ${LATER}`);
    throw malformed(text);
  }
  if (/sentinel|cluster/.test(url.protocol)) throw new OptionError(`expected one server, got ${maskUrl(text)}: ${LATER}`);
  if (url.hash !== "") throw malformed(text, "a # in the password is written %23");
  if (url.protocol === "unix:") return parseSocket(text, url);
  if (url.protocol !== "redis:" && url.protocol !== "rediss:") throw malformed(text);
  if (url.hostname === "" && url.username === "" && url.password === "" && !/^rediss?:\/\/(?:[/?]|$)/.test(text)) throw malformed(text);

  const host = decoded(text, url.hostname).replace(/^\[|\]$/g, "") || "localhost";
  const port = url.port === "" ? DEFAULT_PORT : Number(url.port);
  const db = databaseOf(text, url, url.pathname.replace(/^\//, ""));
  const username = decoded(text, url.username);
  const password = decoded(text, url.password);
  return {
    options: {
      host,
      port,
      db,
      ...(username === "" ? {} : { username }),
      ...(password === "" ? {} : { password }),
      ...(url.protocol === "rediss:" ? { tls: {} } : {}),
    },
    shown: `${url.protocol}//${host.includes(":") ? `[${host}]` : host}:${port}${db === 0 ? "" : `/${db}`}`,
  };
}

function parseSocket(text: string, url: URL): Address {
  const path = decoded(text, url.pathname);
  if (url.host !== "" || !path.startsWith("/") || path.length < 2) throw malformed(text, "a socket is named by its full path");
  const db = databaseOf(text, url, "");
  return { options: { path, db }, shown: `unix:${path}${db === 0 ? "" : `?db=${db}`}` };
}

function databaseOf(text: string, url: URL, inPath: string): number {
  for (const name of url.searchParams.keys()) {
    if (name !== "db") throw malformed(text, `the only parameter is db, got ${name}`);
  }
  const db = url.searchParams.get("db") ?? (inPath === "" ? "0" : inPath);
  if (!/^\d{1,5}$/.test(db)) throw malformed(text, "the database is a whole number");
  return Number(db);
}

function decoded(text: string, part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw malformed(text, "a % that stands for itself is written %25");
  }
}

function fromOptions(options: RedisOptions): Address {
  if (typeof options !== "object" || options === null) throw new OptionError(`expected the URL or the options of a Redis connection, got ${String(options)}`);
  if (Array.isArray(options) || "sentinels" in options || "startupNodes" in options) {
    throw new OptionError(`expected the options of one server, got ${Array.isArray(options) ? "a list" : "those of several"}: ${LATER}`);
  }
  if (typeof (options as { duplicate?: unknown }).duplicate === "function") {
    throw new OptionError("expected a URL or the options of a Redis connection, got a client: give its options");
  }
  if (options.keyPrefix) throw new OptionError(`expected no keyPrefix, got ${JSON.stringify(options.keyPrefix)}: the keys' prefix is the option \`prefix\` of connect()`);
  if (options.stringNumbers || options.replyMapping === "resp3" || options.readOnly) {
    throw new OptionError("expected replies as ioredis gives them by default and a server that takes writes: leave out stringNumbers, replyMapping and readOnly");
  }
  const port: unknown = options.port;
  if (port !== undefined && !(Number.isInteger(Number(port)) && Number(port) > 0 && Number(port) < 65_536)) {
    throw new OptionError(`expected a port from 1 to 65535, got ${String(port)}`);
  }
  const db = options.db ?? 0;
  const database = db === 0 ? "" : String(db);
  const shown = options.path
    ? `unix:${options.path}${database && `?db=${database}`}`
    : `${options.tls ? "rediss" : "redis"}://${options.host ?? "localhost"}:${options.port ?? DEFAULT_PORT}${database && `/${database}`}`;
  return { options: { ...options }, shown };
}

function malformed(text: string, hint?: string): OptionError {
  return new OptionError(`expected the URL of Redis as ${URL_FORMS}, got ${maskUrl(text)}${hint === undefined ? "" : ` (${hint})`}`);
}

/** A URL, valid or not, without what may be secret in it: user and password, and parameters other than the database. */
export function maskUrl(text: string): string {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text)?.[0] ?? "";
  const rest = text.slice(scheme.length);
  // Up to the last @: one in a password may have been left as it is.
  const host = rest.slice(rest.lastIndexOf("@") + 1).replace(/[?#].*$/s, (query) => (/^\?db=\d+$/.test(query) ? query : `${query[0]}***`));
  return `${scheme}${rest.includes("@") ? "***@" : ""}${host}`;
}
