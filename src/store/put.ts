/**
 * Puts jobs into one queue. What is put in one turn of the event loop goes out in one script; order holds.
 *
 * Every put ends within its deadline: acknowledged, refused, or with an error that says whether the job may exist; at once
 * when Redis is known to be down.
 * A batch whose reply was lost is sent again under its number, which adds nothing the second time (`put-script.ts`).
 */
import { sleep } from "../concurrency/sleep.ts";
import { startTimer } from "../concurrency/timer.ts";
import { BackendError, EnqueueTimeoutError, NotReplicatedError, QueueFullError } from "../errors.ts";
import { COMMAND_MS } from "../redis/connection.ts";
import { PutNumbers } from "./put-numbers.ts";
import { putJobs, type NewJob, type PutReply } from "./put-script.ts";
import { Unreplicated, type ReplicatedPuts } from "./replicated-put.ts";
import { DueRedactions, type Redacting } from "./redactions.ts";
import type { StoredQueue } from "./stored-queue.ts";

export type { NewJob } from "./put-script.ts";

/** When a put is reported as unanswered, not counting the wait for room: callers are promised 5 s, so it is a little less. */
const DEADLINE_MS = 4750;
/** A script holds Redis while it runs: about 10 us a job. */
const BATCH_JOBS = 250;
const BATCH_BYTES = 1 << 20;
/** A script has costs of its own. */
const WORTH_HALVING = 50;
const ROOM_CHECK_MS = { first: 10, longest: 250 };
const RESEND_PAUSE_MS = 50;
/** Once connected, at least so long is left for an answer: starting the embedded server takes its own time. */
const ANSWER_MS = 250;

interface Entry {
  readonly job: NewJob;
  /** Full: wait for room, or be refused. */
  readonly waits: boolean;
  readonly signal: AbortSignal | undefined;
  resolve(added: boolean): void;
  reject(error: unknown): void;
}

export class PutLane {
  readonly #queue: StoredQueue;
  readonly #producerId: string;
  readonly #maxSize: number;
  readonly #open: () => Promise<void>;
  readonly #replicated: ReplicatedPuts | undefined;
  readonly #numbers = new PutNumbers();
  readonly #redactions = new DueRedactions();
  #entries: Entry[] = [];
  #flushing = false;
  #onTheirWay = 0;
  #hasOpened = false;

  /**
   * @param producerId  this process's own; two lanes of one queue must not share it
   * @param maxSize     most jobs that may wait in the queue; 0 is no bound
   * @param open        connects when nobody has yet; it is called before the first job is sent, and whenever there is no connection
   * @param replicated  makes its puts durable
   */
  constructor(queue: StoredQueue, producerId: string, maxSize: number, open = () => queue.connections.open(), replicated?: ReplicatedPuts) {
    this.#queue = queue;
    this.#open = open;
    this.#replicated = replicated;
    this.#producerId = producerId;
    this.#maxSize = maxSize;
  }

  /**
   * @param options.waits   whether it waits for room in a full queue, or throws QueueFullError
   * @param options.signal  ends the wait for room, within a quarter of a second; what was sent already is not called back
   * @param options.redacting  the job's contract, where that redacts anything: it is noted before there is a job to be read
   * @returns whether the job was added: `false` when its id was there already
   * @throws EnqueueTimeoutError, NotReplicatedError, BackendFullError, QueueFullError; PreflightError; the signal's reason; the script's own errors
   */
  put(job: NewJob, options: { readonly waits: boolean; readonly signal?: AbortSignal | undefined; readonly redacting?: Redacting | undefined }): Promise<boolean> {
    const { waits, signal, redacting } = options;
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      if (redacting !== undefined) this.#redactions.add(redacting);
      this.#entries.push({ job, waits, signal, resolve, reject });
      if (this.#flushing) return;
      this.#flushing = true;
      // After whatever is ready now has had its say, so what is put together goes together; where something is on its way already,
      // after all that this turn of the loop has: one request after another finds a few jobs each.
      const flush = (): void => void this.#flush();
      if (this.#onTheirWay === 0) process.nextTick(flush);
      else setImmediate(flush);
    });
  }

