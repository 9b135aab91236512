/**
 * Puts jobs into one queue. What is put in one turn of the event loop goes out in one script; order holds.
 *
 * Every put ends within its deadline: acknowledged, refused, or with an error that says whether the job may exist.
 * A batch whose reply was lost is sent again under its number, which adds nothing the second time (`put-script.ts`).
 */
import { once } from "node:events";
import { sleep } from "../concurrency/sleep.ts";
import { BackendError, EnqueueTimeoutError, QueueFullError } from "../errors.ts";
import { PutNumbers } from "./put-numbers.ts";
import { putJobs, type NewJob, type PutReply } from "./put-script.ts";
import type { StoredQueue } from "./stored-queue.ts";

export type { NewJob } from "./put-script.ts";

/** How long a put may take before it is reported as unanswered, not counting the wait for room. */
const DEADLINE_MS = 5000;
/** A script holds Redis while it runs: about 10 us a job. */
const BATCH_JOBS = 250;
const BATCH_BYTES = 1 << 20;
const ROOM_CHECK_MS = { first: 10, longest: 250 };
const RESEND_PAUSE_MS = 50;

interface Entry {
  readonly job: NewJob;
  /** Full: wait for room, or be refused. */
  readonly waits: boolean;
  readonly signal: AbortSignal | undefined;
  resolve(added: boolean): void;
  reject(error: unknown): void;
}

export class PutLane {
  readonly #queue: StoredQueue;
  readonly #producerId: string;
  readonly #maxSize: number;
  readonly #numbers = new PutNumbers();
  #entries: Entry[] = [];
  #scheduled = false;
  #bounded: Promise<void> | undefined;

  /**
   * @param producerId  this process's own; two lanes of one queue must not share it
   * @param maxSize     most jobs that may wait in the queue; 0 is no bound
   */
  constructor(queue: StoredQueue, producerId: string, maxSize: number) {
    this.#queue = queue;
    this.#producerId = producerId;
    this.#maxSize = maxSize;
  }

  /**
   * @param options.waits   whether it waits for room in a full queue, or throws QueueFullError
   * @param options.signal  ends the wait for room; what was sent already is not called back
   * @returns whether the job was added: `false` when its id was there already
   */
  put(job: NewJob, options: { readonly waits: boolean; readonly signal?: AbortSignal | undefined }): Promise<boolean> {
    const { signal } = options;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      this.#entries.push({ job, waits: options.waits, signal, resolve, reject });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled || this.#bounded !== undefined) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#maxSize > 0) this.#bounded = this.#flushBounded();
      else while (this.#entries.length > 0) void this.#send(this.#take(BATCH_JOBS));
    });
  }

  /** One batch at a time, so that nobody overtakes who waits for room. */
  async #flushBounded(): Promise<void> {
    let room = BATCH_JOBS;
    let pauseMs = ROOM_CHECK_MS.first;
    while (this.#entries.length > 0) {
      const batch = this.#take(Math.max(1, Math.min(room, BATCH_JOBS)));
      const reply = await this.#send(batch);
      if (reply?.state !== "full") {
        pauseMs = ROOM_CHECK_MS.first;
        room = BATCH_JOBS;
        continue;
      }
      room = reply.room;
      if (room === 0) this.#refuse(batch);
      this.#entries = [...batch.filter((entry) => room > 0 || entry.waits), ...this.#entries];
      if (room > 0 || this.#entries.length === 0) continue;
      await sleep(pauseMs);
      pauseMs = Math.min(pauseMs * 2, ROOM_CHECK_MS.longest);
      room = 1;
    }
    this.#bounded = undefined;
  }

  #refuse(batch: readonly Entry[]): void {
    for (const { waits, reject } of batch) {
      if (!waits) reject(new QueueFullError(`queue ${this.#queue.name} is full: ${this.#maxSize} jobs wait; put() waits for room`));
    }
  }

  /** Takes the next entries out, and lets go of those whose caller has gone. */
  #take(most: number): Entry[] {
    const batch: Entry[] = [];
    let bytes = 0;
    let taken = 0;
    for (const entry of this.#entries) {
      if (batch.length === most || (batch.length > 0 && bytes + entry.job.data.length > BATCH_BYTES)) break;
      taken += 1;
      if (entry.signal?.aborted) {
        entry.reject(entry.signal.reason);
        continue;
      }
      batch.push(entry);
      bytes += entry.job.data.length;
    }
    this.#entries = taken === this.#entries.length ? [] : this.#entries.slice(taken);
    return batch;
  }

  /** Sends a batch until it is answered or its deadline has passed, and settles its entries. */
  async #send(batch: readonly Entry[]): Promise<PutReply | undefined> {
    if (batch.length === 0) return undefined;
    const number = this.#numbers.take();
    try {
      const reply = await this.#sendAs(number, batch);
      if (reply.state === "full") this.#numbers.reuse(number);
      else {
        this.#numbers.settle(number);
        batch.forEach((entry, position) => entry.resolve(!reply.existing.has(position)));
      }
      return reply;
    } catch (error) {
      if (!(error instanceof BackendError) || error.code === "BACKEND_FULL") {
        this.#numbers.reuse(number);
        for (const entry of batch) entry.reject(error);
        return undefined;
      }
      const retry = async (): Promise<void> => {
        const reply = await this.#sendAs(number, batch);
        if (reply.state === "full") throw new QueueFullError(`queue ${this.#queue.name} is full: ${this.#maxSize} jobs wait; nothing was put`);
        this.#numbers.settle(number);
      };
      const message = `put was not acknowledged within ${DEADLINE_MS} ms: ${error.message}`;
      for (const entry of batch) entry.reject(new EnqueueTimeoutError(message, { jobMayExist: error.mayHaveRun, retry, cause: error }));
      return undefined;
    }
  }

  async #sendAs(number: number, batch: readonly Entry[]): Promise<PutReply> {
    const jobs = batch.map((entry) => entry.job);
    const deadlineAt = performance.now() + DEADLINE_MS;
    let mayHaveRun = false;
    for (;;) {
      try {
        await this.#ready(deadlineAt);
        const numbered = { own: number, lowestOpen: this.#numbers.lowestOpen() };
        return await putJobs(this.#queue, this.#producerId, numbered, this.#maxSize, jobs);
      } catch (error) {
        if (!(error instanceof BackendError) || error.code === "BACKEND_FULL") throw error;
        mayHaveRun ||= error.mayHaveRun;
        if (performance.now() + RESEND_PAUSE_MS >= deadlineAt) throw new BackendError(error.message, { cause: error, mayHaveRun });
        await sleep(RESEND_PAUSE_MS);
      }
    }
  }

  async #ready(deadlineAt: number): Promise<void> {
    const { client } = this.#queue;
    if (client.status === "ready") return;
    const signal = AbortSignal.timeout(Math.max(0, deadlineAt - performance.now()));
    try {
      await once(client, "ready", { signal });
    } catch (error) {
      throw new BackendError("Redis is not connected", { cause: error, mayHaveRun: false });
    }
  }
}
