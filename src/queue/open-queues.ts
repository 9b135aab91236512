/** The queues of one process by name, each opened once for all who use it. */
import { randomBytes } from "node:crypto";
import { endsWithin } from "../concurrency/limit.ts";
import { OptionError } from "../errors.ts";
import type { QueueDef } from "../job/contract.ts";
import type { Logger } from "../log.ts";
import type { Connections } from "../redis/connection.ts";
import { claimPartitions, storedPartitions } from "../store/partitions.ts";
import { PutLane } from "../store/put.ts";
import { ReplicatedPuts, type Durability } from "../store/replicated-put.ts";
import { storedQueue, type StoredQueue } from "../store/stored-queue.ts";
import { HistoryKeeper } from "./history-keeper.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import type { OpenQueue } from "./open-queue.ts";
import { Partitions } from "./partitions.ts";
import { ResultWatcher } from "./result-watcher.ts";

/** How long closing waits for what is given back to reach Redis. */
const GIVE_BACK_MS = 1000;

export class OpenQueues {
  readonly #connections: Connections;
  readonly #prefix: string;
  readonly #log: Logger;
  readonly #ready: () => Promise<void>;
  readonly #durability: Durability;
  readonly #replicated = new Map<Connections, ReplicatedPuts>();
  readonly #producerId = randomBytes(9).toString("base64url");
  readonly #keeper: LeaseKeeper;
  readonly #history: HistoryKeeper;
  readonly #queues = new Map<string, { readonly queue: Partitions; readonly settings: QueueDef["options"] }>();
  readonly #warned = new Set<string>();
  #closed = false;

  /** @param ready  connects when nobody has yet */
  constructor(connections: Connections, prefix: string, log: Logger, ready: () => Promise<void>, durability: Durability) {
    this.#connections = connections;
    this.#durability = durability;
    this.#prefix = prefix;
    this.#log = log;
    this.#ready = ready;
    this.#keeper = new LeaseKeeper(connections, log);
    this.#history = new HistoryKeeper(log);
  }

  /** @throws OptionError when the queue is in use here with other settings */
  open({ name, options }: QueueDef): Partitions {
    const known = this.#queues.get(name);
    if (known === undefined) {
      const queue = this.#make(name, options);
      this.#queues.set(name, { queue, settings: options });
      return queue;
    }
    for (const setting of ["maxSize", "partitions"] as const) {
      const [here, given] = [known.settings[setting], options[setting]];
      if (here === given) continue;
      throw new OptionError(`expected one ${setting} for queue ${name}, got ${String(here)} and ${String(given)}; share one defineQueue(…) among its jobs`);
    }
    return known.queue;
  }

  /** Ends every wait, and gives back what is held by hand. Never throws. */
  async close(): Promise<void> {
    this.#closed = true;
    const queues = [...this.#queues.values()].flatMap(({ queue }) => queue.all);
    for (const { watcher } of queues) watcher.close();
    const givenBack = Promise.allSettled(queues.flatMap(({ consumers }) => [...consumers]).map((consumer) => consumer[Symbol.asyncDispose]()));
    await endsWithin(GIVE_BACK_MS, givenBack);
    await this.#history.close();
    await this.#keeper[Symbol.asyncDispose]();
  }

  #make(name: string, { maxSize = 0, partitions: count = 1 }: QueueDef["options"]): Partitions {
    const stored = storedQueue(this.#connections, this.#prefix, name);
    const spread = count === 1 ? [] : storedPartitions(stored, count);
    let claimed: Promise<void> | undefined;
    const ready = async (): Promise<void> => {
      await this.#ready();
      claimed ??= claimPartitions(stored, count).catch((error: unknown) => {
        claimed = undefined;
        throw error;
      });
      await claimed;
    };
    const each = spread.length === 0 ? maxSize : Math.ceil(maxSize / count);
    const plain = this.#openOne(stored, undefined, each, ready);
    const partitions = spread.map((partition) => {
      const open = async (): Promise<void> => {
        await Promise.all([ready(), partition.connections.open()]);
        this.#tellWarnings(partition.connections);
      };
      return this.#openOne(partition, plain, each, open);
    });
    return new Partitions(plain, partitions);
  }

  /** What is to be changed about the server of a partition, where it is another one. */
  #tellWarnings({ warnings }: Connections): void {
    for (const { sentence } of warnings) {
      if (this.#warned.has(sentence) || this.#connections.warnings.some((warned) => warned.sentence === sentence)) continue;
      this.#warned.add(sentence);
      this.#log.warn(sentence);
    }
  }

  #openOne(stored: StoredQueue, plain: OpenQueue | undefined, maxSize: number, ready: () => Promise<void>): OpenQueue {
    const isClosed = (): boolean => this.#closed;
    return {
      name: stored.name,
      stored,
      plain,
      lane: new PutLane(stored, this.#producerId, maxSize, ready),
      durableLane: new PutLane(stored, `${this.#producerId}.durable`, maxSize, ready, this.#replicatedAt(stored.connections)),
      watcher: new ResultWatcher(stored, ready),
      meter: this.#history.meter(stored),
      log: this.#log,
      leases: (leaseMs) => this.#keeper.of(stored, leaseMs),
      keepKeys: (keys) => this.#keeper.keepKeys(keys),
      consumers: new Set(),
      get closed() {
        return isClosed();
      },
      ready,
    };
  }

  #replicatedAt(connections: Connections): ReplicatedPuts {
    const replicated = this.#replicated.get(connections) ?? new ReplicatedPuts(connections, this.#durability);
    this.#replicated.set(connections, replicated);
    return replicated;
  }
}
