/** A queue, seen through one of its contracts: what producers put into, and wait on. */
import { BackendError, OptionError } from "../errors.ts";
import { sleep } from "../concurrency/sleep.ts";
import { encodePayload } from "../job/codec.ts";
import { definitionOf, type Job, type JobDefinition, type JobTypes, type PutArgs } from "../job/contract.ts";
import { checkId } from "../job/name.ts";
import { checkPut, type CheckedPut, type PutOptions } from "../job/put-options.ts";
import { shown } from "../options.ts";
import { countJobs, queueExists, type Counts } from "../store/count.ts";
import type { NewJob, PutLane } from "../store/put.ts";
import { setPaused } from "../store/queue-settings.ts";
import { deliveries, type Delivery, type DeliveriesOptions } from "./deliveries.ts";
import { Flight } from "./flight.ts";
import { jobHandle, waitAtMost, type JobHandle, type Wait } from "./job-handle.ts";
import { newJobId } from "./job-id.ts";
import type { OpenQueue } from "./open-queue.ts";
import { storedForm } from "./stored-form.ts";

/** Options of `putMany`: those of one put, for all of them; `id` makes each one's own from its payload. */
export interface PutManyOptions<P> extends Omit<PutOptions, "id"> {
  readonly id?: (payload: P) => string;
}

/** A join looks again so soon at first, and so late at last: it returns at most that long after the truth. */
const JOIN_LOOK_MS = { first: 5, last: 80 };
const OUTAGE_LOOK_MS = 250;

export class Queue<T extends JobTypes = JobTypes> {
  readonly name: string;
  readonly #open: OpenQueue;
  readonly #job: Job<T>;
  readonly #definition: JobDefinition;

  constructor(open: OpenQueue, job: Job<T>) {
    this.name = open.name;
    this.#open = open;
    this.#job = job;
    this.#definition = definitionOf(job as Job);
  }

  /**
   * Adds a job; waits while the queue is bounded and full. Resolves when Redis has acknowledged it.
   *
   * @throws OptionError, PayloadError before any I/O; EnqueueTimeoutError, BackendError, BackendFullError; the signal's reason
   */
  put(...args: PutArgs<T>): Promise<JobHandle<T>> {
    return this.#put(args, true);
  }

  /** As `put`, but throws QueueFullError instead of waiting for room. */
  putNoWait(...args: PutArgs<T>): Promise<JobHandle<T>> {
    return this.#put(args, false);
  }

  /**
   * Puts every payload of an iterable, as fast as there is room, in constant memory and in order.
   *
   * @returns how many jobs were added; one whose id was there already is not counted
   * @throws what `put` throws, or the iterable. A payload or id that is refused ends it there: those before it are put, none
   * after it. When Redis fails it, some after it may be put.
   */
  async putMany(payloads: Iterable<T["put"]> | AsyncIterable<T["put"]>, options: PutManyOptions<T["put"]> = {}): Promise<number> {
    const { id, ...rest } = options;
    const shared = checkPut(rest);
    if (id !== undefined && typeof id !== "function") throw new OptionError(`expected a function of the payload for id of putMany, got ${shown(id)}`);
    await this.#open.ready();
    const flight = new Flight();
    try {
      for await (const payload of payloads) {
        const options = id === undefined ? shared : { ...shared, id: checkId(id(payload)) };
        const job = await this.#newJob(payload, options);
        await flight.add(this.#laneFor(shared).put(job, { waits: true, signal: shared.signal }), job.data.length, () => this.#open.meter.put(job.name, job.id));
      }
    } catch (error) {
      await flight.landed().catch(() => {});
      throw error;
    }
    await flight.landed();
    return flight.added;
  }

  /** A job of this queue by its id, whether or not it exists. */
  job(id: string): JobHandle<T> {
    if (typeof id !== "string" || id === "") throw new OptionError(`expected the id of a job, got ${shown(id)}`);
    return jobHandle(this.#open, this.#job, id, false);
  }

  /** As `job(id).cancel(reason)`. @throws OptionError; BackendError */
  async cancel(id: string, reason?: string): Promise<boolean> {
    return this.job(id).cancel(reason);
  }

  /** Jobs by state, and `unfinished`: what `join` waits for. */
  async counts(): Promise<Counts> {
    await this.#open.ready();
    return countJobs(this.#open.stored);
  }

  /** Whether anybody has ever used this queue. */
  async exists(): Promise<boolean> {
    await this.#open.ready();
    return queueExists(this.#open.stored);
  }

  /**
   * Waits until nothing that was put is unfinished, whatever its name. Jobs of a schedule's future do not count.
   *
   * Outages only prolong it: it ends by the truth, its timeout or its signal.
   *
   * @throws TimeoutError; the signal's reason
   */
  join(options?: Wait): Promise<void> {
    return waitAtMost(options, `queue ${this.name} to be joined`, (signal) => this.#join(signal));
  }

  /** Stops deliveries from this queue, everywhere; what runs goes on. */
  pause(): Promise<void> {
    return this.#setPaused(true);
  }

  resume(): Promise<void> {
    return this.#setPaused(false);
  }

  /** Deliveries to be acknowledged by hand; see {@link Delivery}. @throws OptionError */
  deliveries(options?: DeliveriesOptions): AsyncIterable<Delivery<T>> {
    return deliveries(this.#open, this.#job, options);
  }

  async #put([payload, options]: PutArgs<T>, waits: boolean): Promise<JobHandle<T>> {
    const checked = checkPut(options);
    const job = await this.#newJob(payload, checked);
    const added = await this.#laneFor(checked).put(job, { waits, signal: checked.signal });
    if (added) this.#open.meter.put(job.name, job.id);
    return jobHandle(this.#open, this.#job, job.id, added);
  }

  #laneFor({ durable }: CheckedPut): PutLane {
    return durable === true ? this.#open.durableLane : this.#open.lane;
  }

  async #newJob(payload: T["put"], options: CheckedPut): Promise<NewJob> {
    const data = await encodePayload(this.#definition, payload);
    return storedForm(this.#definition, options.id ?? newJobId(), data, options);
  }

  async #setPaused(paused: boolean): Promise<void> {
    await this.#open.ready();
    await setPaused(this.#open.stored, paused);
  }

  async #join(signal: AbortSignal | undefined): Promise<void> {
    for (let pauseMs = JOIN_LOOK_MS.first; ; pauseMs = Math.min(pauseMs * 2, JOIN_LOOK_MS.last)) {
      signal?.throwIfAborted();
      const unfinished = await this.counts().then(
        (counts) => counts.unfinished,
        (error: unknown) => {
          if (!(error instanceof BackendError) || this.#open.closed) throw error;
          pauseMs = OUTAGE_LOOK_MS;
          return -1;
        },
      );
      if (unfinished === 0) return;
      await sleep(pauseMs, { signal });
    }
  }
}

