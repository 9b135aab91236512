/** A queue, seen through one of its contracts: what producers put into, and wait on. */
import { OptionError } from "../errors.ts";
import { encodePayload } from "../job/codec.ts";
import { definitionOf, type Job, type JobDefinition, type JobTypes, type PutArgs } from "../job/contract.ts";
import { checkId } from "../job/name.ts";
import { checkKey, checkPut, type CheckedPut, type PutOptions } from "../job/put-options.ts";
import { shown } from "../options.ts";
import { countJobs, queueExists, sumOf, type Counts } from "../store/count.ts";
import type { NewJob, PutLane } from "../store/put.ts";
import { setPaused } from "../store/queue-settings.ts";
import { deliveries, type Delivery, type DeliveriesOptions } from "./deliveries.ts";
import { Flight } from "./flight.ts";
import { jobHandle, waitAtMost, type JobHandle, type Wait } from "./job-handle.ts";
import { joinQueue } from "./join.ts";
import type { OpenQueue } from "./open-queue.ts";
import type { Partitions } from "./partitions.ts";
import { storedForm } from "./stored-form.ts";

/** Options of `putMany`: those of one put, for all of them; `id` and `partitionKey` make each one's own from its payload. */
export interface PutManyOptions<P> extends Omit<PutOptions, "id" | "partitionKey"> {
  readonly id?: (payload: P) => string;
  readonly partitionKey?: (payload: P) => string;
}

export class Queue<T extends JobTypes = JobTypes> {
  readonly name: string;
  readonly #queue: Partitions;
  readonly #job: Job<T>;
  readonly #definition: JobDefinition;

  constructor(queue: Partitions, job: Job<T>) {
    this.name = queue.name;
    this.#queue = queue;
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
    const { id, partitionKey, ...rest } = options;
    const shared = checkPut(rest);
    for (const [name, made] of [["id", id], ["partitionKey", partitionKey]] as const) {
      if (made !== undefined && typeof made !== "function") throw new OptionError(`expected a function of the payload for ${name} of putMany, got ${shown(made)}`);
    }
    if (id !== undefined && partitionKey !== undefined) throw new OptionError("expected either id or partitionKey for putMany, got both: an id tells the partition of its job");
    await this.#queue.ready();
    const flight = new Flight();
    try {
      for await (const payload of payloads) {
        const own = id !== undefined ? { ...shared, id: checkId(id(payload)) } : partitionKey !== undefined ? { ...shared, partitionKey: checkKey(partitionKey(payload), "partitionKey of putMany") } : shared;
        const { queue, job } = await this.#newJob(payload, own);
        await flight.add(laneOf(queue, shared).put(job, { waits: true, signal: shared.signal, redacting: this.#redacting }), job.data.length, () => queue.meter.put(job.name, job.id));
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
    return jobHandle(this.#queue.at(id), this.#job, id, false);
  }

  /** As `job(id).cancel(reason)`. @throws OptionError; BackendError */
  async cancel(id: string, reason?: string): Promise<boolean> {
    return this.job(id).cancel(reason);
  }

  /** Jobs by state, and `unfinished`: what `join` waits for. */
  async counts(): Promise<Counts> {
    await this.#queue.ready();
    return sumOf(await Promise.all(this.#queue.all.map(({ stored }) => countJobs(stored))));
  }

  /** Whether anybody has ever used this queue. */
  async exists(): Promise<boolean> {
    await this.#queue.ready();
    return (await Promise.all(this.#queue.all.map(({ stored }) => queueExists(stored)))).includes(true);
  }

  /**
   * Waits until nothing that was put is unfinished, whatever its name. Jobs of a schedule's future do not count.
   *
   * With partitions: until there was an instant, after the call, at which nothing was unfinished in any of them.
   *
   * Outages only prolong it: it ends by the truth, its timeout or its signal.
   *
   * @throws TimeoutError; the signal's reason
   */
  join(options?: Wait): Promise<void> {
    return waitAtMost(options, `queue ${this.name} to be joined`, (signal) => joinQueue(this.#queue, signal));
  }

  /** Stops deliveries from this queue, everywhere; what runs goes on. Partitions are paused one by one: after an error some may be, and it may be called again. */
  pause(): Promise<void> {
    return this.#setPaused(true);
  }

  resume(): Promise<void> {
    return this.#setPaused(false);
  }

  /** Deliveries to be acknowledged by hand; see {@link Delivery}. @throws OptionError */
  deliveries(options?: DeliveriesOptions): AsyncIterable<Delivery<T>> {
    return deliveries(this.#queue, this.#job, options);
  }

  async #put([payload, options]: PutArgs<T>, waits: boolean): Promise<JobHandle<T>> {
    const checked = checkPut(options);
    const { queue, job } = await this.#newJob(payload, checked);
    const added = await laneOf(queue, checked).put(job, { waits, signal: checked.signal, redacting: this.#redacting });
    if (added) queue.meter.put(job.name, job.id);
    return jobHandle(queue, this.#job, job.id, added);
  }

  async #newJob(payload: T["put"], options: CheckedPut): Promise<{ readonly queue: OpenQueue; readonly job: NewJob }> {
    const { id, queue } = this.#queue.place(options.id, options.partitionKey);
    const data = await encodePayload(this.#definition, payload);
    return { queue, job: storedForm(this.#definition, id, data, options) };
  }

  get #redacting(): JobDefinition | undefined {
    return this.#definition.redact === undefined ? undefined : this.#definition;
  }

  async #setPaused(paused: boolean): Promise<void> {
    await this.#queue.ready();
    await Promise.all(this.#queue.all.map(({ stored }) => setPaused(stored, paused)));
  }
}

function laneOf({ lane, durableLane }: OpenQueue, { durable }: CheckedPut): PutLane {
  return durable === true ? durableLane : lane;
}
