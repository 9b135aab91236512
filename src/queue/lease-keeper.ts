/**
 * Keeps the leases of whatever this process holds, until it is settled; tells the holder of a lease that is lost.
 *
 * They are renewed by a thread, so that a handler that blocks the event loop does not lose its job. It reads what is
 * kept from a table in shared memory; only what is lost comes to it, and from it, as a message.
 */
import type { Worker } from "node:worker_threads";
import { threadEntry } from "../concurrency/thread-entry.ts";
import { startTicker } from "../concurrency/timer.ts";
import { instant } from "../concurrency/thread-clock.ts";
import type { Logger } from "../log.ts";
import type { Connections } from "../redis/connection.ts";
import { extendLeases, type Lease } from "../store/extend.ts";
import type { BatchToken } from "../store/reserve.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import { BEAT_MS, type LeasedQueue, LeaseRenewal } from "./lease-renewal.ts";
import { type Holder, type KeptLease, LeaseTable } from "./lease-table.ts";
import type { FromLeaseThread, KeptKeys, LeaseThreadData, ToLeaseThread } from "./lease-thread.ts";
import { bondToParent } from "./parent.ts";

/** One an app: its thread is started with the first lease, and serves all of its queues. */
export class LeaseKeeper implements AsyncDisposable {
  readonly #connections: Connections;
  readonly #log: Logger;
  readonly #queues: LeasedQueue[] = [];
  readonly #kept = new Set<KeptKeys>();
  readonly #stored = new Map<LeasedQueue, StoredQueue>();
  readonly #table = new LeaseTable((sheet) => {
    this.#tell({ sheet });
    this.#here?.addSheet(sheet);
  });
  readonly #beat = new Float64Array(new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT));
  #endBeat: (() => void) | undefined;
  #thread: Worker | undefined;
  /** In this thread, while that one has not reached Redis yet, or where there can be none. */
  #here: LeaseRenewal | undefined;
  #closed = false;

  constructor(connections: Connections, log: Logger) {
    this.#connections = connections;
    this.#log = log;
  }

  /** The leases of one queue, each renewed for `leaseMs` from then. */
  of(queue: StoredQueue, leaseMs: number): QueueLeases {
    const number = this.#numberOf(queue, leaseMs);
    return new QueueLeases(queue, leaseMs, number, () => {
      if (this.#endBeat === undefined) this.#start();
      return this.#table;
    });
  }

  /** While a handler blocks the main thread, which renews them itself, they live on. @returns ends that */
  keepKeys(keys: KeptKeys): () => void {
    this.#kept.add(keys);
    this.#tell({ kept: [...this.#kept] });
    return () => {
      this.#kept.delete(keys);
      this.#tell({ kept: [...this.#kept] });
    };
  }

  /** Renews nothing any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#endBeat?.();
    this.#here?.[Symbol.dispose]();
    await this.#thread?.terminate();
  }

  #numberOf(stored: StoredQueue, leaseMs: number): number {
    const { keys, name, prefix } = stored;
    const known = this.#queues.findIndex((queue) => queue.keys.base === keys.base && queue.leaseMs === leaseMs);
    if (known >= 0) return known + 1;
    const queue = { keys, name, prefix, leaseMs };
    this.#stored.set(queue, stored);
    this.#tell({ queue });
    this.#here?.addQueue(queue);
    return this.#queues.push(queue);
  }

  #start(): void {
    if (this.#closed) return;
    const beat = (): void => void (this.#beat[0] = instant());
    beat();
    this.#endBeat = startTicker(BEAT_MS, beat, { keepsAlive: false });
    this.#startThread();
  }

  #startThread(): void {
    this.#renewHere();
    const workerData: LeaseThreadData = { redis: this.#connections.location, beat: this.#beat.buffer as SharedArrayBuffer, sheets: this.#table.sheets, queues: this.#queues, kept: [...this.#kept], bond: bondToParent() };
    const { Worker } = process.getBuiltinModule("node:worker_threads");
    let thread: Worker;
    try {
      // None of this process's flags: the thread is to load nothing of the program.
      thread = new Worker(threadEntry(import.meta.url, "lease-thread"), { workerData, execArgv: [], env: {}, name: "leases" });
    } catch (error) {
      return this.#doWithout("the options of the connection cannot be copied to a thread", error);
    }
    this.#thread = thread;
    thread.unref();
    thread.on("message", (message: FromLeaseThread) => this.#receive(message));
    let hasStarted = false;
    let reason: unknown;
    thread.once("message", () => (hasStarted = true));
    thread.on("error", (error) => (reason = error));
    thread.on("exit", () => {
      this.#thread = undefined;
      if (this.#closed) return;
      if (!hasStarted) return this.#doWithout("the thread for it cannot be started", reason);
      this.#log.error({ err: reason }, "the thread that renews leases has ended: starts it anew");
      this.#startThread();
    });
  }

  #doWithout(why: string, error: unknown): void {
    this.#log.warn({ err: error }, `renews leases in the main thread, where a handler that blocks it longer than its lease loses its job: ${why}`);
    this.#renewHere();
  }

  #renewHere(): void {
    if (this.#here !== undefined) return;
    this.#here = new LeaseRenewal({
      connect: async () => async (queue, leases) => extendLeases(this.#stored.get(queue)!, leases, queue.leaseMs),
      aliveAt: instant,
      onLost: (lost) => this.#receive({ lost }),
      onFailure: (queue, cause) => this.#warn(queue, cause),
    });
    for (const queue of this.#queues) this.#here.addQueue(queue);
    for (const sheet of this.#table.sheets) this.#here.addSheet(sheet);
  }

  #receive(message: FromLeaseThread): void {
    if ("state" in message && message.state === "connected") {
      this.#here?.[Symbol.dispose]();
      this.#here = undefined;
    }
    if ("lost" in message) for (const position of message.lost) this.#table.lost(position);
    if ("failed" in message) this.#warn(message.queue, message.failed);
  }

  #warn(queue: string, error: unknown): void {
    this.#log.warn({ queue, err: error }, "cannot renew leases, trying again");
  }

  #tell(message: ToLeaseThread): void {
    this.#thread?.postMessage(message);
  }
}

/** The leases of one queue that this process holds. */
export class QueueLeases {
  readonly leaseMs: number;
  readonly #queue: StoredQueue;
  readonly #number: number;
  readonly #table: () => LeaseTable;

  constructor(queue: StoredQueue, leaseMs: number, number: number, table: () => LeaseTable) {
    this.#queue = queue;
    this.leaseMs = leaseMs;
    this.#number = number;
    this.#table = table;
  }

  /** Renews the lease from now on, until it is let go. See `LeaseTable.keep`. */
  keep(lease: Lease, grantedAt: number, holder: Holder): KeptLease {
    return this.#table().keep(this.#number, lease, grantedAt, holder);
  }

  /** Renews whatever will be leased under the token: its reply may lie unread while a handler blocks the loop. See `LeaseTable.keepAll`. */
  keepAll(token: BatchToken, askedAt: number): KeptLease {
    return this.#table().keepAll(this.#number, token, askedAt);
  }

  /** Asks Redis; a lease that still holds is renewed with that. @throws BackendError */
  async stillHolds(lease: Lease): Promise<boolean> {
    return (await extendLeases(this.#queue, [lease], this.leaseMs)).length === 0;
  }
}
