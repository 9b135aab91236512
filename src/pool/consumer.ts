/**
 * Reserves deliveries from one queue while there are free slots, has each executed, and settles what became of it.
 *
 * A slot is given back as soon as its settlement is on its way: what is reserved for it goes out behind the settlement
 * or with it, so one round trip serves both.
 */
import type { TaskGroup } from "../concurrency/index.ts";
import { Roster } from "../concurrency/roster.ts";
import { startTimer } from "../concurrency/timer.ts";
import { instant } from "../concurrency/thread-clock.ts";
import type { LastError } from "../control/pool-entry.ts";
import { BackendError } from "../errors.ts";
import type { JobDefinition } from "../job/definition.ts";
import type { Logger } from "../log.ts";
import { DeliveredTask } from "../queue/delivered-task.ts";
import { CancelWatch } from "../queue/cancel-watch.ts";
import { waitedMs } from "../queue/lateness.ts";
import type { QueueLeases } from "../queue/lease-keeper.ts";
import type { OpenQueue } from "../queue/open-queue.ts";
import { persevere } from "../queue/persevere.ts";
import { recover } from "../queue/recoverer.ts";
import { tellLost } from "../queue/told-end.ts";
import type { MarkerWait } from "../store/marker-wait.ts";
import { noteRedactions } from "../store/redactions.ts";
import { Reserver, type Leased } from "../store/reserve.ts";
import { SettleLane, type Settlement } from "../store/settle.ts";
import type { Turn } from "./alone.ts";
import type { BlockedLoop } from "./blocked-loop.ts";
import { Endings } from "./endings.ts";
import { execute, type ExecutionRules, type Runnable } from "./executor.ts";
import type { Slots } from "./slots.ts";
import { Waiting } from "./waiting.ts";

export interface ConsumerOptions {
  /** Of its queue; other consumers of that may share them. */
  readonly slots: Slots;
  /** No other consumer takes slots of its pool. */
  readonly isOnly: boolean;
  readonly markers: MarkerWait;
  readonly leaseMs: number;
  /** How often it is looked for dead workers. */
  readonly roundMs: number;
  readonly worker: string;
  /** Called when a delivery has ended and it is quiet. */
  readonly onEnd: () => void;
  /** To be told of every task that ends. */
  readonly loop: Pick<BlockedLoop, "ended">;
  readonly rules: ExecutionRules;
  readonly log: Logger;
}

export class Consumer {
  readonly queue: OpenQueue;
  readonly running = new Roster<DeliveredTask>();
  /** Deliveries that have not ended: what runs, and what is being settled. */
  open = 0;
  /** Deliveries that came to an end here. */
  ended = 0;
  readonly #lane: SettleLane;
  readonly #endings: Endings;
  readonly #leases: QueueLeases;
  readonly #cancels: CancelWatch<DeliveredTask>;
  readonly #runnables: ReadonlyMap<string, Runnable>;
  readonly #options: ConsumerOptions;
  readonly #reserver: Reserver;
  readonly #slots: Slots;
  /** Requests on their way, oldest first. */
  readonly #takes: Promise<boolean>[] = [];
  #isPlenty = false;
  readonly #waiting: Waiting;

  constructor(queue: OpenQueue, runnables: ReadonlyMap<string, Runnable>, options: ConsumerOptions) {
    const { slots, markers, leaseMs, worker } = options;
    this.queue = queue;
    queue.meter.isConsumed = true;
    this.#runnables = runnables;
    this.#options = options;
    // What has ended is settled however long Redis is away; only a stop gives up.
    this.#lane = new SettleLane(queue.stored, Infinity);
    this.#endings = new Endings(queue, this.#lane, (name) => runnables.get(name)?.definition, options.log);
    this.#reserver = new Reserver(queue.stored, this.#lane, { leaseMs, worker, markers });
    this.#leases = queue.leases(leaseMs);
    this.#cancels = new CancelWatch(queue.stored, this.running, (task, reason) => this.#interrupt(task, () => task.cancel(reason)), options.log);
    this.#slots = slots;
    // Where others take slots as well, none is held while it waits.
    this.#waiting = new Waiting(() => options.isOnly && this.running.size === 0 && this.#reserver.canTakeWhenReady);
  }

  /** Settlements that came too late: their lease had passed on. */
  get refused(): number {
    return this.#endings.refused;
  }

  get lastError(): LastError | undefined {
    return this.#endings.lastError;
  }

