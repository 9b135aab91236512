/** The connections of one process to Redis: when they are opened, how long anything may take, how they end. */
import type { Redis } from "ioredis";
import { endsWithin, Limit } from "../concurrency/limit.ts";
import { BackendError } from "../errors.ts";
import { addressOf, resolveAddress, parseUrl, type Address, type RedisOption } from "./address.ts";
import type { Client } from "./client.ts";
import { ServerClock } from "./clock.ts";
import { asBackendError } from "./errors.ts";
import { preflight, type Warned } from "./preflight.ts";
import { Subscriber } from "./subscriber.ts";
import { Topology } from "./topology.ts";

export type { RedisOption };

/** BullMQ's own. */
const DEFAULT_PREFIX = "bull";
/** Times in milliseconds. Callers are promised an answer within 5 s, so what we wait for is a little less. */
const OPEN_MS = 4500;
/** What the command client has not been answered by then is rejected. */
export const COMMAND_MS = 4500;
/** Redis is known to be down when it was not reached for as long as a caller waits, and was tried within the last second. */
const DOWN_AFTER_MS = 4500;
const FRESH_MS = 1000;
/** Above the slowest answer that is still waited for: a connection that is silent for longer is taken for dead. */
const SILENCE_MS = 7500;
const SILENCE_AFTER_BLOCK_MS = 5000;
const QUIT_MS = 1500;
const CLOSE_MS = 1900;

/** Of a client for commands that do not block. */
const ANSWERING = { commandTimeout: COMMAND_MS, socketTimeout: SILENCE_MS } as const;

/**
 * A client that answers as the command client does, for a thread that shares nothing with it but where Redis is. It
 * connects with its first command; the caller closes it.
 *
 * @param name  what `CLIENT LIST` shows
 */
export function openClient(location: Address, name: string): Client {
  return new Topology(location).client({ connectionName: name, ...ANSWERING });
}

interface Opened {
  readonly address: Address;
  readonly topology: Topology;
  readonly command: Client;
  readonly durability: string;
  readonly warnings: readonly Warned[];
  release(): Promise<void>;
}

/**
 * The connections of one process. Making one is synchronous and does no I/O, so a module may hold it.
 *
 * The command client answers every command within 5 s: a lost connection rejects at once what was sent and not
 * answered (nothing is sent twice behind the caller's back), and what waits for a connection is sent when it is back,
 * at most a second after the server is, or rejected. `asBackendError` says which of the two it was.
 */
export class Connections implements AsyncDisposable {
  readonly clock = new ServerClock();
  /** For messages; whoever listens to any has `open()` come first. */
  readonly subscriber = new Subscriber(() => this.dedicated("millrace:messages", { blockMs: 0 }));
  /** What every key begins with: on a cluster it is a hash tag, so that all of them lie in one slot. */
  readonly prefix: string;
  readonly #named: Address | "embedded";
  readonly #another: (prefix: string) => Connections;
  /** By prefix. */
  readonly #beside = new Map<string, Connections>();
  readonly #dedicated = new Set<Client>();
  readonly #closing = new AbortController();
  #opening: Promise<Opened> | undefined;
  #opened: Opened | undefined;
  #closed: Promise<void> | undefined;
  #triedSince = -Infinity;
  #triedUntil = -Infinity;
  #back: Promise<void> | undefined;

  /** @throws NoRedisError when nothing says where Redis is; OptionError when what says it is malformed */
  constructor(option: RedisOption | undefined, env: NodeJS.ProcessEnv = process.env, prefix = DEFAULT_PREFIX) {
    const named = resolveAddress(option, env);
    const onCluster = named !== "embedded" && named.guides?.kind === "cluster";
    this.prefix = onCluster && !prefix.includes("{") ? `{${prefix}}` : prefix;
    this.#named = named === "embedded" ? named : addressOf(named, this.prefix);
    this.#another = (other) => (onCluster ? new Connections(option, env, other) : this);
  }

