/**
 * Consuming by hand: deliveries as an async iterable, each to be ended once by `ack`, `fail` or `release`.
 *
 * ```ts
 * for await (const delivery of queue.deliveries()) {
 *   await using _ = delivery;              // released, should the body throw
 *   await delivery.ack(await work(delivery.payload, delivery.task));
 * }
 * ```
 */
import { hostname } from "node:os";
import { Semaphore } from "../concurrency/index.ts";
import { LeaseLostError, MillraceError, StateError, UnknownJobError } from "../errors.ts";
import { decodePayload, encodeResult } from "../job/codec.ts";
import { definitionOf, type Job, type JobDefinition, type JobTypes } from "../job/contract.ts";
import type { JobTask } from "../job/handler.ts";
import { rootLog } from "../log.ts";
import { check, checkOptions, durationMs, type Duration } from "../options.ts";
import { Reserver } from "../store/reserve.ts";
import { SettleLane, type Settlement } from "../store/settle.ts";
import { DeliveredTask } from "./delivered-task.ts";
import { failure, forGood, keepOf } from "./ending.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import type { OpenQueue } from "./open-queue.ts";

/** A job under a lease that is renewed until it ends. Disposed without an end it is released. */
export interface Delivery<T extends JobTypes = JobTypes> extends AsyncDisposable {
  readonly payload: T["payload"];
  readonly task: JobTask<T>;
  /** The work is done. @throws PayloadError when the result does not fit; LeaseLostError; StateError when it has ended */
  ack(...result: [T["returns"]] extends [void] ? [] : [T["returns"]]): Promise<void>;
  /** The attempt has failed: retried by the contract's policy, or a dead letter. @throws LeaseLostError; StateError */
  fail(error: Error): Promise<void>;
  /** Given back, no attempt spent. @throws LeaseLostError; StateError */
  release(delay?: Duration): Promise<void>;
}

export interface DeliveriesOptions {
  /** Deliveries that may be open at once, at least 1. @default 1 */
  readonly concurrency?: number;
  /** Ends the iteration; open deliveries stay open. */
  readonly signal?: AbortSignal;
}

const LEASE_MS = 10_000;
const known = { concurrency: check.integer({ min: 1 }), signal: check.signal() };

/** Jobs of another name, or of a newer version, are given back for a consumer that knows them. */
export async function* deliveries<T extends JobTypes>(queue: OpenQueue, job: Job<T>, options?: DeliveriesOptions): AsyncGenerator<Delivery<T>, void> {
  const { concurrency = 1, signal } = checkOptions("deliveries", options, known);
  const definition = definitionOf(job as Job);
  await queue.ready();
  const lane = new SettleLane(queue.stored, LEASE_MS);
  const reserver = new Reserver(queue.stored, lane, { leaseMs: LEASE_MS, worker: hostname() });
  const keeper = new LeaseKeeper(queue.stored, LEASE_MS);
  const ended = new AbortController();
  const stop = signal === undefined ? ended.signal : AbortSignal.any([ended.signal, signal]);
  const keeping = keeper.run(ended.signal);
  const slots = new Semaphore(concurrency);
  try {
    while (!stop.aborted) {
      await slots.acquire({ signal: stop }).catch((error: unknown) => {
        if (!stop.aborted) throw error;
      });
      if (stop.aborted) break;
      const [leased] = await reserver.take(1);
      if (leased === undefined) {
        slots.release();
        await reserver.wait(stop);
        continue;
      }
      const task = new DeliveredTask<T>(queue, definition, leased, rootLog());
      const open = new OpenDelivery<T>(lane, definition, task, () => {
        keeper.letGo(open);
        slots.release();
      });
      keeper.keep(open);
      if (await open.prepare()) yield open;
    }
  } finally {
    ended.abort();
    await keeping;
    await reserver.close().catch(() => {});
  }
}

class OpenDelivery<T extends JobTypes> implements Delivery<T> {
  readonly task: DeliveredTask<T>;
  payload!: T["payload"];
  readonly #definition: JobDefinition;
  readonly #lane: SettleLane;
  readonly #onEnd: () => void;
  #ended = false;

  constructor(lane: SettleLane, definition: JobDefinition, task: DeliveredTask<T>, onEnd: () => void) {
    this.#lane = lane;
    this.#definition = definition;
    this.task = task;
    this.#onEnd = onEnd;
  }

  get leased(): DeliveredTask<T>["leased"] {
    return this.task.leased;
  }

  leaseLost(): void {
    this.task.interrupt(new LeaseLostError(`the lease of job ${this.task.id} is lost: it may run elsewhere`));
  }

  /** Reads the payload; a delivery that nobody could handle is settled here and not handed out. */
  async prepare(): Promise<boolean> {
    const { job } = this.leased;
    if (job.name !== this.#definition.name) {
      await this.release(UNKNOWN_PAUSE);
      return false;
    }
    try {
      this.payload = await decodePayload(this.#definition, job.data, job.version);
      return true;
    } catch (error) {
      if (error instanceof UnknownJobError) await this.release(UNKNOWN_PAUSE);
      else await this.#end(forGood(this.leased, this.#definition, error));
      return false;
    }
  }

  async ack(...[result]: unknown[]): Promise<void> {
    const json = await encodeResult(this.#definition, result);
    await this.#end({ leased: this.leased, kind: "ack", result: json, keep: keepOf(this.leased.job, this.#definition, "completed") });
  }

  async fail(error: Error): Promise<void> {
    await this.#end(failure(this.leased, this.#definition, error));
  }

  async release(delay: Duration = 0): Promise<void> {
    await this.#end({ leased: this.leased, kind: "release", delayMs: durationMs(delay, "release") });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    await this.release().catch((error: unknown) => rootLog().warn({ id: this.task.id, err: error }, "could not release a delivery"));
  }

  async #end(settlement: Settlement): Promise<void> {
    if (this.#ended) throw new StateError(`expected the delivery of job ${this.task.id} to be open: it has ended already`);
    this.#ended = true;
    try {
      const settled = await this.#lane.settle(settlement);
      if (settled === "lost") throw new LeaseLostError(`the lease of job ${this.task.id} was lost before it was settled`);
    } catch (error) {
      if (!(error instanceof MillraceError) || error instanceof LeaseLostError) throw error;
      this.#ended = false;
      throw error;
    } finally {
      if (this.#ended) this.#onEnd();
    }
  }
}

/** Time for a consumer that knows the job to take it. */
const UNKNOWN_PAUSE: Duration = "5s";