  /** Connects when nobody has yet. @throws as the queue's `ready` */
  async ready(): Promise<void> {
    await this.queue.ready();
    await noteRedactions(this.queue.stored, [...this.#runnables.values()].map(({ definition }) => definition));
  }

  /** Consumes until `quiet` fires; what runs then goes on in the group. An outage of Redis only delays it. */
  async run(group: TaskGroup, quiet: AbortSignal): Promise<void> {
    const { log } = this.#options;
    const onFailure = (error: unknown): void => {
      const level = error instanceof BackendError ? "warn" : "error";
      log[level]({ queue: this.queue.name, err: error }, "cannot reserve from Redis, trying again");
      this.#endings.noteError(String(error), null);
    };
    while (!quiet.aborted) await persevere(() => this.#consume(group, quiet), { signal: quiet, onFailure });
    await Promise.allSettled(this.#takes);
    await this.#reserver.close().catch(() => {});
  }

  /** Waits no longer for a Redis that does not answer. */
  giveUp(): void {
    this.#lane.giveUp();
  }

  /** Tells what runs that its job is to be cancelled. */
  watchCancels(signal: AbortSignal): void {
    this.#cancels.listen(signal);
  }

  /** Brings back what dead workers held. */
  recover(signal: AbortSignal): Promise<void> {
    const { leaseMs, roundMs, log } = this.#options;
    const definitionOf = (name: string): JobDefinition | undefined => this.#runnables.get(name)?.definition;
    return recover(this.queue, { leaseMs, roundMs, log, definitionOf, settle: (settlement) => this.#settle(settlement) }, signal);
  }

  /** Asks for as much as there are slots; where nothing more is ready, waits until there may be. */
  async #consume(group: TaskGroup, quiet: AbortSignal): Promise<void> {
    const most = await this.#slots.acquire(quiet);
    if (most === 0) return;
    const take = this.#take(most, group, quiet);
    take.catch(() => {}); // whoever waits for it hears of it
    this.#takes.push(take);
    // While there is plenty one stays on its way as another is worked on, or worker and Redis would take turns.
    while (this.#takes.length > (this.#isPlenty ? 1 : 0)) this.#isPlenty = await this.#takes.shift()!;
    if (this.#isPlenty) return;
    await this.#waiting.forWork(quiet, {
      hear: (signal) => this.#reserver.wait(signal),
      // One only, since this process may be stopped before it comes.
      take: async () => this.#take(await this.#slots.acquire(quiet, 1), group, quiet, "when ready"),
    });
  }

  /** @returns whether there may be more */
  async #take(most: number, group: TaskGroup, quiet: AbortSignal, when: "now" | "when ready" = "now"): Promise<boolean> {
    let leased: readonly Leased[] = [];
    let begun = 0;
    const token = this.#reserver.nextToken();
    const askedAt = instant();
    const asked = this.#leases.keepAll(token, when === "now" ? askedAt : Infinity);
    try {
      leased = await (when === "now" ? this.#reserver.take(most, token) : this.#reserver.takeWhenReady(most, quiet, token));
      // What came by itself is not older than a quarter of its lease.
      const grantedAt = when === "now" ? askedAt : instant();
      // What comes when it is quiet already was not there to be drained, nor will anybody tell it to end.
      if (quiet.aborted) await Promise.all(leased.map((each) => this.#settle({ leased: each, kind: "release", delayMs: 0 })));
      else for (; begun < leased.length; begun += 1) this.#start(group, leased[begun]!, grantedAt, quiet);
    } finally {
      asked.letGo();
      for (let unused = begun; unused < most; unused += 1) this.#slots.release();
    }
    return leased.length === most;
  }

  #start(group: TaskGroup, leased: Leased, askedAt: number, quiet: AbortSignal): void {
    const { log } = this.#options;
    const task = new DeliveredTask(this.queue.stored, this.#runnables.get(leased.job.name)?.definition, leased, this.#leases, log);
    task.askedAt = askedAt;
    task.place = this.running.add(task);
    this.open += 1;
    this.#cancels.begun(task);
    task.lease = this.#leases.keep(leased, askedAt, { leaseLost: () => this.#leaseLost(task) });
    group.startTask(() => this.#deliver(task, quiet), { name: `${leased.job.name} ${leased.job.id}` });
  }

  #leaseLost(task: DeliveredTask): void {
    this.#interrupt(task, () => task.leaseLost());
    this.queue.meter.leaseLost(task.leased);
  }

  /** Tells a task to end, and waits for it no longer than the grace. */
  #interrupt(task: DeliveredTask, tell: () => void): void {
    if (task.hasEnded) return;
    tell();
    const abandon = (): void => {
      if (!task.hasEnded) task.abandon();
    };
    startTimer(this.#options.rules.graceMs, abandon, { keepsAlive: false });
  }

  /** Called back from step to step, since each promise costs every job. Rejects for nothing that a handler or Redis does. */
  #deliver(task: DeliveredTask, quiet: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const turn = this.#slots.turn(this.queue.stored, task.leased, quiet);
      if (turn instanceof Promise) turn.then((later) => this.#run(task, later, quiet, resolve)).catch(reject);
      else this.#run(task, turn, quiet, resolve);
    });
  }

  #run(task: DeliveredTask, turn: Turn | undefined, quiet: AbortSignal, closed: () => void): void {
    const { leased } = task;
    const { stored, meter } = this.queue;
    const close = (): void => {
      task.lease?.letGo();
      this.open -= 1;
      this.ended += 1;
      closed();
      if (quiet.aborted) this.#options.onEnd();
    };
    if (turn === undefined) return this.#end(task, undefined, { leased, kind: "release", delayMs: 0 }, undefined, close);
    meter.started(leased, waitedMs(leased.job, stored.connections.clock.now()));
    const startedAt = performance.now();
    execute(stored, task, this.#runnables.get(leased.job.name), this.#options.rules, (settlement) => this.#end(task, turn, settlement, performance.now() - startedAt, close));
  }

  #end(task: DeliveredTask, turn: Turn | undefined, settlement: Settlement | undefined, runMs: number | undefined, close: () => void): void {
    this.running.leave(task.place!);
    if (this.running.size === 0 && this.#options.isOnly) this.#waiting.calmedDown();
    task.hasEnded = true;
    this.#options.loop.ended(task);
    if (settlement?.kind === "release" && settlement.limitedForMs !== undefined) this.#reserver.limitFor(settlement.limitedForMs);
    if (settlement === undefined) tellLost(this.queue, task.leased, undefined, runMs);
    else this.#lane.send(this.#endings.of(settlement, runMs, close));
    // What is reserved for this slot goes out behind the settlement, or with it.
    turn?.release();
    this.#slots.release();
    if (settlement === undefined) close();
  }

  /** Never rejects. */
  #settle(settlement: Settlement): Promise<void> {
    return new Promise((resolve) => this.#lane.send(this.#endings.of(settlement, undefined, resolve)));
  }
}
