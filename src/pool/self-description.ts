/** A pool as operators see it: what is registered of it every other second, and the dump that is made when one is asked for. */
import { hostname } from "node:os";
import { instant } from "../concurrency/thread-clock.ts";
import { taskReport } from "../concurrency/task-report.ts";
import { boundedTasks, bounded, cut, type LastError, type PoolEntry, type RunningTask } from "../control/pool-entry.ts";
import type { DumpedTask, PoolDump } from "../control/verbs.ts";
import { packageVersion } from "../control/version.ts";
import type { Handler } from "../job/handler.ts";
import type { Connections } from "../redis/connection.ts";
import type { DeliveredTask } from "../queue/delivered-task.ts";
import type { OpenQueue } from "../queue/open-queue.ts";
import type { Consumer } from "./consumer.ts";
import type { LoopDelay } from "./loop-delay.ts";
import type { StuckTask } from "./stuck-tasks.ts";
import type { WorkerState } from "./supervision.ts";

/** What a pool shows of itself to everybody. */
export interface DescribedPool {
  readonly state: WorkerState;
  readonly concurrency: number;
  readonly running: number;
  readonly ended: number;
  readonly stuck: readonly StuckTask[];
}

/** What it knows besides. */
export interface PoolFacts {
  readonly id: string;
  readonly name: string;
  readonly connections: Connections;
  readonly keepKeys: OpenQueue["keepKeys"];
  readonly queues: readonly string[];
  /** How many slots its handlers can use, by their own concurrency. */
  readonly mostUsable: number;
  readonly tasks: () => Iterable<{ readonly queue: string; readonly task: DeliveredTask }>;
  readonly lastError: () => LastError | undefined;
}

export function factsOf(id: string, name: string, consumers: readonly Consumer[], handlers: readonly Pick<Handler, "concurrency">[]): PoolFacts {
  const { queue: first } = consumers[0]!;
  return {
    id,
    name,
    connections: first.stored.connections,
    keepKeys: first.keepKeys,
    queues: [...new Set(consumers.map(({ queue }) => queue.name))],
    mostUsable: handlers.reduce((sum, { concurrency = Infinity }) => sum + concurrency, 0),
    tasks: () => consumers.flatMap(({ queue, running }) => Array.from(running, (task) => ({ queue: queue.name, task }))),
    lastError: () => consumers.map(({ lastError }) => lastError).reduce((one, other) => ((other?.at ?? 0) > (one?.at ?? 0) ? other : one)),
  };
}

/** Under a supervisor. */
export interface Place {
  readonly supervisor: number;
  readonly place: number;
}

/** Frames that are told of where one task waits. */
const MOST_FRAMES = 8;

export class SelfDescription {
  readonly #pool: DescribedPool;
  readonly #facts: PoolFacts;
  readonly #delay: LoopDelay;
  /** By the server's clock, once that is known. */
  startedAt: number;
  place: Place | undefined;

  constructor(pool: DescribedPool, facts: PoolFacts, delay: LoopDelay) {
    this.#pool = pool;
    this.#facts = facts;
    this.#delay = delay;
    this.startedAt = this.#now;
  }

  entry(): PoolEntry {
    this.#delay.take();
    return this.#entry();
  }

  tasks(): RunningTask[] {
    const { stuck } = this.#pool;
    const [now, at, today] = [this.#now, instant(), Date.now()];
    const running = Array.from(this.#facts.tasks(), ({ queue, task }) => ({ ...partOf(task), queue, startedAt: Math.round(now - (at - task.askedAt)) }));
    const left = stuck.map(({ since, ...stuckTask }) => ({ ...stuckTask, startedAt: now - (today - since.getTime()), progress: null, interruption: "it ignores its signal", stuck: true }));
    return [...running, ...left];
  }

  dump(): PoolDump {
    const { debug, tasks } = taskReport();
    const waitsAt = new Map(tasks.map((task) => [task.name, task.waitsAt]));
    const { heapUsed, heapTotal, external, rss } = process.memoryUsage();
    const { heap_size_limit: heapLimitBytes } = process.getBuiltinModule("node:v8").getHeapStatistics();
    const dumped = (task: RunningTask): DumpedTask => ({ ...task, waitsAt: waitsAt.get(`${task.name} ${task.id}`)?.slice(0, MOST_FRAMES).map((frame) => cut(frame)) ?? null });
    return {
      pool: bounded(this.#entry()),
      at: this.#now,
      uptimeMs: Math.round(process.uptime() * 1000),
      node: process.version,
      debug,
      tasks: boundedTasks(this.tasks()).map(dumped),
      eventLoop: { delayMs: this.#delay.last, utilization: Number(performance.eventLoopUtilization().utilization.toFixed(3)) },
      memory: { rssBytes: rss, heapUsedBytes: heapUsed, heapTotalBytes: heapTotal, heapLimitBytes, externalBytes: external },
      resources: counted(process.getActiveResourcesInfo()),
    };
  }

  /** The server's time. */
  get #now(): number {
    return this.#facts.connections.clock.now();
  }

  #entry(): PoolEntry {
    const { id, name, queues, lastError } = this.#facts;
    const { state, concurrency, running, stuck, ended } = this.#pool;
    return {
      id,
      name,
      host: hostname(),
      pid: process.pid,
      version: packageVersion(),
      supervisor: this.place?.supervisor ?? null,
      place: this.place?.place ?? null,
      state: state === "stopped" ? "draining" : state,
      queues,
      slots: concurrency,
      running,
      stuck: stuck.length,
      ended,
      rssBytes: process.memoryUsage.rss(),
      loopDelayMs: this.#delay.last,
      lastError: lastError() ?? null,
      clockOffMs: this.#now - Date.now(),
      startedAt: this.startedAt,
    };
  }
}

function partOf({ id, name, attempt, told, interruption }: DeliveredTask) {
  return { id, name, attempt, progress: told ?? null, interruption: interruption?.message ?? null, stuck: false };
}

function counted(kinds: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of kinds) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}
