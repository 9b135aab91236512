/** Tells counters, log and operators what became of the deliveries of a consumer, when their settlement is answered. */
import type { LastError } from "../control/pool-entry.ts";
import type { JobDefinition } from "../job/definition.ts";
import { reasonOfCancel } from "../job/state.ts";
import type { Logger } from "../log.ts";
import { cancelled } from "../queue/ending.ts";
import type { OpenQueue } from "../queue/open-queue.ts";
import { tellEnd, tellLost } from "../queue/told-end.ts";
import type { Ending, SettleLane, Settled, Settlement } from "../store/settle.ts";

export class Endings {
  /** Settlements that came too late: their lease had passed on. */
  refused = 0;
  lastError: LastError | undefined = undefined;
  readonly #queue: OpenQueue;
  readonly #lane: Pick<SettleLane, "send">;
  readonly #definitionOf: (name: string) => JobDefinition | undefined;
  readonly #log: Logger;

  /** @param definitionOf  `undefined` where nobody here knows the job */
  constructor(queue: OpenQueue, lane: Pick<SettleLane, "send">, definitionOf: (name: string) => JobDefinition | undefined, log: Logger) {
    this.#queue = queue;
    this.#lane = lane;
    this.#definitionOf = definitionOf;
    this.#log = log;
  }

  /**
   * To be sent to the lane; a job that is to be cancelled is sent once more, to end so.
   *
   * @param runMs   how long its task ran; `undefined` where it did not run here
   * @param closed  called when it is settled, or never will be
   */
  of(settlement: Settlement, runMs: number | undefined, closed: () => void): Ending {
    return new ToldEnding(settlement, runMs, closed, this);
  }

  tell(ending: ToldEnding, settled: Settled): void {
    let instead: Settlement | undefined;
    try {
      instead = this.#told(ending.settlement, settled, ending.runMs);
    } catch (error) {
      return this.notDelivered(ending, error);
    }
    if (instead === undefined) return ending.closed();
    ending.settlement = instead;
    this.#lane.send(ending);
  }

  notDelivered({ settlement, closed }: ToldEnding, error: unknown): void {
    const { kind, leased: { job } } = settlement;
    try {
      this.#log.error({ queue: this.#queue.name, job: job.name, id: job.id, err: error }, `${kind} could not be delivered`);
    } catch {
      // A log that throws keeps no delivery open.
    }
    closed();
  }

  noteError(message: string, job: LastError["job"]): void {
    this.lastError = { at: this.#queue.stored.connections.clock.now(), message, job };
  }

  /** @returns what the job has to end by instead, where it is to be cancelled */
  #told(settlement: Settlement, settled: Settled, runMs: number | undefined): Settlement | undefined {
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

  /** For who looks at the pool: what became of each job is told elsewhere. */
  #noteFailure(settlement: Settlement): void {
    if ((settlement.kind !== "retry" && settlement.kind !== "fail") || reasonOfCancel(settlement.reason) !== undefined) return;
    const { id, name } = settlement.leased.job;
    this.noteError(settlement.reason, { id, name, queue: this.#queue.name });
  }
}

class ToldEnding implements Ending {
  settlement: Settlement;
  readonly runMs: number | undefined;
  readonly closed: () => void;
  readonly #endings: Endings;

  constructor(settlement: Settlement, runMs: number | undefined, closed: () => void, endings: Endings) {
    this.settlement = settlement;
    this.runMs = runMs;
    this.closed = closed;
    this.#endings = endings;
  }

  resolve(settled: Settled): void {
    this.#endings.tell(this, settled);
  }

  reject(error: unknown): void {
    this.#endings.notDelivered(this, error);
  }
}
