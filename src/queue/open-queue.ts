/** What all users of one queue in this process share: its lane for puts, and its watcher of results. */
import { randomBytes } from "node:crypto";
import { OptionError } from "../errors.ts";
import type { QueueDef } from "../job/contract.ts";
import type { Connections } from "../redis/connection.ts";
import { PutLane } from "../store/put.ts";
import { storedQueue, type StoredQueue } from "../store/stored-queue.ts";
import { ResultWatcher } from "./result-watcher.ts";

export interface OpenQueue {
  readonly name: string;
  readonly stored: StoredQueue;
  readonly lane: PutLane;
  readonly watcher: ResultWatcher;
  /** Connects when nobody has yet. */
  ready(): Promise<void>;
}

/** The queues of one process by name. */
export class OpenQueues {
  readonly #connections: Connections;
  readonly #prefix: string;
  readonly #producerId = randomBytes(9).toString("base64url");
  readonly #queues = new Map<string, { readonly queue: OpenQueue; readonly maxSize: number | undefined }>();

  constructor(connections: Connections, prefix: string) {
    this.#connections = connections;
    this.#prefix = prefix;
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
    const stored = storedQueue(this.#connections, this.#prefix, name);
    const queue: OpenQueue = {
      name,
      stored,
      lane: new PutLane(stored, this.#producerId, maxSize ?? 0),
      watcher: new ResultWatcher(stored),
      ready: () => this.#connections.open(),
    };
    this.#queues.set(name, { queue, maxSize });
    return queue;
  }

  close(): void {
    for (const { queue } of this.#queues.values()) queue.watcher.close();
  }
}