  async #flush(): Promise<void> {
    // Those that come while replicas are waited for are one batch.
    if (this.#maxSize > 0 || this.#replicated !== undefined) await this.#flushInTurn();
    else {
      // Two halves where nothing is on its way: one is put while the other is answered, or producer and Redis would take turns.
      const most = this.#onTheirWay === 0 && this.#entries.length >= WORTH_HALVING ? Math.ceil(this.#entries.length / 2) : BATCH_JOBS;
      while (this.#entries.length > 0) void this.#send(this.#take(Math.min(most, BATCH_JOBS)));
    }
    this.#flushing = false;
  }

  /** One batch at a time, so that nobody overtakes who waits for room. */
  async #flushInTurn(): Promise<void> {
    let room = BATCH_JOBS;
    let pauseMs = ROOM_CHECK_MS.first;
    while (this.#entries.length > 0) {
      const batch = this.#take(Math.min(room, BATCH_JOBS));
      const reply = await this.#send(batch);
      if (reply?.state !== "full") {
        pauseMs = ROOM_CHECK_MS.first;
        room = BATCH_JOBS;
        continue;
      }
      this.#entries = [...batch, ...this.#entries];
      room = Math.max(reply.room, 1);
      if (reply.room > 0) continue;
      this.#refuseImpatient();
      await sleep(pauseMs);
      this.#entries = present(this.#entries);
      pauseMs = Math.min(pauseMs * 2, ROOM_CHECK_MS.longest);
    }
  }

  /** Whoever comes later is behind those who wait, so it finds no room either. */
  #refuseImpatient(): void {
    for (const { waits, reject } of this.#entries) if (!waits) reject(this.#full("put() waits for room"));
    this.#entries = this.#entries.filter(({ waits }) => waits);
  }

