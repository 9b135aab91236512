/**
 * Reserves deliveries from one queue while there are free slots, has each executed, and settles what became of it.
 *
 * A slot is given back as soon as its settlement is on its way: what is reserved for it goes out behind the settlement
 * or with it, so one round trip serves both.
 */
import { Semaphore, sleep, type TaskGroup } from "../concurrency/index.ts";
import { BackendError, LeaseLostError } from "../errors.ts";
import type { JobDefinition } from "../job/definition.ts";
import type { Logger } from "../log.ts";
import { DeliveredTask } from "../queue/delivered-task.ts";
import { LeaseKeeper, type Held } from "../queue/lease-keeper.ts";
import type { OpenQueue } from "../queue/open-queue.ts";
import { Reserver, type Leased } from "../store/reserve.ts";
import { planNextRun } from "../store/schedule.ts";
import { SettleLane, type Settlement } from "../store/settle.ts";
import { execute, type ExecutionLimits, type Runnable } from "./executor.ts";

export interface ConsumerOptions {
  /** The pool's slots, shared by all of its consumers. */
  readonly slots: Semaphore;
  readonly concurrency: number;
  readonly leaseMs: number;
  readonly worker: string;
  readonly limits: ExecutionLimits;
  readonly log: Logger;
}

const LARGEST_BATCH = 100;
const OUTAGE_PAUSE_MS = { first: 100, longest: 1000 };

export class Consumer {
  readonly queue: OpenQueue;
  readonly running = new Set<DeliveredTask>();
  readonly lane: SettleLane;
  readonly keeper: LeaseKeeper;
  readonly #runnables: ReadonlyMap<string, Runnable>;
  readonly #options: ConsumerOptions;
  readonly #reserver: Reserver;
  /** What the handlers of this queue take together, where that is less than the pool. */
  readonly #queueSlots: Semaphore;
  /** One a handler that takes less than its queue does. */
  readonly #handlerSlots = new Map<string, Semaphore>();
  readonly #largestBatch: number;

  constructor(queue: OpenQueue, runnables: ReadonlyMap<string, Runnable>, options: ConsumerOptions) {
    const { concurrency, leaseMs, worker } = options;
    this.queue = queue;
    this.#runnables = runnables;
    this.#options = options;
    this.lane = new SettleLane(queue.stored, leaseMs);
    this.#reserver = new Reserver(queue.stored, this.lane, { leaseMs, worker });
    this.keeper = new LeaseKeeper(queue.stored, leaseMs);
    const wanted = [...runnables.values()].reduce((sum, { handler }) => sum + (handler.concurrency ?? concurrency), 0);
    const together = Math.min(wanted, concurrency);
    this.#queueSlots = new Semaphore(together);
    for (const [name, { handler }] of runnables) {
      if (handler.concurrency !== undefined && handler.concurrency < together) this.#handlerSlots.set(name, new Semaphore(handler.concurrency));
    }
    // Half of the slots, so that one batch is on its way while another runs.
    this.#largestBatch = Math.min(Math.ceil(together / 2), LARGEST_BATCH);
  }

  /** Consumes until `quiet` fires; what runs then goes on in the group. */
  async run(group: TaskGroup, quiet: AbortSignal): Promise<void> {
    let pauseMs = OUTAGE_PAUSE_MS.first;
    while (!quiet.aborted) {
      try {
        await this.#consume(group, quiet);
        pauseMs = OUTAGE_PAUSE_MS.first;
      } catch (error) {
        if (quiet.aborted) break;
        if (!(error instanceof BackendError)) throw error;
        this.#options.log.warn({ queue: this.queue.name, err: error }, "cannot reserve from Redis, trying again");
        await sleep(pauseMs, { signal: quiet }).catch(() => {});
        pauseMs = Math.min(pauseMs * 2, OUTAGE_PAUSE_MS.longest);
      }
    }
    await this.#reserver.close().catch(() => {});
  }

