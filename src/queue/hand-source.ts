/** One queue of Redis as it is consumed by hand: what is taken from it, kept under a lease, and settled. */
import { hostname } from "node:os";
import { instant } from "../concurrency/thread-clock.ts";
import type { JobDefinition, JobTypes } from "../job/contract.ts";
import type { Logger } from "../log.ts";
import type { MarkerWait } from "../store/marker-wait.ts";
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
import { RECOVERY, recover } from "./recoverer.ts";
import { tellEnd } from "./told-end.ts";

const LEASE_MS = RECOVERY.normal.leaseMs;

export class HandSource<T extends JobTypes> implements DeliveryKeeper {
  readonly definition: JobDefinition;
  readonly lane: SettleLane;
  readonly log: Logger;
  readonly reserver: Reserver;
  /** What is in the hands of a caller. */
  readonly open = new Set<OpenDelivery>();
  readonly #queue: OpenQueue;
  readonly #leases: QueueLeases;
  readonly #cancels: CancelWatch<OpenDelivery>;
  readonly #onLetGo: () => void;

  /** @param onLetGo  called whenever a delivery has ended */
  constructor(queue: OpenQueue, definition: JobDefinition, markers: MarkerWait, onLetGo: () => void) {
    const { stored } = queue;
    this.definition = definition;
    this.log = queue.log;
    this.#queue = queue;
    this.#onLetGo = onLetGo;
    this.lane = new SettleLane(stored, LEASE_MS);
    this.reserver = new Reserver(stored, this.lane, { leaseMs: LEASE_MS, worker: `${hostname()}:${process.pid}`, markers });
    this.#leases = queue.leases(LEASE_MS);
    this.#cancels = new CancelWatch(stored, this.open, (delivery, reason) => delivery.cancel(reason), this.log);
  }

  /** Whether it need not be waited for. */
  get isConnected(): boolean {
    return this.#queue.stored.connections.isConnected;
  }

  now(): number {
    return this.#queue.stored.connections.clock.now();
  }

  tellEnd(settlement: Settlement, runMs?: number): void {
    tellEnd(this.#queue, settlement, runMs);
  }

  letGo(delivery: OpenDelivery): void {
    delivery.task.lease?.letGo();
    this.open.delete(delivery);
    this.#onLetGo();
  }

  /** Hears of cancelled jobs, and brings back those of dead workers, until the signal fires. */
  begin(ended: AbortSignal): void {
    this.#cancels.listen(ended);
    const definitionOf = (name: string): JobDefinition | undefined => (name === this.definition.name ? this.definition : undefined);
    const settle = (settlement: Settlement): Promise<void> => this.#settle(settlement);
    void recover(this.#queue, { leaseMs: LEASE_MS, roundMs: RECOVERY.normal.roundMs, log: this.log, definitionOf, settle }, ended);
  }

  /** The next delivery that somebody can work on; `undefined` where there is none now. @throws BackendError */
  async take(quiet: AbortSignal): Promise<Delivery<T> | undefined> {
    while (!quiet.aborted) {
      const token = this.reserver.nextToken();
      const askedAt = instant();
      const asked = this.#leases.keepAll(token, askedAt);
      const [leased] = await this.reserver.take(1, token).finally(() => asked.letGo());
      if (leased === undefined) break;
      if (quiet.aborted) await this.#settle({ leased, kind: "release", delayMs: 0 });
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
      this.open.add(delivery as unknown as OpenDelivery);
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
