/**
 * Waits for jobs to end: events wake, state is the truth.
 *
 * One reader of the queue's event stream serves everybody who waits in this process. An event only says which job to
 * look at; whatever an event may have missed (a trimmed stream, a lost connection) a look every second finds.
 */
import type { Redis } from "ioredis";
import { BackendError } from "../errors.ts";
import { inspectJobs, type JobReport } from "../store/inspect.ts";
import type { StoredQueue } from "../store/stored-queue.ts";

/** How a job ended, or that it is not there. */
export type Ending = Extract<JobReport, { state: "completed" | "failed" | "cancelled" | "removed" }>;

const LOOK_EVERY_MS = 1000;
const BLOCK_MS = 1000;
const RETRY_MS = 250;

export class ResultWatcher {
  readonly #queue: StoredQueue;
  readonly #waiting = new Map<string, Set<(ending: Ending) => void>>();
  #unseen = new Set<string>();
  #looking = false;
  #reading: Promise<void> | undefined;
  #client: Redis | undefined;
  #closed = false;

  constructor(queue: StoredQueue) {
    this.#queue = queue;
  }

  /**
   * Resolves when the job has ended or is not there.
   *
   * @throws the signal's reason when it fires first; BackendError when the app is closed
   */
  ending(id: string, signal: AbortSignal | undefined): Promise<Ending> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#closed) throw new BackendError("the app was closed", { mayHaveRun: false });
      const waiting = this.#waiting.get(id) ?? new Set();
      const stop = (): void => {
        signal?.removeEventListener("abort", giveUp);
        waiting.delete(settle);
        if (waiting.size === 0 && this.#waiting.get(id) === waiting) this.#waiting.delete(id);
      };
      const settle = (ending: Ending): void => {
        stop();
        resolve(ending);
      };
      const giveUp = (): void => {
        stop();
        reject(signal?.reason as Error);
      };
      signal?.addEventListener("abort", giveUp, { once: true });
      waiting.add(settle);
      this.#waiting.set(id, waiting);
      this.#look(id);
    });
  }

  close(): void {
    this.#closed = true;
    this.#client?.disconnect();
  }

  /** Looks at the job's state together with all others that are asked about in this turn. */
  #look(id: string): void {
    this.#unseen.add(id);
    if (this.#looking) return;
    this.#looking = true;
    setImmediate(async () => {
      this.#looking = false;
      const ids = [...this.#unseen];
      this.#unseen = new Set();
      await this.#inspect(ids).catch(() => {});
      if (this.#waiting.size > 0 && !this.#closed) this.#reading ??= this.#read();
    });
  }

  async #inspect(ids: readonly string[]): Promise<void> {
    const reports = await inspectJobs(this.#queue, ids);
    reports.forEach((report, i) => {
      if (report.state === "completed" || report.state === "failed" || report.state === "cancelled" || report.state === "removed") {
        this.#settle(ids[i]!, report);
      }
    });
  }

  #settle(id: string, ending: Ending): void {
    for (const settle of [...(this.#waiting.get(id) ?? [])]) settle(ending);
  }

  /** Reads events while anybody waits. */
  async #read(): Promise<void> {
    let lastId: string | undefined;
    let lookedAt = 0;
    while (this.#waiting.size > 0 && !this.#closed) {
      try {
        // Before the look, so that what ends between the two is seen by one of them.
        lastId ??= await this.#lastEventId();
        if (performance.now() - lookedAt >= LOOK_EVERY_MS) {
          lookedAt = performance.now();
          await this.#inspect([...this.#waiting.keys()]);
          if (this.#waiting.size === 0) break;
        }
        this.#client ??= this.#queue.connections.dedicated(`results:${this.#queue.name}`, { blockMs: BLOCK_MS });
        const reply = await this.#client.xread("COUNT", 1000, "BLOCK", BLOCK_MS, "STREAMS", this.#queue.keys.events, lastId);
        const events = reply?.[0]?.[1] ?? [];
        lastId = events.at(-1)?.[0] ?? lastId;
        await this.#follow(events.map(([, fields]) => fields));
      } catch {
        if (this.#closed) break;
        lastId = undefined;
        lookedAt = 0;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
    this.#client?.disconnect();
    this.#client = undefined;
    this.#reading = undefined;
    if (this.#waiting.size > 0 && !this.#closed) this.#reading = this.#read();
  }

  async #follow(events: readonly (readonly string[])[]): Promise<void> {
    const ended = new Map<string, Ending | undefined>();
    for (const fields of events) {
      const event = new Map<string, string>();
      for (let i = 0; i + 1 < fields.length; i += 2) event.set(fields[i]!, fields[i + 1]!);
      const id = event.get("jobId");
      if (id === undefined || !this.#waiting.has(id)) continue;
      // A job that is not kept (`removeOnComplete: true`) leaves its result here and nowhere else.
      if (event.get("event") === "completed") ended.set(id, { state: "completed", result: event.get("returnvalue") });
      else if (event.get("event") === "failed" || event.get("event") === "removed") ended.set(id, undefined);
    }
    if (ended.size === 0) return;
    const ids = [...ended.keys()];
    const reports = await inspectJobs(this.#queue, ids);
    reports.forEach((report, i) => {
      const id = ids[i]!;
      const ending = report.state === "removed" ? (ended.get(id) ?? report) : report;
      if (ending.state === "completed" || ending.state === "failed" || ending.state === "cancelled" || ending.state === "removed") this.#settle(id, ending);
    });
  }

  async #lastEventId(): Promise<string> {
    const [last] = await this.#queue.client.xrevrange(this.#queue.keys.events, "+", "-", "COUNT", 1);
    return last?.[0] ?? "0-0";
  }
}
