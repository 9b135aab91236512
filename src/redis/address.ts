/** Where Redis is: an option, a URL or the environment, checked and made into one plain value. */
import { readFileSync } from "node:fs";
import type { RedisOptions } from "ioredis";
import { NoRedisError, OptionError } from "../errors.ts";
import { shown } from "../options.ts";

/**
 * `"embedded"`: a server of our own for this project. A URL: `redis://[user:password@]host[:port][/db]`,
 * `unix:/path[?db=n]`, `redis+sentinel://[user:password@]host[:port],…/name[/db]`, `redis+cluster://[…@]host[:port],…`;
 * `rediss…` the same over TLS. Or ioredis options, as BullMQ's `connection`, with `sentinels` or `cluster` among them.
 */
export type RedisOption = "embedded" | (string & {}) | RedisOptions | ClusterOptions;

/** Options of a cluster: those of each of its nodes, and some of the nodes. */
export interface ClusterOptions extends RedisOptions {
  readonly cluster: readonly Partial<Server>[];
}

export interface Server {
  readonly host: string;
  readonly port: number;
}

/** Servers that tell where the primary is: Sentinels, or nodes of a cluster. */
export interface Guides {
  readonly kind: "sentinel" | "cluster";
  readonly servers: readonly Server[];
  /** What they are asked for: the name of the primary that Sentinels watch; a key of the slot that the primary serves. */
  readonly name: string;
  /** How to log in to them. */
  readonly options: Readonly<RedisOptions>;
  /** Other addresses for those that they name, as `host:port`: through a tunnel, out of a container. */
  readonly natMap: Readonly<Record<string, Server>>;
}

/**
 * Where Redis is. Plain data that another thread can be given. `shown` is for messages and logs: it holds no password.
 */
export interface Address {
  /** Of the server that is connected to; without its host and port where guides tell them. */
  readonly options: Readonly<RedisOptions>;
  readonly guides?: Guides;
  readonly shown: string;
}

/** Where the keys of a prefix are: on a cluster it names their slot. */
export function addressOf(address: Address, prefix: string): Address {
  const { guides } = address;
  return guides?.kind === "cluster" ? { ...address, guides: { ...guides, name: prefix } } : address;
}

const URL_FORMS = "redis://host:6379/0, rediss://host:6379, unix:/path/redis.sock, redis+sentinel://host:26379,host:26379/name, redis+cluster://host:6379,host:6379 or \"embedded\"";
const DEFAULT_PORT = 6379;
const SENTINEL_PORT = 26_379;

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
  const several = SEVERAL.exec(text)?.groups;
  if (several !== undefined) return parseSeveral(text, several);
  const url = URL.parse(text);
  if (url === null || /^[^/]*\/\/[^/]*,/.test(text)) throw malformed(text, text.includes(",") ? "several servers are Sentinels or a cluster" : undefined);
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