  /** The way to the keys of another prefix: this one, but on a cluster another, to their slot. It is opened by itself, and closed with this one. */
  at(prefix: string): Connections {
    if (prefix === this.prefix) return this;
    const beside = this.#beside.get(prefix) ?? this.#another(prefix);
    if (beside === this) return this;
    this.#beside.set(prefix, beside);
    if (this.#closed !== undefined) void beside.close();
    return beside;
  }

  /** Where Redis is, for `openClient`, as plain data where the caller's options are. @throws BackendError before `open()` and after `close()` */
  get location(): Address {
    return this.#openOrThrow().topology.location;
  }

  /** Where Redis is, for messages and logs: holds no password. */
  get address(): string {
    if (this.#opened !== undefined) return this.#opened.address.shown;
    return this.#named === "embedded" ? "embedded" : this.#named.shown;
  }

  /** What preflight found that an operator should change; empty before `open()`. */
  get warnings(): readonly Warned[] {
    return this.#opened?.warnings ?? [];
  }

  /** What a power loss and a fail-over cost on this server; `undefined` before `open()`. */
  get durability(): string | undefined {
    return this.#opened?.durability;
  }

  /** For every command that does not block. @throws BackendError before `open()` and after `close()` */
  get command(): Redis {
    return this.#openOrThrow().command;
  }

  /**
   * Connects, looks the server over, learns its clock. Calls share one attempt; after a failed one it may be tried
   * again. Starting the embedded server takes its own time, before the 5 s begin.
   *
   * @throws BackendError when the server does not answer within 5 s, or refuses us; PreflightError when it is not fit
   * @throws RedisServerError when the embedded server cannot be started
   */
  async open(): Promise<void> {
    if (this.#closed !== undefined) throw new BackendError("the connection to Redis was closed", { mayHaveRun: false });
    this.#opening ??= this.#try();
    await this.#opening;
  }

  /** Whether a command can be sent now; where it cannot, it would wait. */
  get isConnected(): boolean {
    return this.#closed === undefined && this.#opened?.command.status === "ready";
  }

  /** Redis was not reached for 4.5 s, or longer, and still is not: whoever asks for it now need not wait to know. */
  get isDown(): boolean {
    const now = performance.now();
    if (this.#opened !== undefined) return now - (this.#opened.command.lostAt ?? now) >= DOWN_AFTER_MS;
    return (this.#opening !== undefined || now - this.#triedUntil < FRESH_MS) && now - this.#triedSince >= DOWN_AFTER_MS;
  }

  /** Resolves when a command can be sent (again), however long that takes. @throws BackendError before `open()` and after `close()` */
  connected(): Promise<void> {
    const { command } = this.#openOrThrow();
    if (command.status === "ready") return Promise.resolve();
    // One listener, however many wait.
    this.#back ??= new Promise((resolve) => {
      command.once("ready", () => {
        this.#back = undefined;
        resolve();
      });
    });
    return this.#back;
  }

  /**
   * A client of its own for commands that block. The caller closes it.
   *
   * @param name     what `CLIENT LIST` shows
   * @param blockMs  the longest block of any of its commands; 5 s of silence beyond it count as a dead connection
   * @param answers  rejects what is not answered within 4.5 s, as `command` does; it blocks for less
   * @throws BackendError before `open()`
   */
  dedicated(name: string, options: { readonly blockMs: number; readonly answers?: boolean }): Client {
    const { topology } = this.#openOrThrow();
    const commandTimeout = options.answers === true ? COMMAND_MS : undefined;
    const client = topology.client({ connectionName: name, commandTimeout, socketTimeout: options.blockMs + SILENCE_AFTER_BLOCK_MS });
    this.#dedicated.add(client);
    client.once("end", () => this.#dedicated.delete(client));
    return client;
  }

  /** Waits up to 2 s for what was sent, then ends everything, and leaves the embedded server. Never throws. */
  close(): Promise<void> {
    // What takes longer goes on without anybody waiting for it.
    this.#closed ??= endsWithin(CLOSE_MS, Promise.all([this.#close(), ...Array.from(this.#beside.values(), (other) => other.close())])).then(() => undefined);
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #openOrThrow(): Opened {
    if (this.#closed !== undefined) throw new BackendError("the connection to Redis was closed", { mayHaveRun: false });
    if (this.#opened === undefined) throw new BackendError("the connection to Redis is not open: await open() first", { mayHaveRun: false });
    return this.#opened;
  }

  async #try(): Promise<Opened> {
    if (performance.now() - this.#triedUntil > FRESH_MS) this.#triedSince = performance.now();
    try {
      this.#opened = await this.#connect();
      return this.#opened;
    } catch (error) {
      this.#opening = undefined;
      this.#triedUntil = performance.now();
      throw error;
    }
  }

  async #connect(): Promise<Opened> {
    const { address, release } = this.#named === "embedded" ? await joinEmbedded() : { address: this.#named, release: nothing };
    const topology = new Topology(address);
    const command = topology.client({ ...ANSWERING, busyPoll: true });
    try {
      const { durability, warnings } = await this.#withinDeadline(address, command, async () => {
        await ready(command);
        const [found] = await Promise.all([preflight(command, { onCluster: address.guides?.kind === "cluster" }), this.clock.sync(command)]);
        return found;
      });
      command.on("ready", () => {
        // Another server may have taken its place, with another clock. A failure shows at the next command.
        this.clock.sync(command).catch(nothing);
      });
      return { address, topology, command, durability, warnings, release };
    } catch (error) {
      command.abandon();
      await release();
      throw asBackendError(error, false);
    }
  }

  async #withinDeadline<T>(address: Address, command: Client, work: () => Promise<T>): Promise<T> {
    const tooLate = (): BackendError => {
      const fault = command.connectionFault ?? "it does not answer";
      return new BackendError(`expected Redis at ${address.shown} within ${OPEN_MS / 1000} s: ${fault}`, { mayHaveRun: false });
    };
    using limit = new Limit({ timeout: OPEN_MS, signal: this.#closing.signal }, tooLate);
    return await limit.around(work());
  }

  async #close(): Promise<void> {
    this.#closing.abort(new BackendError("the connection to Redis was closed while it was being opened", { mayHaveRun: false }));
    const opened = await this.#opening?.catch(nothing);
    for (const client of this.#dedicated) client.abandon();
    if (opened === undefined) return;
    const { command } = opened;
    if (command.status === "ready") await endsWithin(QUIT_MS, command.quit());
    command.abandon();
    await opened.release().catch(nothing);
  }
}

/** Loaded only where it is asked for: it brings a lock file's exit hooks with it. */
async function joinEmbedded(): Promise<{ address: Address; release: () => Promise<void> }> {
  const { acquireEmbedded } = await import("./embedded.ts");
  const { url, release } = await acquireEmbedded({});
  return { address: parseUrl(url), release };
}

/** Settles when the client is ready, or when it never will be; one that is refused a connection tries again. */
function ready(client: Client): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      if (FINAL.test(`${"code" in error ? String(error.code) : ""} ${error.message}`)) reject(new BackendError(`Redis refused the connection: ${error.message}`, { cause: asBackendError(error), mayHaveRun: false }));
    };
    client.on("error", onError);
    client.once("ready", resolve);
    client.once("end", () => reject(new BackendError("the connection to Redis was closed", { mayHaveRun: false })));
    client.connect().catch(nothing);
  });
}

/** What no second attempt changes: a wrong password, a database that does not exist, a certificate that is not trusted. */
const FINAL = /NOAUTH|WRONGPASS|NOPERM|invalid (?:username-password|password)|DB index|AUTH |CERT|certificate|ERR_TLS|ERR_SSL|EPROTO|DENIED/;

function nothing(): Promise<void> {
  return Promise.resolve();
}
