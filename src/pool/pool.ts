/**
 * A pool: all consumers of one process. It is a task, and a task group of consumers and of the deliveries they run; its
 * slots are a semaphore; it ends phase by phase.
 */
import { hostname } from "node:os";
import { startTask, taskGroup, type TaskGroup } from "../concurrency/index.ts";
import { newPoolId } from "../control/pool-id.ts";
import type { PoolDump } from "../control/verbs.ts";
import { BackendError, CancelledError, OptionError } from "../errors.ts";
import { definitionOf, type Job } from "../job/contract.ts";
import { EVERY_NAME } from "../job/every-name.ts";
import type { Handler } from "../job/handler.ts";
import type { Logger } from "../log.ts";
import { shown } from "../options.ts";
import { UNKNOWN_FOR_MS } from "../queue/admission.ts";
import type { OpenQueues } from "../queue/open-queues.ts";
import type { Partitions } from "../queue/partitions.ts";
import { persevere } from "../queue/persevere.ts";
import { RECOVERY } from "../queue/recoverer.ts";
import type { DeliveredTask } from "../queue/delivered-task.ts";
import { sharedMarkers } from "../store/marker-wait.ts";
import { publish } from "../telemetry/channels.ts";
import { BlockedLoop } from "./blocked-loop.ts";
import { Consumer } from "./consumer.ts";
import { Fetching } from "./fetching.ts";
import { POOL_DEFAULTS as DEFAULTS, checkConcurrency, checkPoolOptions, checkStopOptions, type PoolOptions, type StopOptions } from "./pool-options.ts";
import { Runnables } from "./runnables.ts";
import { factsOf } from "./self-description.ts";
import { PoolSlots, Slots } from "./slots.ts";
import { Steering, type PoolHost } from "./steering.ts";
import { Stopping } from "./stopping.ts";
import { StuckTasks, type StuckTask } from "./stuck-tasks.ts";
import type { WorkerState } from "./supervision.ts";
import { ThreadedHandler } from "./threaded-handler.ts";

export type { PoolOptions, StopOptions };

/** Cancelling the task that it is, as `run` does with all that its program leaves behind, is `cancel()`. */
export class Pool implements AsyncDisposable {
  /** Settles when the pool has ended; rejects when it could not begin: the server is not fit, or the app closed. */
  readonly done: Promise<void>;
  /** Of this pool alone: what operators call it by. */
  readonly id = newPoolId();
  readonly #consumers: readonly Consumer[];
  readonly #threaded: readonly ThreadedHandler[];
  readonly #name: string;
  #told: WorkerState = "starting";
  readonly #log: Logger;
  readonly #stuck: StuckTasks;
  readonly #loop: BlockedLoop;
  readonly #slots: PoolSlots;
  readonly #fetching = new Fetching();
  /** What runs has ended, or has been given back. */
  readonly #ended = new AbortController();
  readonly #stopping: Stopping;
  readonly #steering: Steering;
  readonly #consuming = Promise.withResolvers<void>();
  #isConsuming = false;

  /** Starts at once; connects when it can. @throws OptionError */
  constructor(queues: OpenQueues, handlers: readonly Handler[], options: PoolOptions | undefined, log: Logger) {
    const { concurrency, name, lease, recovery = "normal", unknownFor, grace } = checkPoolOptions(options);
    const byQueue = groupByQueue(queues, handlers);
    const running = [...byQueue.values()].flatMap((runnables) => [...runnables.values()]).map(({ handler }) => handler);
    const count = concurrency ?? running.reduce((sum, handler) => sum + (handler.concurrency ?? DEFAULTS.handlerConcurrency), 0);
    this.#name = name ?? `${hostname()}:${process.pid}`;
    this.#log = log;
    this.#stuck = new StuckTasks(log);
    const tasks = (): DeliveredTask[] => this.#consumers.flatMap(({ running: tasksOfOne }) => [...tasksOfOne]);
    this.#loop = new BlockedLoop(tasks, log);
    this.#stopping = new Stopping({ tasks, open: () => this.#sum(({ open }) => open) }, log);
    this.#slots = new PoolSlots(count);
    const shared = {
      leaseMs: lease ?? RECOVERY[recovery].leaseMs,
      roundMs: RECOVERY[recovery].roundMs,
      worker: this.#name,
      onEnd: () => this.#stopping.look(),
      loop: this.#loop,
      rules: { unknownForMs: unknownFor ?? UNKNOWN_FOR_MS, graceMs: grace ?? DEFAULTS.graceMs, stuck: this.#stuck, log },
      log,
    };
    const isOnly = [...byQueue.keys()].flatMap((queue) => queue.all).length === 1;
    this.#threaded = running.filter((handler) => handler instanceof ThreadedHandler);
    this.#consumers = [...byQueue].flatMap(([queue, runnables]) => {
      const slots = new Slots(runnables, this.#slots);
      const markersOf = sharedMarkers();
      return queue.all.map((partition) => new Consumer(partition, runnables, { ...shared, slots, isOnly, markers: markersOf(partition.stored) }));
    });
    this.#steering = new Steering(this, factsOf(this.id, this.#name, this.#consumers, running), log);
    this.done = this.#live();
    // Whoever waits for `done` sees the error; a pool that nobody waits for must not end the process by it.
    this.done.catch((error: unknown) => log.error({ err: error }, "the pool has ended by an error"));
  }

