/** Settles what has ended in a consumer, and tells counters, log and operators what became of it. */
import type { LastError } from "../control/pool-entry.ts";
import type { JobDefinition } from "../job/definition.ts";
import { reasonOfCancel } from "../job/state.ts";
import type { Logger } from "../log.ts";
import { cancelled } from "../queue/ending.ts";
import type { OpenQueue } from "../queue/open-queue.ts";
import { tellEnd, tellLost } from "../queue/told-end.ts";
import { SettleLane, type Ending, type Settled, type Settlement } from "../store/settle.ts";

export class Settler {
  /** What is reserved goes the same way, behind what is settled. */
  readonly lane: SettleLane;
  /** Settlements that came too late: their lease had passed on. */
  refused = 0;
  lastError: LastError | undefined = undefined;
  readonly #queue: OpenQueue;
  readonly #definitionOf: (name: string) => JobDefinition | undefined;
  readonly #log: Logger;

  /** @param definitionOf  `undefined` where nobody here knows the job */
  constructor(queue: OpenQueue, definitionOf: (name: string) => JobDefinition | undefined, log: Logger) {
    this.#queue = queue;
    this.#definitionOf = definitionOf;
    this.#log = log;
    // What has ended is settled however long Redis is away; only a stop gives up.
    this.lane = new SettleLane(queue.stored, Infinity);
  }

  /**
   * @param runMs   how long its task ran; `undefined` where it did not run here
   * @param closed  called when it is settled, or never will be; not awaited, since a promise costs every job
   */
  settle(settlement: Settlement, runMs: number | undefined, closed: () => void): void {
    this.lane.send(new OpenEnding(settlement, runMs, closed, this));
  }

  /** @returns what the job has to end by instead, where it is to be cancelled */
  tell(settlement: Settlement, settled: Settled, runMs: number | undefined): Settlement | undefined {
    this.#noteFailure(settlement);
    const { leased } = settlement;
    if (typeof settled === "object") return cancelled(leased, this.#definitionOf(leased.job.name), settled.cancelReason);
    if (settled === "done") tellEnd(this.#queue, settlement, runMs);
    else {
      this.refused += 1;
      tellLost(this.#queue, leased, settlement.kind, runMs);
    }
    return undefined;
  }

  notDelivered({ kind, leased: { job } }: Settlement, error: unknown): void {
    this.#log.error({ queue: this.#queue.name, job: job.name, id: job.id, err: error }, `${kind} could not be delivered`);
  }

  noteError(message: string, job: LastError["job"]): void {
    this.lastError = { at: this.#queue.stored.connections.clock.now(), message, job };
  }

  /** For who looks at the pool: what became of each job is told elsewhere. */
  #noteFailure(settlement: Settlement): void {
    if ((settlement.kind !== "retry" && settlement.kind !== "fail") || reasonOfCancel(settlement.reason) !== undefined) return;
    const { id, name } = settlement.leased.job;
    this.noteError(settlement.reason, { id, name, queue: this.#queue.name });
  }
}

class OpenEnding implements Ending {
  settlement: Settlement;
  readonly #runMs: number | undefined;
  readonly #closed: () => void;
  readonly #settler: Settler;

  constructor(settlement: Settlement, runMs: number | undefined, closed: () => void, settler: Settler) {
    this.settlement = settlement;
    this.#runMs = runMs;
    this.#closed = closed;
    this.#settler = settler;
  }

  resolve(settled: Settled): void {
    try {
      const instead = this.#settler.tell(this.settlement, settled, this.#runMs);
      if (instead !== undefined) {
        this.settlement = instead;
        return this.#settler.lane.send(this);
      }
    } catch (error) {
      return this.reject(error);
    }
    this.#closed();
  }

  reject(error: unknown): void {
    this.#settler.notDelivered(this.settlement, error);
    this.#closed();
  }
}
