/**
 * The operator: what every admin function stands on. One Redis, one prefix, whether anything may be changed, and who
 * changes it.
 *
 * A function that changes something does it within `operator.change(…)`, which refuses it where only looking is allowed,
 * and writes it to the trail.
 */
import { hostname, userInfo } from "node:os";
import { NotFoundError, ReadOnlyError } from "../errors.ts";
import { definitionOf, defineQueue, type Job, type JobTypes } from "../job/contract.ts";
import { checkPrefix, checkQueueName } from "../job/name.ts";
import { rootLog, type Logger } from "../log.ts";
import { check, checkOptions, shown, suggest } from "../options.ts";
import type { OpenQueues } from "../queue/open-queues.ts";
import type { Partitions } from "../queue/partitions.ts";
import type { Queue } from "../queue/queue.ts";
import { Connections, type RedisOption } from "../redis/connection.ts";
import { queueExists } from "../store/count.ts";
import { countPartitions, partitionsOf } from "../store/partitions.ts";
import { queueNames } from "../store/queue-names.ts";
import { storedQueue, type StoredQueue } from "../store/stored-queue.ts";
import { note, recorded, type Change, type Touch } from "./recorded.ts";

export interface OperatorOptions {
  /** Where Redis is, as for `connect`. @default REDIS_URL */
  readonly redis?: RedisOption;
  /** What every key begins with. @default BullMQ's "bull" */
  readonly prefix?: string;
  /** Every change is refused with ReadOnlyError, before any I/O. @default false */
  readonly readOnly?: boolean;
  /** Who the trail names, 1 to 200 characters. @default user@host of this process */
  readonly who?: string;
  /** @default warnings and errors, to standard error */
  readonly log?: Logger;
}

const known = {
  redis: (value: unknown) => value as RedisOption,
  prefix: checkPrefix,
  readOnly: check.boolean(),
  who: check.string({ max: 200 }),
  log: (value: unknown) => value as Logger,
};

/** What a put of ours waits for with `durable`: it is the default of `connect`. */
const DURABILITY = { replicas: 1, timeoutMs: 1000 };

/**
 * An operator on one Redis. Synchronous and lazy: the first function that needs Redis connects.
 *
 * @throws NoRedisError when neither `redis` nor REDIS_URL nor REDIS_URL_FILE says where; OptionError
 */
export function connectOperator(options?: OperatorOptions): Operator {
  return new Operator(options);
}

export class Operator implements AsyncDisposable {
  readonly prefix: string;
  readonly readOnly: boolean;
  readonly who: string;
  readonly connections: Connections;
  readonly log: Logger;
  #queues: Promise<OpenQueues> | undefined;

  constructor(options?: OperatorOptions) {
    const { redis, prefix, readOnly = false, who = defaultWho(), log = rootLog() } = checkOptions("connectOperator", options, known);
    this.connections = new Connections(redis, process.env, prefix);
    this.prefix = this.connections.prefix;
    this.readOnly = readOnly;
    this.who = who;
    this.log = log;
  }

  /** Connects when nobody has yet. What is to be changed about the server `doctor` tells, and not every command. @throws BackendError within 5 s; PreflightError */
  async ready(): Promise<void> {
    await this.connections.open();
  }

  /** A queue as the store's verbs take it, whether or not it exists; `ready()` comes first. Does no I/O. @throws OptionError */
  queue(name: string): StoredQueue {
    return storedQueue(this.connections, this.prefix, checkQueueName(name));
  }

  /** A queue that exists. @throws NotFoundError naming one that does; OptionError; BackendError */
  async existing(name: string): Promise<StoredQueue> {
    const queue = this.queue(name);
    await this.ready();
    if (await queueExists(queue)) return queue;
    const near = suggest(name, await this.queueNames());
    const hint = near === undefined ? `nothing was ever put into it under the prefix ${shown(this.prefix)}` : `did you mean ${near}?`;
    throw new NotFoundError(`no queue is called ${shown(name)}: ${hint}`);
  }

  /** The names of all queues, in no order. @throws BackendError */
  async queueNames(): Promise<string[]> {
    await this.ready();
    const names: string[] = [];
    for await (const name of queueNames(this.connections.command, this.prefix)) names.push(name);
    return names;
  }

  /** Every queue of Redis that a queue is, itself first. @throws as `existing` */
  async parts(name: string): Promise<readonly StoredQueue[]> {
    const [, parts] = await Promise.all([this.existing(name), this.ready().then(() => partitionsOf(this.queue(name)))]);
    return parts;
  }

  /** A queue as producers and pools take it, in as many partitions as it is stored in. @throws OptionError; BackendError */
  async open(name: string): Promise<Partitions> {
    const stored = this.queue(name);
    await this.ready();
    const partitions = await countPartitions(stored);
    return (await this.#open()).open(defineQueue(name, partitions === 1 ? {} : { partitions }));
  }

  /** As `queueOf`, of a job that was made up for the name of its queue: in as many partitions as that is stored in. @throws OptionError; BackendError */
  async queueNamed<T extends JobTypes>(job: Job<T>): Promise<Queue<T>> {
    return asQueue(await this.open(job.queue), job);
  }

  /** The queue of a job, seen through its contract. Does not reach for Redis. @throws OptionError */
  async queueOf<T extends JobTypes>(job: Job<T>): Promise<Queue<T>> {
    return asQueue((await this.#open()).open(definitionOf(job as Job).queue), job);
  }

  /**
   * Does what changes something, and writes it to the trail: that it has begun, then how it ended.
   *
   * @param work  is given a function that tells what it has touched so far
   * @throws ReadOnlyError before any I/O; what `work` throws; BackendError
   */
  async change<T>(change: Change, work: (touch: Touch) => Promise<T>): Promise<T> {
    this.assertMayChange(change.command);
    await this.ready();
    return recorded(this, change, work);
  }

  /** For what does not go through `change`. @throws ReadOnlyError */
  assertMayChange(command: string): void {
    if (this.readOnly) throw new ReadOnlyError(`expected a command that only looks, since this operator is read-only, got ${command}`);
  }

  /** Writes to the trail what was added only: what would be lost with it is to be seen in Redis itself. Never throws. */
  async added(change: Change, touched: number): Promise<void> {
    if (touched > 0) await note(this, change, touched);
  }

  /** Ends every wait, and disconnects. Never throws. */
  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#queues)?.close();
    await this.connections.close();
  }

  /** What puts and takes jobs is most of what there is to load: who only looks does without. */
  #open(): Promise<OpenQueues> {
    this.#queues ??= import("../queue/open-queues.ts").then(({ OpenQueues }) => new OpenQueues(this.connections, this.prefix, this.log, () => this.ready(), DURABILITY));
    return this.#queues;
  }
}

async function asQueue<T extends JobTypes>(partitions: Partitions, job: Job<T>): Promise<Queue<T>> {
  const { Queue } = await import("../queue/queue.ts");
  return new Queue(partitions, job);
}

/** Who the trail names where nobody says it. */
export function defaultWho(): string {
  return `${userName()}@${hostname()}`;
}

/** A container may run as a user without a name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? "unknown");
  }
}