  /** Resolves when it begins to take jobs, if it ever does. */
  get ready(): Promise<void> {
    return this.#consuming.promise;
  }

  /** How many tasks may run at once; more do for a while after `scale` has lowered it. */
  get concurrency(): number {
    return this.#slots.count;
  }

  /** How many tasks run now. */
  get running(): number {
    return this.#sum(({ running }) => running.size);
  }

  /** How many deliveries it has brought to an end, whatever end that was. */
  get ended(): number {
    return this.#sum(({ ended }) => ended);
  }

  /** How many results and errors of handlers came to nothing, because their job was somebody else's by then. */
  get refused(): number {
    return this.#sum(({ refused }) => refused);
  }

  get state(): WorkerState {
    if (this.#ended.signal.aborted) return "stopped";
    if (this.#stopping.begun) return "draining";
    if (!this.#isConsuming) return "starting";
    return this.#fetching.isQuiet ? "quiet" : "ready";
  }

  /** Handlers that were told to end, were waited for, and run on: only the end of the process ends them. */
  get stuck(): readonly StuckTask[] {
    return this.#stuck.list();
  }

  /** Stops fetching, until it is resumed or stopped; what runs goes on. */
  quiet(): void {
    this.#fetching.quiet();
    this.#tellState();
  }

  /** Takes jobs again. @throws StateError when it was told to stop */
  resume(): void {
    this.#fetching.resume();
    this.#tellState();
  }

  /**
   * So many tasks at once from now on. Those that run beyond it run on; a turn that a job has alone is waited for.
   *
   * @param concurrency  at least 1; a handler's own concurrency holds beside it
   * @throws OptionError
   */
  scale(concurrency: number): void {
    this.#slots.resize(checkConcurrency(concurrency, "the concurrency of a pool"));
    this.#steering.changed();
  }

  /** What it and its process are doing: each task, where it waits (in debug mode), the event loop, the memory. */
  dump(): PoolDump {
    return this.#steering.dump();
  }

  /** A process that is there for this pool alone does in its place what concerns processes, and is told of its changes. */
  hostedBy(host: PoolHost): void {
    this.#steering.hostedBy(host);
  }

  /**
   * Stops fetching, lets what runs finish for `drain`, then interrupts it, and after `grace` gives back what is left, no
   * attempt spent; then waits for Redis, for `flush`. Called again with shorter times it hurries.
   *
   * @throws OptionError; what ended the pool, if that was an error
   */
  async stop(options?: StopOptions): Promise<void> {
    const { drain = DEFAULTS.drainMs, grace = DEFAULTS.stopGraceMs, flush = DEFAULTS.flushMs } = checkStopOptions(options);
    this.#fetching.end();
    if (!this.#ended.signal.aborted) this.#stopping.begin({ drainMs: drain, graceMs: grace, flushMs: flush });
    this.#tellState();
    await this.done;
  }

  /** Interrupts what runs at once; `stop` without the drain. */
  cancel(): Promise<void> {
    return this.stop({ drain: 0 });
  }

  /** As `cancel()`; an error that ended the pool has been logged and is not thrown. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.cancel().catch(() => {});
  }

  async #live(): Promise<void> {
    try {
      // A task of its own: what cancels the code that made the pool does not cut its deliveries short.
      await startTask((task) => this.#run(task.signal), { name: "pool" });
    } catch (error) {
      if (!(error instanceof CancelledError)) throw error;
    } finally {
      this.#ended.abort();
      this.#stopping.end();
      this.#tellState();
      // Not waited for: a thread within a native call ends only when that does.
      for (const handler of this.#threaded) void handler[Symbol.asyncDispose]();
    }
  }

  async #run(cancelled: AbortSignal): Promise<void> {
    cancelled.addEventListener("abort", () => void this.cancel().catch(() => {}), { once: true });
    if (!(await this.#isConnected())) return;
    const consumed = taskGroup((group) => this.#consume(group)).then(() => true);
    if (await Promise.race([consumed, this.#stopping.late.then(() => false)])) return;
    for (const consumer of this.#consumers) consumer.giveUp();
    this.#log.warn("the pool has ended without an answer from Redis: what it held runs again when its leases have run out");
  }

  /** Connects when it can; `false` when it is to end first. */
  async #isConnected(): Promise<boolean> {
    const { over: signal } = this.#fetching;
    const onFailure = (error: unknown): void => {
      if (!(error instanceof BackendError) || this.#consumers[0]!.queue.closed) throw error;
      this.#log.warn({ err: error }, "cannot connect to Redis, trying again");
    };
    const isOver = new Promise<boolean>((resolve) => signal.addEventListener("abort", () => resolve(false), { once: true }));
    const connected = persevere(() => Promise.all(this.#consumers.map((consumer) => consumer.ready())).then(() => true), { signal, onFailure });
    return (await Promise.race([connected, isOver])) ?? false;
  }

  async #consume(group: TaskGroup): Promise<void> {
    this.#isConsuming = true;
    this.#consuming.resolve();
    this.#tellState();
    const { signal } = this.#ended;
    this.#loop.watch(signal);
    this.#steering.begin();
    for (const consumer of this.#consumers) {
      consumer.watchCancels(signal);
      group.startTask(() => consumer.recover(signal), { name: `recoverer of ${consumer.queue.name}` });
    }
    try {
      await taskGroup(async (deliveries) => {
        for (const consumer of this.#consumers) {
          deliveries.startTask(() => this.#fetching.keepOn((quiet) => consumer.run(deliveries, quiet)), { name: `consumer of ${consumer.queue.name}` });
        }
      });
    } finally {
      this.#ended.abort();
      await this.#steering.end();
    }
  }

  #tellState(): void {
    const { state } = this;
    if (state === this.#told) return;
    this.#told = state;
    this.#steering.changed();
    publish("millrace:pool:state", () => ({ pool: this.#name, state }));
  }

  #sum(count: (consumer: Consumer) => number): number {
    return this.#consumers.reduce((sum, consumer) => sum + count(consumer), 0);
  }
}

function groupByQueue(queues: OpenQueues, handlers: readonly Handler[]): Map<Partitions, Runnables> {
  if (!Array.isArray(handlers) || handlers.length === 0) throw new OptionError(`expected at least one handler for a pool, got ${shown(handlers)}`);
  const byQueue = new Map<Partitions, Runnables>();
  for (const handler of handlers as readonly (Partial<Handler> | null | undefined)[]) {
    if (typeof handler?.run !== "function") throw new OptionError(`expected handlers made by defineHandler for a pool, got ${shown(handler)}`);
    const definition = definitionOf(handler.job as Job);
    const queue = queues.open(definition.queue);
    const runnables = byQueue.get(queue) ?? new Runnables();
    if (runnables.has(definition.name)) throw new OptionError(`expected one handler a job, got two for ${definition.name === EVERY_NAME ? "every job" : `job ${definition.name}`} of queue ${queue.name}`);
    const { threads } = handler;
    runnables.set(definition.name, { handler: threads === undefined ? (handler as Handler) : new ThreadedHandler(handler as Handler, threads), definition });
    byQueue.set(queue, runnables);
  }
  return byQueue;
}
