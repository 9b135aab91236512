/** A queue as plain data: what puts and turns should make of it, in which order, and what they should tell. */
import type { NewJob } from "../../src/store/put-script.ts";
import type { Settlement } from "../../src/store/settlement.ts";

interface ModelJob {
  readonly put: NewJob;
  starts: number;
  attemptsMade: number;
  /** Of the request that holds it. */
  token: string;
}

/** What a request should get. */
export interface Taken {
  readonly ids: readonly string[];
  /** More may be ready than was taken. */
  readonly isFull: boolean;
  readonly isLimited: boolean;
}

const PRIORITY = 2 ** 32;
const BATCH_BYTES = 1 << 20;

export class QueueModel {
  isPaused = false;
  concurrency = Infinity;
  max = Infinity;
  /** Of `max`, in the time that runs. */
  used = 0;
  readonly jobs = new Map<string, ModelJob>();
  /** The next one first. */
  wait: string[] = [];
  readonly prioritized = new Map<string, number>();
  readonly delayed = new Set<string>();
  /** Of these, those that are due, in order. */
  due: string[] = [];
  /** The oldest first. */
  active: string[] = [];
  readonly completed = new Set<string>();
  readonly failed = new Set<string>();
  readonly events: string[] = [];
  #order = 0;

  get areReady(): boolean {
    return this.wait.length + this.prioritized.size > 0;
  }

  get hasRoom(): boolean {
    return !this.isPaused && this.active.length < this.concurrency && this.used < this.max;
  }

  byPriority(): string[] {
    return [...this.prioritized].toSorted(([one, a], [other, b]) => a - b || (one < other ? -1 : 1)).map(([id]) => id);
  }

  put(batch: readonly NewJob[]): void {
    const behind: string[] = [];
    for (const job of batch) {
      if (this.jobs.has(job.id)) {
        this.events.push(`duplicated ${job.id}`);
        continue;
      }
      this.jobs.set(job.id, { put: job, starts: 0, attemptsMade: 0, token: "" });
      this.events.push(`added ${job.id}`);
      if (job.delayMs > 0) this.#delay(job.id);
      else {
        if (job.priority > 0) this.#prioritize(job.id);
        else if (job.lifo) this.wait.unshift(job.id);
        else behind.push(job.id);
        this.events.push(`waiting ${job.id}`);
      }
    }
    this.wait.push(...behind);
  }

  settle(settlements: readonly Settlement[]): void {
    const ended: string[] = [];
    for (const settlement of settlements) {
      const { id } = settlement.leased.job;
      const job = this.jobs.get(id)!;
      this.active = this.active.filter((each) => each !== id);
      if (settlement.kind !== "release") job.attemptsMade += 1;
      if (settlement.kind === "ack" || settlement.kind === "fail") {
        const isAck = settlement.kind === "ack";
        if (settlement.keep.count === 0) this.jobs.delete(id);
        else (isAck ? this.completed : this.failed).add(id);
        ended.push(`${isAck ? "completed" : "failed"} ${id}`);
        if (settlement.kind === "fail" && job.attemptsMade >= settlement.attempts) ended.push(`retries-exhausted ${id}`);
      } else if (settlement.delayMs > 0) this.#delay(id);
      else {
        if (job.put.priority > 0) this.#prioritize(id, settlement.kind === "release");
        else if (settlement.kind === "release") this.wait.unshift(id);
        else this.wait.push(id);
        this.events.push(`waiting ${id}`);
      }
    }
    this.events.push(...ended);
  }

  take(most: number, token: string, unanswered: readonly string[]): Taken {
    const before = this.active.filter((id) => unanswered.includes(this.jobs.get(id)!.token)).slice(0, most);
    for (const id of before) this.jobs.get(id)!.token = token;
    if (before.length > 0) return { ids: before, isFull: true, isLimited: false };

    for (const id of this.due) {
      this.delayed.delete(id);
      if (this.jobs.get(id)!.put.priority > 0) this.#prioritize(id);
      else this.wait.push(id);
      this.events.push(`waiting ${id}`);
    }
    this.due = [];
    const free = this.isPaused ? 0 : Math.min(most, this.concurrency - this.active.length);
    const ids = [...this.wait, ...this.byPriority()].slice(0, Math.max(0, Math.min(free, this.max - this.used)));
    if (ids.length === 0 && this.hasRoom) this.#order = 0;
    let bytes = 0;
    const fitting = ids.findIndex((id) => bytes > BATCH_BYTES || ((bytes += this.jobs.get(id)!.put.data.length), false));
    if (fitting !== -1) ids.length = fitting;
    for (const id of ids) {
      const job = this.jobs.get(id)!;
      job.starts += 1;
      job.token = token;
      this.prioritized.delete(id);
      this.active.push(id);
      this.events.push(`active ${id}`);
    }
    this.wait = this.wait.filter((id) => !ids.includes(id));
    this.used += this.max === Infinity ? 0 : ids.length;
    return { ids, isFull: ids.length === most || fitting !== -1, isLimited: free > 0 && this.used >= this.max };
  }

  #delay(id: string): void {
    this.delayed.add(id);
    this.events.push(`delayed ${id}`);
  }

  #prioritize(id: string, isFirst = false): void {
    if (!isFirst) this.#order += 1;
    this.prioritized.set(id, this.jobs.get(id)!.put.priority * PRIORITY + (isFirst ? 0 : this.#order));
  }
}
