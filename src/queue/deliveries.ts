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
import { instant } from "../concurrency/thread-clock.ts";
import { definitionOf, type Job, type JobDefinition, type JobTypes } from "../job/contract.ts";
import type { Logger } from "../log.ts";
import { check, checkOptions } from "../options.ts";
import { Reserver, type Leased } from "../store/reserve.ts";
import { SettleLane, type Settlement } from "../store/settle.ts";
import { admit, UNKNOWN_FOR_MS } from "./admission.ts";
import { CancelWatch } from "./cancel-watch.ts";
import { DeliveredTask } from "./delivered-task.ts";
import { cancelled } from "./ending.ts";
import type { QueueLeases } from "./lease-keeper.ts";
import { attemptLimit, waitedMs } from "./lateness.ts";
import { OpenDelivery, type Delivery, type DeliveryKeeper } from "./open-delivery.ts";
import type { OpenQueue } from "./open-queue.ts";
import { persevere } from "./persevere.ts";
import { RECOVERY, recover } from "./recoverer.ts";
import { tellEnd } from "./told-end.ts";

export type { Delivery } from "./open-delivery.ts";

export interface DeliveriesOptions {
  /** Deliveries that may be open at once, at least 1. @default 1 */
  readonly concurrency?: number;
  /** Ends the iteration; open deliveries stay open. */
  readonly signal?: AbortSignal;
}

const LEASE_MS = RECOVERY.normal.leaseMs;
const known = { concurrency: check.integer({ min: 1 }), signal: check.signal() };

/**
 * The signal of a delivery's task fires at its timeout or deadline, when its job is cancelled, and when its lease is lost.
 * Jobs of another name, or of a newer version, are given back for a consumer that knows them. An outage of Redis only
 * delays the next delivery. Whoever leaves the loop early gives back the delivery of that turn; others stay open.
 *
 * @throws OptionError; at the first delivery BackendError or PreflightError when it cannot connect
 */
export function deliveries<T extends JobTypes>(queue: OpenQueue, job: Job<T>, options?: DeliveriesOptions): AsyncGenerator<Delivery<T>, void> {
  const { concurrency = 1, signal } = checkOptions("deliveries", options, known);
  return new HandConsumer<T>(queue, definitionOf(job as Job), concurrency).deliveries(signal);
}

/** Lives until the iteration is over and the last of its deliveries has ended, or the app is closed. */
class HandConsumer<T extends JobTypes> implements DeliveryKeeper, AsyncDisposable {
  readonly definition: JobDefinition;
  readonly lane: SettleLane;
  readonly log: Logger;
  readonly #queue: OpenQueue;
  readonly #reserver: Reserver;
  readonly #leases: QueueLeases;
  readonly #cancels: CancelWatch<OpenDelivery>;
  readonly #slots: Semaphore;
  readonly #open = new Set<OpenDelivery>();
  /** Nothing more is taken. */
  readonly #quiet = new AbortController();
  /** And nothing is open any more. */
  readonly #ended = new AbortController();

  constructor(queue: OpenQueue, definition: JobDefinition, concurrency: number) {
    const { stored } = queue;
    this.definition = definition;
    this.log = queue.log;
    this.#queue = queue;
    this.#slots = new Semaphore(concurrency);
    this.lane = new SettleLane(stored, LEASE_MS);
    this.#reserver = new Reserver(stored, this.lane, { leaseMs: LEASE_MS, worker: `${hostname()}:${process.pid}` });
    this.#leases = queue.leases(LEASE_MS);
    this.#cancels = new CancelWatch(stored, this.#open, (delivery, reason) => delivery.cancel(reason), this.log);
  }

