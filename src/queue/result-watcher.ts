/**
 * Waits for jobs to end: events wake, state is the truth.
 *
 * One reader of the queue's event stream serves everybody who waits in this process. An event only says which job to
 * look at; whatever an event may have missed (a trimmed stream, a lost or silent connection) a look at all of them finds,
 * which comes every 750 ms whether or not the reader gets anywhere. An outage of Redis only prolongs a wait.
 */
import type { Redis } from "ioredis";
import { sleep } from "../concurrency/sleep.ts";
import { startTimer } from "../concurrency/timer.ts";
import { BackendError } from "../errors.ts";
import { asBackendError } from "../redis/errors.ts";
import { inspectJobs } from "../store/inspect.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import { endingsInTrail, readEvent, type Ending } from "./event-trail.ts";

interface Waiter {
  settle(ending: Ending): void;
  fail(error: unknown): void;
  /** There may be news of the job, though it has not ended. */
  readonly stir: (() => void) | undefined;
}

const LOOK_EVERY_MS = 750;
const BLOCK_MS = 1000;
const RETRY_MS = 250;
const ENDS: ReadonlySet<string | undefined> = new Set(["completed", "failed", "removed"]);

export class ResultWatcher {
  readonly #queue: StoredQueue;
  readonly #ready: () => Promise<void>;
  readonly #waiting = new Map<string, Set<Waiter>>();
  #unseen = new Set<string>();
  #looking = false;
  #watching = false;
  #reading = false;
  /** Kept while nobody waits: the next one who does shall not wait for a connection as well. */
  #client: Redis | undefined;
  #closed = false;

  /** @param ready  connects when nobody has yet */
  constructor(queue: StoredQueue, ready: () => Promise<void>) {
    this.#queue = queue;
    this.#ready = ready;
  }

  /**
   * Resolves when the job has ended or is not there.
   *
   * @param stir  called when the job has told of its progress, and now and then
   * @throws the signal's reason when it fires first; BackendError when the app is closed; what a look throws that is no outage
   */
  ending(id: string, signal: AbortSignal | undefined, stir?: () => void): Promise<Ending> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#closed) throw closedError();
      const stop = (): void => {
        signal?.removeEventListener("abort", giveUp);
        waiting.delete(waiter);
        if (waiting.size === 0) this.#waiting.delete(id);
      };
      const giveUp = (): void => waiter.fail(signal?.reason);
      const waiter: Waiter = {
        settle: (ending) => (stop(), resolve(ending)),
        fail: (error) => (stop(), reject(error)),
        stir,
      };
      const waiting = this.#waiting.get(id) ?? new Set<Waiter>();
      this.#waiting.set(id, waiting.add(waiter));
      signal?.addEventListener("abort", giveUp, { once: true });
      this.#look(id);
    });
  }

  close(): void {
    this.#closed = true;
    this.#failAll(closedError());
  }

  /** Looks at the job's state together with all others that are asked about in this turn. */
  #look(id: string): void {
    this.#unseen.add(id);
    if (this.#looking) return;
    this.#looking = true;
    setImmediate(() => void this.#lookNow());
  }

  async #lookNow(): Promise<void> {
    this.#looking = false;
    const ids = [...this.#unseen];
    this.#unseen = new Set();
    await this.#persist(() => this.#inspect(ids));
    if (!this.#watching) void this.#watch();
    if (!this.#reading) void this.#read();
  }

  /** Looks at all who are waited for, while there are any. Never rejects. */
  async #watch(): Promise<void> {
    this.#watching = true;
    while (this.#waiting.size > 0) {
      // What waits is kept alive by its connection; after it nothing is to be waited for.
      await new Promise<void>((resolve) => void startTimer(LOOK_EVERY_MS, resolve, { keepsAlive: false }));
      await this.#persist(() => this.#inspectAll());
      for (const waiters of this.#waiting.values()) for (const waiter of waiters) waiter.stir?.();
    }
    this.#watching = false;
  }

  /** Reads events while anybody waits. Never rejects. */
  async #read(): Promise<void> {
    this.#reading = true;
    let position: string | undefined;
    while (this.#waiting.size > 0) {
      const went = await this.#persist(async () => {
        if (position === undefined) {
          // Before the look, so that what ends between the two is seen by one of them.
          position = await this.#lastEventId();
          await this.#inspectAll();
        }
        if (this.#waiting.size > 0) position = await this.#follow(position);
      });
      if (went) continue;
      position = undefined;
      await sleep(RETRY_MS);
    }
    this.#reading = false;
  }

  /** Whether it went well. An outage is waited out; any other trouble is told to everybody who waits. */
  async #persist(work: () => Promise<void>): Promise<boolean> {
    try {
      await this.#ready();
      await work();
      return true;
    } catch (thrown) {
      const error = thrown instanceof Error ? asBackendError(thrown) : thrown;
      if (!(error instanceof BackendError)) this.#failAll(error);
      return false;
    }
  }

  /** Waits for events after this position, and looks at the jobs that they say have ended. Returns the new position. */
  async #follow(position: string): Promise<string> {
    this.#client ??= this.#queue.connections.dedicated(`results:${this.#queue.name}`, { blockMs: BLOCK_MS });
    const reply = await this.#client.xread("COUNT", 1000, "BLOCK", BLOCK_MS, "STREAMS", this.#queue.keys.events, position);
    const entries = reply?.[0]?.[1] ?? [];
    const ended = new Set<string>();
    for (const [, fields] of entries) {
      const event = readEvent(fields);
      const id = event.get("jobId") ?? "";
      if (!this.#waiting.has(id)) continue;
      if (ENDS.has(event.get("event"))) ended.add(id);
      else if (event.get("event") === "progress") for (const waiter of this.#waiting.get(id) ?? []) waiter.stir?.();
    }
    await this.#inspect([...ended]);
    return entries.at(-1)?.[0] ?? position;
  }

  #inspectAll(): Promise<void> {
    return this.#inspect([...this.#waiting.keys()]);
  }

  async #inspect(ids: readonly string[]): Promise<void> {
    const reports = await inspectJobs(this.#queue, ids);
    const gone = ids.filter((_, i) => reports[i]!.state === "removed");
    const trail = gone.length === 0 ? undefined : await endingsInTrail(this.#queue, gone);
    reports.forEach((report, i) => {
      const id = ids[i]!;
      if (report.state === "removed") this.#settle(id, trail?.get(id) ?? report);
      else if (report.state === "completed" || report.state === "failed" || report.state === "cancelled") this.#settle(id, report);
    });
  }

  #settle(id: string, ending: Ending): void {
    for (const waiter of this.#waiting.get(id) ?? []) waiter.settle(ending);
  }

  #failAll(error: unknown): void {
    for (const waiters of this.#waiting.values()) for (const waiter of waiters) waiter.fail(error);
  }

  async #lastEventId(): Promise<string> {
    const [last] = await this.#queue.client.xrevrange(this.#queue.keys.events, "+", "-", "COUNT", 1);
    return last?.[0] ?? "0-0";
  }
}

function closedError(): BackendError {
  return new BackendError("the app was closed", { mayHaveRun: false });
}