const SEVERAL = /^(?<scheme>rediss?)\+(?<kind>sentinel|cluster):\/\/(?:(?<login>.*)@)?(?<hosts>[^/?#@]+)(?:\/(?<path>[^?#@]*))?$/s;

function parseSeveral(text: string, { scheme, kind, login = "", hosts = "", path = "" }: Record<string, string | undefined>): Address {
  const isSentinel = kind === "sentinel";
  const [name = "", db = "", ...more] = path.split("/");
  if (isSentinel && name === "") throw malformed(text, "the name of the primary that the Sentinels watch comes after them");
  if (more.length > 0 || (!isSentinel && path !== "")) throw malformed(text, "a cluster has one database, and no name");
  const servers = hosts.split(",").map((one) => {
    if (one === "") throw malformed(text, "a host is missing");
    const { host, port } = parseUrl(`redis://${one}`).options as Server;
    return { host, port: isSentinel && !/:\d+$/.test(one) ? SENTINEL_PORT : port };
  });
  const { host: _host, port: _port, ...options } = parseUrl(`${scheme}://${login}@host/${db}`).options;
  return guided(options, {
    kind: isSentinel ? "sentinel" : "cluster",
    servers,
    name: decoded(text, name),
    options: isSentinel ? tlsOf(options) : options,
    natMap: {},
  });
}

function guided(options: RedisOptions, guides: Guides): Address {
  const { kind, servers, name } = guides;
  const list = servers.map(({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`).join(",");
  const path = kind === "cluster" ? "" : `/${name}${options.db ? `/${options.db}` : ""}`;
  return { options, guides, shown: `${options.tls ? "rediss" : "redis"}+${kind}://${list}${path}` };
}

function tlsOf({ tls }: RedisOptions): RedisOptions {
  return tls === undefined ? {} : { tls };
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

function fromOptions(options: RedisOptions | ClusterOptions): Address {
  if (typeof options !== "object" || options === null) throw new OptionError(`expected the URL or the options of a Redis connection, got ${String(options)}`);
  if (Array.isArray(options) || "startupNodes" in options) throw new OptionError("expected the options of a Redis connection, got a list: a cluster is { cluster: [{ host, port }] }");
  if (typeof (options as { duplicate?: unknown }).duplicate === "function") {
    throw new OptionError("expected a URL or the options of a Redis connection, got a client: give its options");
  }
  if (options.keyPrefix) throw new OptionError(`expected no keyPrefix, got ${JSON.stringify(options.keyPrefix)}: the keys' prefix is the option \`prefix\` of connect()`);
  if (options.stringNumbers || options.replyMapping === "resp3" || options.readOnly || options.role === "slave") {
    throw new OptionError("expected replies as ioredis gives them by default and a server that takes writes: leave out stringNumbers, replyMapping, readOnly and role");
  }
  if ("cluster" in options || options.sentinels) return fromOptionsOfSeveral(options);
  const { host, port } = serverOf(options, DEFAULT_PORT);
  const db = options.db ?? 0;
  const database = db === 0 ? "" : String(db);
  const text = options.path
    ? `unix:${options.path}${database && `?db=${database}`}`
    : `${options.tls ? "rediss" : "redis"}://${host}:${port}${database && `/${database}`}`;
  return { options: { ...options }, shown: text };
}

/** ioredis has it that TLS to Sentinels and TLS through them are asked for apart. */
function fromOptionsOfSeveral(given: RedisOptions & Partial<ClusterOptions>): Address {
  const { cluster, sentinels, name = "", natMap = {}, sentinelUsername, sentinelPassword, sentinelTLS, enableTLSForSentinelMode, ...rest } = given;
  const { host: _host, port: _port, path: _path, tls, ...plain } = rest;
  const servers: unknown = cluster ?? sentinels;
  if (!Array.isArray(servers) || servers.length === 0) throw new OptionError(`expected a list of { host, port } for ${cluster ? "cluster" : "sentinels"}, got ${shown(servers)}`);
  if (cluster !== undefined && (given.db ?? 0) !== 0) throw new OptionError(`expected no db with a cluster, which has one database, got ${given.db}`);
  if (cluster === undefined && name === "") throw new OptionError("expected the name of the primary that the Sentinels watch for name, got none");
  if (typeof natMap === "function") throw new OptionError("expected natMap as an object, got a function");
  const withTls = tls !== undefined && (cluster !== undefined || enableTLSForSentinelMode === true);
  const options: RedisOptions = withTls ? { ...plain, tls } : plain;
  const own = { ...(sentinelUsername && { username: sentinelUsername }), ...(sentinelPassword && { password: sentinelPassword }), ...(sentinelTLS && { tls: sentinelTLS }) };
  return guided(options, {
    kind: cluster === undefined ? "sentinel" : "cluster",
    servers: servers.map((server: Partial<Server>) => serverOf(server, cluster === undefined ? SENTINEL_PORT : DEFAULT_PORT)),
    name,
    options: cluster === undefined ? own : options,
    natMap,
  });
}

function serverOf(given: { readonly host?: string | undefined; readonly port?: number | undefined }, standard: number): Server {
  const { host = "localhost", port = standard } = given;
  if (Number.isInteger(Number(port)) && Number(port) > 0 && Number(port) < 65_536) return { host, port: Number(port) };
  throw new OptionError(`expected a port from 1 to 65535, got ${String(port)}`);
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
