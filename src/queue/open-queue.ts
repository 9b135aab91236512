/** What all users of one queue in this process share: its lane for puts, its watcher of results, and who consumes by hand. */
import { randomBytes } from "node:crypto";
import { endsWithin } from "../concurrency/limit.ts";
import { OptionError } from "../errors.ts";
import type { QueueDef } from "../job/contract.ts";
import type { Logger } from "../log.ts";
import type { Connections } from "../redis/connection.ts";
import { PutLane } from "../store/put.ts";
import { ReplicatedPuts, type Durability } from "../store/replicated-put.ts";
import { storedQueue, type StoredQueue } from "../store/stored-queue.ts";
import type { QueueMeter } from "../telemetry/meter.ts";
import { HistoryKeeper } from "./history-keeper.ts";
import { LeaseKeeper, type QueueLeases } from "./lease-keeper.ts";
import { ResultWatcher } from "./result-watcher.ts";

export interface OpenQueue {
  readonly name: string;
  readonly stored: StoredQueue;
  readonly lane: PutLane;
  /** For puts that replicas are to have. */
  readonly durableLane: PutLane;
  readonly watcher: ResultWatcher;
  /** Counts what happens here. */
  readonly meter: QueueMeter;
  readonly log: Logger;
  /** What is held of this queue, renewed for `leaseMs` at a time. */
  leases(leaseMs: number): QueueLeases;
  /** Those who hold deliveries of this queue in their own hands. */
  readonly consumers: Set<AsyncDisposable>;
  /** The app was closed: Redis will not come back. */
  readonly closed: boolean;
  /** Connects when nobody has yet. */
  ready(): Promise<void>;
}

/** How long closing waits for what is given back to reach Redis. */
const GIVE_BACK_MS = 1000;

/** The queues of one process by name. */
export class OpenQueues {
  readonly #connections: Connections;
  readonly #prefix: string;
  readonly #log: Logger;
  readonly #ready: () => Promise<void>;
  readonly #replicated: ReplicatedPuts;
  readonly #producerId = randomBytes(9).toString("base64url");
  readonly #keeper: LeaseKeeper;
  readonly #history: HistoryKeeper;
  readonly #queues = new Map<string, { readonly queue: OpenQueue; readonly maxSize: number | undefined }>();
  #closed = false;

  /** @param ready  connects when nobody has yet */
  constructor(connections: Connections, prefix: string, log: Logger, ready: () => Promise<void>, durability: Durability) {
    this.#connections = connections;
    this.#replicated = new ReplicatedPuts(connections, durability);
    this.#prefix = prefix;
    this.#log = log;
    this.#ready = ready;
    this.#keeper = new LeaseKeeper(connections, log);
    this.#history = new HistoryKeeper(log);
  }

  /** @throws OptionError when the queue is in use here under another `maxSize` */
  open(definition: QueueDef): OpenQueue {
    const { name } = definition;
    const { maxSize } = definition.options;
    const known = this.#queues.get(name);
    if (known !== undefined) {
      if (known.maxSize === maxSize) return known.queue;
      throw new OptionError(
        `expected one maxSize for queue ${name}, got ${String(known.maxSize)} and ${String(maxSize)}; share one defineQueue(…) among its jobs`,
      );
    }
    const queue = this.#make(name, maxSize ?? 0);
    this.#queues.set(name, { queue, maxSize });
    return queue;
  }

  /** Ends every wait, and gives back what is held by hand. Never throws. */
  async close(): Promise<void> {
    this.#closed = true;
    const queues = [...this.#queues.values()].map(({ queue }) => queue);
    for (const { watcher } of queues) watcher.close();
    const givenBack = Promise.allSettled(queues.flatMap(({ consumers }) => [...consumers]).map((consumer) => consumer[Symbol.asyncDispose]()));
    await endsWithin(GIVE_BACK_MS, givenBack);
    await this.#history.close();
    await this.#keeper[Symbol.asyncDispose]();
  }

  #make(name: string, maxSize: number): OpenQueue {
    const stored = storedQueue(this.#connections, this.#prefix, name);
    const isClosed = (): boolean => this.#closed;
    return {
      name,
      stored,
      lane: new PutLane(stored, this.#producerId, maxSize, this.#ready),
      durableLane: new PutLane(stored, `${this.#producerId}.durable`, maxSize, this.#ready, this.#replicated),
      watcher: new ResultWatcher(stored, this.#ready),
      meter: this.#history.meter(stored),
      log: this.#log,
      leases: (leaseMs) => this.#keeper.of(stored, leaseMs),
      consumers: new Set(),
      get closed() {
        return isClosed();
      },
      ready: this.#ready,
    };
  }
}
