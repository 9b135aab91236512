/**
 * Messages from Redis (pub/sub): one connection a process, however many channels it listens to; none while it listens
 * to none.
 *
 * A message may be lost with a connection. So a listener is told whenever listening begins or begins again, and looks
 * for itself at what it may have missed.
 */
import { startTicker } from "../concurrency/timer.ts";
import type { Client } from "./client.ts";

export interface Listener {
  message(text: string): void;
  /** Listening has begun, or has begun again: until now messages may have been lost. */
  listening(): void;
  /** The server does not let us listen (an access rule). */
  refused?(error: unknown): void;
}

/** A connection that is silent for five seconds after this is dead. */
const PING_EVERY_MS = 5000;

export class Subscriber {
  readonly #connect: () => Client;
  readonly #listeners = new Map<string, Set<Listener>>();
  /** Those that the connection of now listens to. */
  readonly #heard = new Set<string>();
  #client: Client | undefined;
  #stopPinging: (() => void) | undefined;

  /** @param connect  makes a client of its own; called when somebody wants to listen */
  constructor(connect: () => Client) {
    this.#connect = connect;
  }

  /**
   * Listens to a channel from some time soon, however often the connection is lost.
   *
   * @returns ends it
   * @throws BackendError when the app is not connected yet, or closed
   */
  listen(channel: string, listener: Listener): () => void {
    const client = (this.#client ??= this.#begin());
    const together = this.#listeners.get(channel) ?? new Set();
    const isFirst = together.size === 0;
    this.#listeners.set(channel, together.add(listener));
    if (this.#heard.has(channel)) queueMicrotask(() => listener.listening());
    else if (isFirst && client.status === "ready") void this.#subscribe(client, channel);
    return () => {
      if (!together.delete(listener) || together.size > 0) return;
      this.#listeners.delete(channel);
      this.#heard.delete(channel);
      if (this.#listeners.size === 0) this.#end();
      else this.#client?.unsubscribe(channel).catch(() => {});
    };
  }

  /** Whether messages of this channel come now. */
  hears(channel: string): boolean {
    return this.#heard.has(channel);
  }

  #begin(): Client {
    const client = this.#connect();
    client.on("message", (channel: string, text: string) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener.message(text);
    });
    client.on("ready", () => {
      for (const channel of this.#listeners.keys()) void this.#subscribe(client, channel);
    });
    client.on("close", () => {
      if (this.#client === client) this.#heard.clear();
    });
    client.connect().catch(() => {});
    const ping = (): void => {
      if (client.status === "ready") client.ping().catch(() => {});
    };
    this.#stopPinging = startTicker(PING_EVERY_MS, ping, { keepsAlive: false });
    return client;
  }

  #end(): void {
    this.#stopPinging?.();
    this.#client?.disconnect();
    this.#client = undefined;
    this.#heard.clear();
  }

  async #subscribe(client: Client, channel: string): Promise<void> {
    try {
      await client.subscribe(channel);
    } catch (error) {
      // A lost connection is tried again by itself; a refusal is not.
      if (client.status === "ready") for (const listener of this.#listeners.get(channel) ?? []) listener.refused?.(error);
      return;
    }
    const listeners = this.#listeners.get(channel);
    if (listeners === undefined || client !== this.#client) return;
    this.#heard.add(channel);
    for (const listener of listeners) listener.listening();
  }
}