  /** Settles, and says in the log what became of it. */
  async settle(settlement: Settlement): Promise<void> {
    const { job } = settlement.leased;
    try {
      if ((await this.lane.settle(settlement)) === "done") this.#logEnd(settlement);
      else this.#options.log.warn({ queue: this.queue.name, job: job.name, id: job.id }, `${settlement.kind} refused: its lease had passed on`);
    } catch (error) {
      this.#options.log.error({ queue: this.queue.name, job: job.name, id: job.id, err: error }, `${settlement.kind} could not be delivered`);
    }
  }

  definitionOf(name: string): JobDefinition | undefined {
    return this.#runnables.get(name)?.definition;
  }

  async #consume(group: TaskGroup, quiet: AbortSignal): Promise<void> {
    const most = await this.#acquireSlots(quiet);
    if (most === 0) return;
    let taken = 0;
    try {
      const leased = await this.#reserver.take(most);
      taken = leased.length;
      for (const each of leased) this.#start(group, each);
    } finally {
      for (let unused = taken; unused < most; unused += 1) this.#releaseSlot();
    }
    if (taken < most) await this.#reserver.wait(quiet);
  }

  /** Waits for one slot, then takes what else is free, up to a batch. */
  async #acquireSlots(quiet: AbortSignal): Promise<number> {
    const { slots } = this.#options;
    try {
      await this.#queueSlots.acquire({ signal: quiet });
    } catch {
      return 0;
    }
    try {
      await slots.acquire({ signal: quiet });
    } catch {
      this.#queueSlots.release();
      return 0;
    }
    let most = 1;
    while (most < this.#largestBatch && this.#queueSlots.tryAcquire()) {
      if (!slots.tryAcquire()) {
        this.#queueSlots.release();
        break;
      }
      most += 1;
    }
    return most;
  }

  #releaseSlot(): void {
    this.#options.slots.release();
    this.#queueSlots.release();
  }

  #start(group: TaskGroup, leased: Leased): void {
    const { job } = leased;
    const runnable = this.#runnables.get(job.name);
    const task = new DeliveredTask(this.queue, runnable?.definition, leased, this.#options.log);
    const held: Held = {
      leased,
      leaseLost: () => {
        task.interrupt(new LeaseLostError(`the lease of job ${job.id} is lost: it may run elsewhere`));
        setTimeout(() => task.abandon(), this.#options.limits.graceMs).unref();
      },
    };
    this.running.add(task);
    this.keeper.keep(held);
    group.startTask(() => this.#deliver(task, runnable, held), { name: job.name });
  }

  async #deliver(task: DeliveredTask, runnable: Runnable | undefined, held: Held): Promise<void> {
    const { job } = task.leased;
    if (job.schedulerId !== undefined) await this.#planNextRun(task);
    const handlerSlots = this.#handlerSlots.get(job.name);
    if (handlerSlots !== undefined) await handlerSlots.acquire();
    const settlement = await execute(task, runnable, this.#options.limits);
    this.running.delete(task);
    const settling = settlement === undefined ? undefined : this.settle(settlement);
    // What is reserved for this slot goes out behind the settlement, or with it.
    handlerSlots?.release();
    this.#releaseSlot();
    await settling;
    this.keeper.letGo(held);
  }

  async #planNextRun(task: DeliveredTask): Promise<void> {
    const { job } = task.leased;
    try {
      await planNextRun(this.queue.stored, job);
    } catch (error) {
      this.#options.log.error({ queue: this.queue.name, schedule: job.schedulerId, err: error }, "the next run of a schedule could not be planned");
    }
  }

  #logEnd(settlement: Settlement): void {
    const { job } = settlement.leased;
    if (settlement.kind === "ack" || settlement.kind === "release") return;
    const fields = { queue: this.queue.name, job: job.name, id: job.id, attempt: job.attemptsMade + 1, reason: settlement.reason };
    if (settlement.kind === "retry") this.#options.log.info({ ...fields, delayMs: settlement.delayMs }, "attempt failed, to be retried");
    else this.#options.log.warn(fields, "job failed for good");
  }
}

