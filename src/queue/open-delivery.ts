/** One delivery in the hands of a caller, from its lease to its end. */
import { BackendError, LeaseLostError, StateError } from "../errors.ts";
import { encodeResult } from "../job/codec.ts";
import type { JobDefinition, JobTypes } from "../job/contract.ts";
import type { JobTask } from "../job/handler.ts";
import type { Logger } from "../log.ts";
import { durationMs, type Duration } from "../options.ts";
import type { Leased } from "../store/reserve.ts";
import type { SettleLane, Settlement } from "../store/settle.ts";
import type { DeliveredTask } from "./delivered-task.ts";
import { cancelled, failure, keepOf } from "./ending.ts";
import type { AttemptLimit } from "./lateness.ts";

/** A job under a lease that is renewed until it ends. Disposed without an end it is released. */
export interface Delivery<T extends JobTypes = JobTypes> extends AsyncDisposable {
  readonly payload: T["payload"];
  readonly task: JobTask<T>;
  /**
   * The work is done.
   *
   * @throws PayloadError when the result does not fit, BackendError when Redis does not answer: the delivery is still open
   * @throws LeaseLostError; StateError when it has ended
   */
  ack(...result: [T["returns"]] extends [void] ? [] : [T["returns"]]): Promise<void>;
  /** The attempt has failed: retried by the contract's policy, or a dead letter; where it was asked for, cancelled. @throws BackendError, LeaseLostError, StateError as `ack` */
  fail(error: Error): Promise<void>;
  /** Given back, no attempt spent; where it was asked for, cancelled. @throws BackendError, LeaseLostError, StateError as `ack` */
  release(delay?: Duration): Promise<void>;
}

export interface DeliveryKeeper {
  readonly definition: JobDefinition;
  readonly lane: SettleLane;
  readonly log: Logger;
  /** By the server's clock, in milliseconds. */
  now(): number;
  /** Called when Redis has acknowledged its end. */
  tellEnd(settlement: Settlement, runMs: number): void;
  /** Called once, when the delivery has ended. */
  letGo(delivery: OpenDelivery): void;
}

export class OpenDelivery<T extends JobTypes = JobTypes> implements Delivery<T> {
  readonly task: DeliveredTask<T>;
  payload!: T["payload"];
  readonly #keeper: DeliveryKeeper;
  readonly #startedAt = performance.now();
  #ended = false;
  #callOffLimit: (() => void) | undefined;

  constructor(keeper: DeliveryKeeper, task: DeliveredTask<T>) {
    this.#keeper = keeper;
    this.task = task;
  }

  get id(): string {
    return this.task.id;
  }

  get leased(): Leased {
    return this.task.leased;
  }

  /** Its signal fires when the limit is reached; what becomes of it then is up to its holder. */
  limit(limit: AttemptLimit): void {
    this.#callOffLimit = this.task.endAfter(limit);
  }

  leaseLost(): void {
    if (!this.#ended) this.task.leaseLost();
  }

  cancel(reason: string): void {
    if (!this.#ended) this.task.cancel(reason);
  }

  async ack(...[result]: unknown[]): Promise<void> {
    const { definition } = this.#keeper;
    const json = await encodeResult(definition, result);
    await this.end({ leased: this.leased, kind: "ack", result: json, keep: keepOf(this.leased.job, definition, "completed"), isUnsure: this.task.interruption !== undefined });
  }

  async fail(error: Error): Promise<void> {
    await this.end(failure(this.leased, this.#keeper.definition, error, this.#keeper.now()));
  }

  async release(delay: Duration = 0): Promise<void> {
    await this.end({ leased: this.leased, kind: "release", delayMs: durationMs(delay, "the delay of release") });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    try {
      await this.release();
    } catch (error) {
      this.#keeper.log.warn({ job: this.task.name, id: this.task.id, err: error }, "a delivery could not be released: it runs again when its lease has run out");
      if (!this.#ended) this.#letGo();
    }
  }

  async end(settlement: Settlement): Promise<void> {
    if (this.#ended) throw new StateError(`expected the delivery of job ${this.task.id} to be open: it has ended already`);
    this.#ended = true;
    const { lane, definition } = this.#keeper;
    try {
      const runMs = performance.now() - this.#startedAt;
      let ending = settlement;
      let settled = await lane.settle(ending);
      if (typeof settled === "object") {
        ending = cancelled(this.leased, definition, settled.cancelReason);
        settled = await lane.settle(ending);
      }
      if (settled === "done") this.#keeper.tellEnd(ending, runMs);
      if (settled === "lost") throw new LeaseLostError(`the lease of job ${this.task.id} was lost before it was settled`);
    } catch (error) {
      if (error instanceof BackendError) this.#ended = false;
      throw error;
    } finally {
      if (this.#ended) this.#letGo();
    }
  }

  #letGo(): void {
    this.#ended = true;
    this.#callOffLimit?.();
    this.#keeper.letGo(this as unknown as OpenDelivery);
  }
}
