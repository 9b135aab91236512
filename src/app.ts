/** The app: what one process knows of one Redis. Everything is reached from here, and everything ends with it. */
import { definitionOf, type Job, type JobTypes, type PutArgs } from "./job/contract.ts";
import type { Handler } from "./job/handler.ts";
import { checkPrefix } from "./job/name.ts";
import { rootLog, type Logger } from "./log.ts";
import { check, checkOptions, type Duration } from "./options.ts";
import { Pool, type PoolOptions } from "./pool/pool.ts";
import type { JobHandle } from "./queue/job-handle.ts";
import { OpenQueues } from "./queue/open-queues.ts";
import { Queue } from "./queue/queue.ts";
import { Connections, type RedisOption } from "./redis/connection.ts";
import type { Durability } from "./store/replicated-put.ts";
import { Barrier } from "./sync/barrier.ts";
import { Event, type EventOptions } from "./sync/event.ts";
import type { Hold } from "./sync/hold.ts";
import { Hub } from "./sync/hub.ts";
import { lock, type LockOptions } from "./sync/lock.ts";
import { Semaphore, type LeaseOptions } from "./sync/semaphore.ts";

export interface DurableOptions {
  readonly replicas?: number;
  readonly timeout?: Duration;
}

export interface ConnectOptions {
  /** A URL (`redis://`, `unix:`, `redis+sentinel://`, `redis+cluster://`), ioredis options, or `"embedded"` for a server of our own. @default REDIS_URL */
  readonly redis?: RedisOption;
  /** What every key begins with; on a cluster a hash tag, `{bull}`, by itself. @default BullMQ's "bull" */
  readonly prefix?: string;
  /**
   * What a put with `durable: true` waits for: so many replicas that have it, for so long (at most 4 s); then it throws
   * NotReplicatedError. @default { replicas: 1, timeout: "1s" }
   */
  readonly durable?: DurableOptions;
  /** Where the app logs. @default warnings and errors, to standard error */
  readonly log?: Logger;
}

/**
 * An app on one Redis. Synchronous and lazy, so a module may hold it: the first call that needs Redis connects.
 *
 * @throws NoRedisError when neither `redis` nor REDIS_URL nor REDIS_URL_FILE says where; OptionError
 */
export function connect(options?: ConnectOptions): App {
  return new App(options);
}

export class App implements AsyncDisposable {
  readonly #connections: Connections;
  readonly #queues: OpenQueues;
  readonly #log: Logger;
  readonly #pools = new Set<Pool>();
  readonly #hub: Hub;
  /** What is to be changed about the server is said once, whoever connects first. */
  #warned = false;

  constructor(options?: ConnectOptions) {
    const known = { redis: asItIs<RedisOption>, prefix: checkPrefix, durable: checkDurable, log: asItIs<Logger> };
    const { redis, prefix, durable = checkDurable({}), log } = checkOptions("connect", options, known);
    this.#connections = new Connections(redis, process.env, prefix);
    this.#log = log ?? rootLog();
    this.#queues = new OpenQueues(this.#connections, this.#connections.prefix, this.#log, () => this.ready(), durable);
    this.#hub = new Hub(this.#connections, this.#connections.prefix, this.#log, () => this.ready());
  }

  /** Where Redis is, for messages: holds no password. */
  get address(): string {
    return this.#connections.address;
  }

  /** What a power loss costs on this server, and a primary that is cut off, in one sentence; `undefined` until it is connected. */
  get durability(): string | undefined {
    return this.#connections.durability;
  }

  /** Whether a command could be sent to Redis now. A connection that has fallen silent counts until it is given up for dead. */
  get isConnected(): boolean {
    return this.#connections.isConnected;
  }

  /**
   * Connects, and looks whether the server is fit to hold jobs. Everything else does this by itself.
   *
   * @throws BackendError within 5 s; PreflightError
   */
  async ready(): Promise<void> {
    await this.#connections.open();
    if (this.#warned) return;
    this.#warned = true;
    for (const { sentence } of this.#connections.warnings) this.#log.warn(sentence);
  }

  /** As `app.queue(job).put(…)`. */
  put<T extends JobTypes>(job: Job<T>, ...args: PutArgs<T>): Promise<JobHandle<T>> {
    return this.queue(job).put(...args);
  }

  /** The queue of a job, seen through its contract. */
  queue<T extends JobTypes>(job: Job<T>): Queue<T> {
    return new Queue(this.#queues.open(definitionOf(job as Job).queue), job);
  }

  /** Starts a pool of these handlers. @throws OptionError */
  pool(handlers: readonly Handler[], options?: PoolOptions): Pool {
    const pool = new Pool(this.#queues, handlers, options, this.#log);
    this.#pools.add(pool);
    const forget = (): boolean => this.#pools.delete(pool);
    pool.done.then(forget, forget);
    return pool;
  }

  /**
   * Takes the lock of a key, across processes and machines, waiting for it behind all who came before. What it gives
   * releases it when it is disposed, has a fence that grows, and a signal that fires when the lock is lost.
   *
   * @throws OptionError before any I/O; TimeoutError; the signal's reason; BackendError
   */
  lock(key: string, options?: LockOptions): Promise<Hold> {
    return lock(this.#hub, key, options);
  }

  /** At most so many at once, across processes and machines. Does no I/O. @throws OptionError */
  semaphore(key: string, permits: number, options?: LeaseOptions): Semaphore {
    return new Semaphore(this.#hub, key, permits, options);
  }

  /** A flag to wait for, across processes and machines. Does no I/O. @throws OptionError */
  event(key: string, options?: EventOptions): Event {
    return new Event(this.#hub, key, options);
  }

  /** A place where so many wait for one another, across processes and machines. Does no I/O. @throws OptionError */
  barrier(key: string, parties: number, options?: LeaseOptions): Barrier {
    return new Barrier(this.#hub, key, parties, options);
  }

  /** Cancels the pools that are left, gives back what is held by hand, ends every wait, and disconnects. Never throws. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#pools].map((pool) => pool.cancel()));
    await Promise.all([this.#queues.close(), this.#hub.close()]);
    await this.#connections.close();
  }
}

function asItIs<T>(value: unknown): T {
  return value as T;
}

/** A `WAIT` is a command, and one of them may take 4.5 s in all. */
const durableOptions = { replicas: check.integer({ min: 1 }), timeout: check.duration({ min: 1, max: 4000 }) };

function checkDurable(value: unknown): Durability {
  const { replicas = 1, timeout = 1000 } = checkOptions("durable of connect", value, durableOptions);
  return { replicas, timeoutMs: timeout };
}
