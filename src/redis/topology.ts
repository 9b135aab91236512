/**
 * One Redis as clients see it: a single server, the primary behind Sentinels, or the node of a cluster that serves our slot.
 *
 * The three differ in how the server is found, and in nothing else: whatever a client is for, it is connected to one server
 * that takes writes, and looks for it anew whenever a connection ends. Where it cannot be found, that is a connection that
 * failed.
 */
import { connect as connectPlain, Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { AbstractConnector, type RedisOptions } from "ioredis";
import type { Address } from "./address.ts";
import { Client, type ClientOptions } from "./client.ts";
import { PrimaryFinder } from "./primary-finder.ts";

const LONGEST_BACKOFF_MS = 1000;
/** A server that refuses what only another can do is left for that one; which may not be found at once. */
const LEFT_AT_MOST_EVERY_MS = 1000;

const OWN: RedisOptions = {
  connectTimeout: 5000,
  // How long a connection that we ended may linger.
  disconnectTimeout: 100,
  retryStrategy: (attempt) => Math.min(50 * 2 ** (attempt - 1), LONGEST_BACKOFF_MS),
  maxLoadingRetryTime: LONGEST_BACKOFF_MS,
  maxRetriesPerRequest: null,
  autoResendUnfulfilledCommands: false,
  enableOfflineQueue: true,
  enableReadyCheck: true,
  enableAutoPipelining: false,
  lazyConnect: true,
  noDelay: true,
};

export class Topology {
  readonly #address: Address;
  readonly #finder: PrimaryFinder | undefined;
  readonly #clients = new Set<Client>();
  #endWatch: (() => void) | undefined;

  /** @param address  plain data: another thread makes its own topology of it */
  constructor(address: Address) {
    this.#address = address;
    if (address.guides !== undefined) this.#finder = new PrimaryFinder(address.guides, () => this.#leave());
  }

  /** What another thread makes its own topology of. */
  get location(): Address {
    const facts = Object.entries(this.#address.options).filter(([name]) => !(name in OWN));
    return { ...this.#address, options: Object.fromEntries(facts) };
  }

  /** A client that connects with its first command. The address has the facts of the connection; how it behaves is ours. */
  client(options: ClientOptions): Client {
    const connector = this.#finder && { Connector: primaryConnector(this.#finder) };
    const client = new Client({
      keepAlive: 10_000, connectionName: "millrace", clientInfoTag: "millrace",
      ...this.#address.options, ...OWN, reconnectOnError: this.#isToBeLeft(), ...connector, ...options,
    });
    this.#clients.add(client);
    client.once("end", () => this.#forget(client));
    this.#endWatch ??= this.#finder?.watch();
    return client;
  }

  #forget(client: Client): void {
    this.#clients.delete(client);
    if (this.#clients.size > 0) return;
    this.#endWatch?.();
    this.#endWatch = undefined;
  }

  /** The primary is another: who is not looking for it already does so now. */
  #leave(): void {
    for (const client of this.#clients) if (client.status === "ready" || client.status === "connect") client.disconnect(true);
  }

  /** After a fail-over the name leads to the new primary, but only for a new connection. */
  #isToBeLeft(): (error: Error) => boolean {
    const refusal = this.#finder === undefined ? /(?:^|-)READONLY / : /(?:^|-)(?:READONLY|MOVED|CLUSTERDOWN|MASTERDOWN|NOREPLICAS) /;
    let leftAt = -Infinity;
    return ({ message }) => {
      if (!refusal.test(message) || performance.now() - leftAt < LEFT_AT_MOST_EVERY_MS) return false;
      leftAt = performance.now();
      return true;
    };
  }
}

/** How ioredis is told to look for the primary before each connection. */
function primaryConnector(finder: PrimaryFinder): new (options: unknown) => AbstractConnector {
  return class PrimaryConnector extends AbstractConnector {
    readonly #tls: RedisOptions["tls"];

    constructor(options: unknown) {
      const { disconnectTimeout = 0, tls } = options as RedisOptions;
      super(disconnectTimeout);
      this.#tls = tls;
    }

    async connect(): Promise<Socket> {
      this.connecting = true;
      delete this.firstError;
      const stream = await this.#open();
      this.stream = stream;
      return stream;
    }

    override check({ role }: { role?: string }): boolean {
      return role === undefined || role === "master";
    }

    async #open(): Promise<Socket> {
      try {
        const primary = await finder.find();
        if (this.connecting) return this.#tls === undefined ? connectPlain(primary) : connectTls({ ...primary, ...this.#tls });
      } catch (error) {
        this.firstError = error as Error;
      }
      return new Socket().destroy();
    }
  };
}