  #full(remedy: string): QueueFullError {
    return new QueueFullError(`queue ${this.#queue.name} is full: ${this.#maxSize} jobs wait; ${remedy}`);
  }

  /** Takes the next entries out, and lets go of those whose caller has gone. */
  #take(most: number): Entry[] {
    let bytes = 0;
    let end = 0;
    for (const { job } of this.#entries) {
      bytes += job.data.length;
      if (end === most || (end > 0 && bytes > BATCH_BYTES)) break;
      end += 1;
    }
    const batch = this.#entries.slice(0, end);
    this.#entries = this.#entries.slice(end);
    return present(batch);
  }

  /** Sends a batch until it is answered or its deadline has passed, and settles its entries. */
  async #send(batch: readonly Entry[]): Promise<PutReply | undefined> {
    if (batch.length === 0) return undefined;
    const number = this.#numbers.take();
    this.#onTheirWay += 1;
    try {
      const reply = await this.#sendAs(number, batch, false);
      this.#numbers.close(number, isKept(reply));
      if (reply.state === "put") batch.forEach((entry, position) => entry.resolve(!reply.existing.has(position)));
      return reply;
    } catch (error) {
      const reported = this.#reported(error, number, batch);
      // What cannot have been put need not be told from a repeat.
      if (!(reported instanceof EnqueueTimeoutError && reported.jobMayExist)) this.#numbers.close(number);
      for (const entry of batch) entry.reject(reported);
      return undefined;
    } finally {
      this.#onTheirWay -= 1;
    }
  }

  #reported(error: unknown, firstNumber: number, batch: readonly Entry[]): unknown {
    if (!(error instanceof BackendError) || error.code === "BACKEND_FULL") return error;
    let number = firstNumber;
    let put = false;
    const retry = async (): Promise<void> => {
      if (put) return;
      if (!this.#numbers.isOpen(number)) number = this.#numbers.take();
      try {
        const reply = await this.#sendAs(number, batch, true);
        this.#numbers.close(number, isKept(reply));
        if (reply.state === "full") throw this.#full("nothing was put");
      } catch (again) {
        throw this.#reported(again, number, batch);
      }
      put = true;
    };
    const message = `put was not acknowledged: ${error.message}`;
    if (error instanceof Unreplicated) return new NotReplicatedError(message, { jobMayExist: error.mayHaveRun, retry, cause: error, replicas: error.replicas });
    return new EnqueueTimeoutError(message, { jobMayExist: error.mayHaveRun, retry, cause: error });
  }

  /** @param waits  also for a Redis that is known to be down */
  async #sendAs(number: number, batch: readonly Entry[], waits: boolean): Promise<PutReply> {
    const jobs = batch.map((entry) => entry.job);
    let deadlineAt = performance.now() + DEADLINE_MS;
    let mayHaveRun = false;
    for (;;) {
      try {
        if (!this.#hasOpened || !this.#queue.connections.isConnected) {
          await this.#connect(deadlineAt, waits);
          deadlineAt = Math.max(deadlineAt, performance.now() + ANSWER_MS);
        }
      } catch (error) {
        throw error instanceof BackendError ? new BackendError(error.message, { cause: error, mayHaveRun }) : error;
      }
      try {
        if (this.#redactions.areDue) await beforeDeadline(deadlineAt, this.#redactions.note(this.#queue), { mayHaveRun: false });
        const numbered = { own: number, lowestOpen: Math.min(number, this.#numbers.lowestOpen()), heard: this.#numbers.heard() };
        const ownDeadlineAt = performance.now() + COMMAND_MS;
        const put = this.#replicated?.put ?? putJobs;
        const sent = put(this.#queue, this.#producerId, numbered, this.#maxSize, jobs);
        return await (ownDeadlineAt <= deadlineAt ? sent : beforeDeadline(deadlineAt, sent, { mayHaveRun: true }));
      } catch (error) {
        // "Full" says that nothing was written, which is not certain once a sending went unanswered.
        if (!(error instanceof BackendError) || (error.code === "BACKEND_FULL" && !mayHaveRun)) throw error;
        mayHaveRun ||= error.mayHaveRun;
        if (error instanceof Unreplicated) throw new Unreplicated(error.message, { mayHaveRun, replicas: error.replicas });
        if (performance.now() + RESEND_PAUSE_MS >= deadlineAt) throw new BackendError(error.message, { cause: error, mayHaveRun });
        await sleep(RESEND_PAUSE_MS);
      }
    }
  }

  async #connect(deadlineAt: number, waits: boolean): Promise<void> {
    const { connections } = this.#queue;
    const opened = this.#open();
    if (connections.isDown && !waits) {
      opened.catch(() => {});
      throw new BackendError("Redis is down, and was not asked", { mayHaveRun: false });
    }
    await opened;
    this.#hasOpened = true;
    await beforeDeadline(deadlineAt, connections.connected(), { mayHaveRun: false });
  }
}

function isKept(reply: PutReply): boolean {
  return reply.state === "full" || reply.existing.size > 0;
}

/** Those whose caller has not gone; the others are told why they went. */
function present(entries: readonly Entry[]): Entry[] {
  for (const { signal, reject } of entries) if (signal?.aborted) reject(signal.reason);
  return entries.filter(({ signal }) => !signal?.aborted);
}

/** A command has a deadline of its own; that of one sent again may lie beyond the put's. */
function beforeDeadline<T>(deadlineAt: number, work: Promise<T>, fate: { readonly mayHaveRun: boolean }): Promise<T> {
  return new Promise((resolve, reject) => {
    const callOff = startTimer(Math.max(0, deadlineAt - performance.now()), () => {
      reject(new BackendError(fate.mayHaveRun ? "Redis has not answered" : "Redis is not connected", fate));
    });
    work.then(resolve, reject).finally(callOff);
  });
}
