/**
 * Waits for the markers of queues, on one connection for all that lie together: where one server has them all, a queue in
 * eight partitions blocks one connection, as one without does.
 *
 * What Redis is asked to wait for cannot be changed while it waits. So when another queue joins in, or one leaves, the
 * command is ended by `CLIENT UNBLOCK` and sent anew; a marker that came for a queue that has left is put back.
 */
import { startTimer } from "../concurrency/timer.ts";
import type { Client } from "../redis/client.ts";
import type { Connections } from "../redis/connection.ts";
import { asBackendError } from "../redis/errors.ts";
import type { StoredQueue } from "./stored-queue.ts";

/** A wait looks for itself after so long, as BullMQ's workers do, in case a marker was lost with a process. */
export const LONGEST_WAIT_MS = 5000;
/** Those that end so soon after another end with it, so that they go on together. */
const TOGETHER_MS = 500;
/** It was asked to end before it had begun. */
const AGAIN_MS = 2;
const NOT_NOW = /^(?:LOADING|BUSY|MASTERDOWN)/;
/** So long a block that nobody waits for may take to end. */
const ENDS_WITHIN_MS = 500;

/** What the connection of whoever waits for jobs of a queue is called; of several, it is the first. */
export function waitConnection({ prefix, name }: Pick<StoredQueue, "prefix" | "name">): string {
  return `wait:${prefix}:${name}`;
}

/** Gives those who wait for several queues one for each connection that leads to them. */
export function sharedMarkers(): (queue: StoredQueue) => MarkerWait {
  const shared = new Map<Connections, MarkerWait>();
  return (queue) => {
    const { connections } = queue;
    const markers = shared.get(connections) ?? new MarkerWait(connections, waitConnection(queue));
    shared.set(connections, markers);
    return markers;
  };
}

/** Sends what Redis is to run as soon as the block before it is over. */
export type Behind = (client: Client) => void;

interface Waiter {
  readonly endsAt: number;
  readonly behind: Behind | undefined;
  settle(score: string | undefined): void;
  fail(error: unknown): void;
}

interface Block {
  readonly keys: ReadonlySet<string>;
  readonly endsAt: number;
  /** Of the connection, as the server numbers it. */
  readonly clientId: Promise<unknown>;
}

export class MarkerWait {
  readonly #connections: Connections;
  readonly #name: string;
  readonly #waiting = new Map<string, Waiter>();
  #client: Client | undefined;
  #block: Block | undefined;
  #isRunning = false;
  /** Whether the server has not refused to end a block. */
  endsBlocks = true;

  /** @param name  what `CLIENT LIST` shows */
  constructor(connections: Connections, name: string) {
    this.#connections = connections;
    this.#name = name;
  }

  /**
   * Waits for a queue's marker, and takes it. One wait a queue at a time.
   *
   * @param behind  called, once at most, when it is the only one to wait on this connection; the wait ends with the block then, for
   *   whatever reason, and behind the block Redis runs what was sent, also where the signal has fired, unless the connection is gone
   * @returns its score; `undefined` when the time is over or the signal fires: it is not taken then
   * @throws BackendError when the connection breaks
   */
  wait(key: string, waitMs: number, signal: AbortSignal, behind?: Behind): Promise<string | undefined> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return resolve(undefined);
      const leave = (): void => {
        signal.removeEventListener("abort", onAbort);
        this.#waiting.delete(key);
      };
      const waiter: Waiter = {
        endsAt: performance.now() + Math.min(waitMs, LONGEST_WAIT_MS),
        behind,
        settle: (score) => (leave(), resolve(score)),
        fail: (error) => (leave(), reject(error)),
      };
      const onAbort = (): void => {
        waiter.settle(undefined);
        this.#stir();
        this.#leaveSoon();
      };
      signal.addEventListener("abort", onAbort);
      this.#waiting.set(key, waiter);
      if (this.#isRunning) this.#stir();
      else void this.#run();
    });
  }

  /** Ends the connection. Idempotent; who waits is told that time is over, and may have lost a marker. */
  close(): void {
    const client = this.#client;
    this.#client = undefined;
    for (const waiter of this.#waiting.values()) waiter.settle(undefined);
    client?.abandon();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    try {
      while (this.#waiting.size > 0) {
        // Who was woken together waits together again.
        await new Promise((resolve) => void setImmediate(resolve));
        if (this.#waiting.size > 0) await this.#pop();
      }
    } finally {
      this.#isRunning = false;
    }
  }

  async #pop(): Promise<void> {
    const keys = [...this.#waiting.keys()];
    const endsAt = Math.min(...Array.from(this.#waiting.values(), (waiter) => waiter.endsAt));
    // Redis rounds a shorter block up.
    const seconds = Math.max(endsAt - performance.now(), 1) / 1000;
    const [only] = this.#waiting.values();
    const following = keys.length === 1 && only?.behind !== undefined ? only : undefined;
    let client: Client | undefined;
    try {
      client = this.#client ??= this.#connections.dedicated(this.#name, { blockMs: LONGEST_WAIT_MS });
      const clientId = client.client("ID");
      clientId.catch(() => {});
      this.#block = { keys: new Set(keys), endsAt, clientId };
      const popping = client.bzpopmin(keys, seconds);
      following?.behind?.(client);
      const popped = await popping;
      if (popped !== null) return this.#came(...popped);
      const now = performance.now();
      const isOver = [...this.#waiting.values()].some((waiter) => waiter.endsAt <= now + 1);
      for (const waiter of this.#waiting.values()) if (isOver && waiter.endsAt <= now + TOGETHER_MS) waiter.settle(undefined);
    } catch (error) {
      // One that was left on purpose is no failure.
      if (client === undefined || client === this.#client) for (const waiter of this.#waiting.values()) waiter.fail(asBackendError(error));
    } finally {
      this.#block = undefined;
      if (following !== undefined && this.#waiting.get(keys[0]!) === following) following.settle(undefined);
    }
  }

  #came(key: string, member: string, score: string): void {
    const waiter = this.#waiting.get(key);
    if (waiter !== undefined) waiter.settle(score);
    else this.#connections.command.zadd(key, score, member).catch(() => {});
  }

  /** What is waited for has changed. */
  #stir(): void {
    const block = this.#block;
    if (block === undefined) return;
    const isRight = block.keys.size === this.#waiting.size && [...this.#waiting].every(([key, { endsAt }]) => block.keys.has(key) && endsAt >= block.endsAt);
    if (!isRight) void this.#end(block);
  }

  async #end(block: Block): Promise<void> {
    try {
      const clientId = (await block.clientId) as number;
      if (this.#block !== block) return;
      const ended = await this.#connections.command.client("UNBLOCK", clientId);
      if (ended === 0 && this.#block === block) startTimer(AGAIN_MS, () => void this.#end(block), { keepsAlive: false });
    } catch (error) {
      if ((error as Error).name === "ReplyError" && !NOT_NOW.test((error as Error).message)) this.endsBlocks = false;
      this.#leave(block);
    }
  }

  /** Nobody may wait: the connection that blocks may be half open, or none yet. */
  #leaveSoon(): void {
    const block = this.#block;
    if (block !== undefined) startTimer(ENDS_WITHIN_MS, () => void (this.#waiting.size === 0 && this.#leave(block)), { keepsAlive: false });
  }

  /** A new connection does not wait for anything yet. A marker that comes now is lost with this one; what it told of is found by the next look. */
  #leave(block: Block): void {
    if (this.#block !== block) return;
    const client = this.#client;
    this.#client = undefined;
    client?.abandon();
  }
}
