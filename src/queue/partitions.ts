/**
 * A queue as those see it who use it: one queue of Redis, or several that are one to them. A job of ours is in the partition
 * that its id tells. The queue of the plain prefix is one of them too, though nothing is put there: jobs from before there
 * were partitions, and those of stock producers, are taken from it.
 */
import type { OpenQueue } from "./open-queue.ts";
import { newJobId, newJobIdIn } from "./job-id.ts";
import { partitionOf } from "./partition-of.ts";

/** Where a new job goes. */
export interface Place {
  readonly id: string;
  readonly queue: OpenQueue;
}

export class Partitions {
  readonly name: string;
  /** Every queue of Redis that this is. */
  readonly all: readonly OpenQueue[];
  readonly #plain: OpenQueue;
  readonly #spread: readonly OpenQueue[];
  /** A process that puts one job and ends must not always put it into the first. */
  #next = Math.floor(Math.random() * 256);

  /** @param spread  none where the plain queue is all there is */
  constructor(plain: OpenQueue, spread: readonly OpenQueue[]) {
    this.name = plain.name;
    this.all = [plain, ...spread];
    this.#plain = plain;
    this.#spread = spread;
  }

  get log(): OpenQueue["log"] {
    return this.#plain.log;
  }

  get closed(): boolean {
    return this.#plain.closed;
  }

  /** Connects to all of them when nobody has yet. @throws BackendError, PreflightError, PartitionsError */
  async ready(): Promise<void> {
    if (this.#spread.length === 0) await this.#plain.ready();
    else await Promise.all(this.all.map((queue) => queue.ready()));
  }

  /** Where the job of that id is, if it is anywhere; or in the `plain` of that. */
  at(id: string): OpenQueue {
    const { length } = this.#spread;
    // Ids that are BullMQ's own, of a number or of a schedule.
    if (length === 0 || /^\d+$|:/.test(id)) return this.#plain;
    return this.#spread[partitionOf(id, length)]!;
  }

  /** Where a new job goes: by its id, by the key that it is put by, or one partition after the other. */
  place(id: string | undefined, key: string | undefined): Place {
    const { length } = this.#spread;
    if (length === 0) return { id: id ?? newJobId(), queue: this.#plain };
    if (id !== undefined) return { id, queue: this.at(id) };
    const partition = key === undefined ? this.#next++ % length : partitionOf(key, length);
    return { id: newJobIdIn(partition, length), queue: this.#spread[partition]! };
  }
}