  async *deliveries(signal: AbortSignal | undefined): AsyncGenerator<Delivery<T>, void> {
    await this.#queue.ready();
    const quiet = signal === undefined ? this.#quiet.signal : AbortSignal.any([this.#quiet.signal, signal]);
    const onFailure = (error: unknown): void => this.log.warn({ queue: this.#queue.name, err: error }, "cannot reserve from Redis, trying again");
    let handedOut: Delivery<T> | undefined;
    this.#begin();
    try {
      while (await this.#slotComes(quiet)) {
        handedOut = await persevere(() => this.#next(quiet), { signal: quiet, onFailure });
        if (handedOut === undefined) return;
        yield handedOut;
        handedOut = undefined;
      }
    } finally {
      this.#quiet.abort();
      // The loop was left by a break or an error, with this one in its hands.
      await handedOut?.[Symbol.asyncDispose]();
      await this.#reserver.close().catch(() => {});
      this.#endWhenIdle();
    }
  }

  now(): number {
    return this.#queue.stored.connections.clock.now();
  }

  tellEnd(settlement: Settlement, runMs?: number): void {
    tellEnd(this.#queue, settlement, runMs);
  }

  letGo(delivery: OpenDelivery): void {
    delivery.task.lease?.letGo();
    this.#open.delete(delivery);
    this.#slots.release();
    this.#endWhenIdle();
  }

  /** The app is closed: what is open is given back. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#quiet.abort();
    await Promise.all([...this.#open].map((delivery) => delivery[Symbol.asyncDispose]()));
    this.#ended.abort();
  }

  #begin(): void {
    const { signal } = this.#ended;
    this.#queue.consumers.add(this);
    signal.addEventListener("abort", () => this.#queue.consumers.delete(this), { once: true });
    this.#cancels.listen(signal);
    const definitionOf = (name: string): JobDefinition | undefined => (name === this.definition.name ? this.definition : undefined);
    const settle = (settlement: Settlement): Promise<void> => this.#settle(settlement);
    void recover(this.#queue, { leaseMs: LEASE_MS, roundMs: RECOVERY.normal.roundMs, log: this.log, definitionOf, settle }, signal);
  }

  #endWhenIdle(): void {
    if (this.#quiet.signal.aborted && this.#open.size === 0) this.#ended.abort();
  }

  #slotComes(quiet: AbortSignal): Promise<boolean> {
    return this.#slots.acquire({ signal: quiet }).then(
      () => true,
      () => false,
    );
  }

  /** The next delivery that somebody can work on; `undefined` once it is quiet. */
  async #next(quiet: AbortSignal): Promise<Delivery<T> | undefined> {
    while (!quiet.aborted) {
      const token = this.#reserver.nextToken();
      const askedAt = instant();
      const asked = this.#leases.keepAll(token);
      const [leased] = await this.#reserver.take(1, token).finally(() => asked.letGo());
      if (leased === undefined) await this.#reserver.wait(quiet);
      else if (quiet.aborted) await this.#settle({ leased, kind: "release", delayMs: 0 });
      else {
        const delivery = await this.#admit(leased, askedAt);
        if (delivery !== undefined) return delivery;
      }
    }
    return undefined;
  }

  async #admit(leased: Leased, askedAt: number): Promise<Delivery<T> | undefined> {
    const { name } = leased.job;
    const definition = name === this.definition.name ? this.definition : undefined;
    this.#queue.meter.started(leased, waitedMs(leased.job, this.now()));
    const delivery = new OpenDelivery<T>(this, new DeliveredTask<T>(this.#queue.stored, definition, leased, this.#leases, this.log));
    delivery.task.lease = this.#leases.keep(leased, askedAt, delivery);
    const admission = await admit(this.#queue.stored, leased, definition, { unknownForMs: UNKNOWN_FOR_MS, log: this.log });
    if ("payload" in admission) {
      delivery.payload = admission.payload as T["payload"];
      const limit = attemptLimit(leased.job, definition, () => this.now());
      if (limit !== undefined) delivery.limit(limit);
      this.#open.add(delivery as unknown as OpenDelivery);
      this.#cancels.begun(delivery as unknown as OpenDelivery);
      return delivery;
    }
    await this.#settle(admission.settlement);
    delivery.task.lease.letGo();
    return undefined;
  }

  /** For what never was in a caller's hands. */
  async #settle(settlement: Settlement): Promise<void> {
    const { leased } = settlement;
    const { name, id } = leased.job;
    try {
      const settled = await this.lane.settle(settlement);
      if (settled === "done") this.tellEnd(settlement);
      if (typeof settled === "object") await this.#settle(cancelled(leased, name === this.definition.name ? this.definition : undefined, settled.cancelReason));
    } catch (error) {
      this.log.error({ queue: this.#queue.name, job: name, id, err: error }, `${settlement.kind} could not be delivered`);
    }
  }
}
