/** What a handler sees of its delivery: who it is, until when it may run, and a signal that tells it to end. */
import type { Place } from "../concurrency/roster.ts";
import { startTimer } from "../concurrency/timer.ts";
import { CancelledError, LeaseLostError, TimeoutError } from "../errors.ts";
import { encodeProgress } from "../job/codec.ts";
import type { JobDefinition, JobTypes } from "../job/contract.ts";
import type { JobTask, TaskLog } from "../job/handler.ts";
import { redactedFields, redactedText } from "../job/redact.ts";
import type { Logger } from "../log.ts";
import { asBackendError } from "../redis/errors.ts";
import type { Leased } from "../store/reserve.ts";
import type { Settlement } from "../store/settle.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import type { QueueLeases } from "./lease-keeper.ts";
import type { KeptLease } from "./lease-table.ts";
import { scheduledAtMs, type AttemptLimit } from "./lateness.ts";

export class DeliveredTask<T extends JobTypes = JobTypes> implements JobTask<T> {
  readonly leased: Leased;
  /** As it is kept here; noted by whoever keeps it. */
  lease: KeptLease | undefined = undefined;
  /** Among those that run; noted by whoever runs it. */
  place: Place<DeliveredTask> | undefined = undefined;
  /** When it was asked for, or came where that was long before, as `instant()` tells; noted by whoever asked. */
  askedAt = 0;
  /** What its handler told of it last, as JSON. */
  told: string | undefined = undefined;
  deadline: Date | undefined = undefined;
  /** Its handler has ended, or is not waited for any longer. */
  hasEnded = false;
  /** Why it was told to end; `undefined` while it may go on. */
  interruption: Error | undefined = undefined;
  /** What is to become of the job, where its handler has thrown and says so itself; `null`: it has put the job elsewhere. */
  ending: Settlement | null | undefined = undefined;
  readonly #queue: StoredQueue;
  readonly #leases: QueueLeases;
  readonly #definition: JobDefinition | undefined;
  readonly #root: Logger;
  #log: TaskLog | undefined;
  #controller: AbortController | undefined;
  #abandoned = false;
  #onAbandoned: (() => void) | undefined;

  constructor(queue: StoredQueue, definition: JobDefinition | undefined, leased: Leased, leases: QueueLeases, log: Logger) {
    this.leased = leased;
    this.#queue = queue;
    this.#leases = leases;
    this.#definition = definition;
    this.#root = log;
  }

  get queue(): StoredQueue {
    return this.#queue;
  }

  get id(): string {
    return this.leased.job.id;
  }

  get name(): string {
    return this.leased.job.name;
  }

  get attempt(): number {
    return this.leased.job.attemptsMade + 1;
  }

  get fence(): string {
    return String(this.leased.fence);
  }

  get scheduledAt(): Date | undefined {
    const at = scheduledAtMs(this.leased.job);
    return at === undefined ? undefined : new Date(at);
  }

  /** Made when it is first asked for: most handlers of short work never ask. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.interruption !== undefined) this.#controller.abort(this.interruption);
    }
    return this.#controller.signal;
  }

  get log(): TaskLog {
    this.#log ??= taskLog(this.#root.child({ queue: this.#queue.name, job: this.name, id: this.id, attempt: this.attempt, fence: this.leased.fence }), this.#definition?.redact ?? []);
    return this.#log;
  }

  /** Of a job that is somebody else's by now it tells nothing. @throws PayloadError; LeaseLostError; BackendError */
  async progress(value: T["progress"]): Promise<void> {
    const json = this.#definition && (await encodeProgress(this.#definition, value));
    if (this.interruption instanceof LeaseLostError) throw this.interruption;
    try {
      const backend = await this.#queue.stock();
      await backend.updateProgress(this.id, value as object);
      this.told = json && redactedText(json, this.#definition?.redact ?? []);
    } catch (error) {
      throw asBackendError(error);
    }
  }

  async assertLease(): Promise<void> {
    if (!(this.interruption instanceof LeaseLostError)) {
      if (await this.#leases.stillHolds(this.leased)) return;
      this.lease?.lost();
    }
    throw this.interruption instanceof LeaseLostError ? this.interruption : this.#lostError();
  }

  /** Tells the handler to end; the first reason stands. */
  interrupt(reason: Error): void {
    if (this.interruption !== undefined) return;
    this.interruption = reason;
    this.#controller?.abort(reason);
  }

  /**
   * Tells it to end when the limit is reached.
   *
   * @param onReached  called before its signal fires
   * @returns calls it off
   */
  endAfter({ ms, what }: AttemptLimit, onReached?: () => void): () => void {
    this.deadline = new Date(Date.now() + ms);
    return startTimer(ms, () => {
      onReached?.();
      this.interrupt(new TimeoutError(`job ${this.id} reached its ${what}`));
    });
  }

  cancel(reason: string): void {
    this.interrupt(new CancelledError(`job ${this.id} is cancelled: ${reason}`));
  }

  leaseLost(): void {
    this.interrupt(this.#lostError());
  }

  /** Nobody waits for the handler any longer. */
  abandon(): void {
    if (this.#abandoned) return;
    this.#abandoned = true;
    this.#onAbandoned?.();
  }

  /** Calls back when it is abandoned, in the order of the calls; at once when it is already. */
  onAbandoned(callback: () => void): void {
    const earlier = this.#onAbandoned;
    this.#onAbandoned =
      earlier === undefined
        ? callback
        : () => {
            earlier();
            callback();
          };
    if (this.#abandoned) callback();
  }

  #lostError(): LeaseLostError {
    return new LeaseLostError(`the lease of job ${this.id} is lost: it may run elsewhere`);
  }
}

function taskLog(log: Logger, redact: readonly string[]): TaskLog {
  const at =
    (level: "debug" | "info" | "warn" | "error") =>
    (message: string, fields: object = {}): void =>
      log[level](redact.length === 0 ? fields : redactedFields(fields, redact), message);
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
