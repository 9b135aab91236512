/**
 * Reserves deliveries from one queue, and waits where there are none.
 *
 * Waiting blocks on BullMQ's marker, on a connection of its own: its member `0` says that jobs are ready, `1` when
 * the next delayed job is due. Who takes a marker away answers for it, so a wait that ends early puts it back.
 */
import { sleep } from "../concurrency/sleep.ts";
import { BackendError } from "../errors.ts";
import { LONGEST_WAIT_MS, MarkerWait, waitConnection } from "./marker-wait.ts";
import type { Leased, ReserveRequest } from "./reserve-script.ts";
import type { SettleLane } from "./settle.ts";
import type { StoredQueue } from "./stored-queue.ts";
import { newTokenBase } from "./token.ts";

export type { Leased } from "./reserve-script.ts";

/** Redis rounds shorter blocks up; a job that is due sooner is simply due. */
const SHORTEST_WAIT_MS = 2;
const GIVEN_BACK_AT_ONCE = 100;
/** Each comes a pause after the one before, so that what older ones may have leased has run out, as a rule. */
const MOST_UNANSWERED = 100;

/** What the jobs of one request are leased under: a text of its own, and the parts that it is put together of. */
export interface BatchToken {
  readonly text: string;
  readonly base: string;
  readonly number: number;
}

export class Reserver {
  readonly #queue: StoredQueue;
  readonly #lane: SettleLane;
  readonly #leaseMs: number;
  readonly #worker: string;
  readonly #markers: MarkerWait;
  readonly #tokenBase = `${newTokenBase()}:`;
  #batches = 0;
  /** Of requests that may have leased jobs without our hearing of it. */
  #unanswered: string[] = [];
  #nextDelayedAt = 0;
  #limitedUntil = 0;
  #heldUntil = 0;

  /**
   * @param options.leaseMs  how long a lease holds unless it is renewed
   * @param options.worker   name shown with the job as `processedBy`
   * @param options.markers  shared with the reservers of other queues on the same server. @default its own
   */
  constructor(queue: StoredQueue, lane: SettleLane, options: { readonly leaseMs: number; readonly worker: string; readonly markers?: MarkerWait | undefined }) {
    this.#queue = queue;
    this.#lane = lane;
    this.#leaseMs = options.leaseMs;
    this.#worker = options.worker;
    this.#markers = options.markers ?? new MarkerWait(queue.connections, waitConnection(queue));
  }

  /** What the next request leases its jobs under. */
  nextToken(): BatchToken {
    this.#batches += 1;
    return { text: `${this.#tokenBase}${this.#batches}`, base: this.#tokenBase, number: this.#batches };
  }

  /**
   * Takes at most `most` jobs that are ready; fewer means that no more are.
   *
   * @param token  one of `nextToken`, for one request
   * @throws BackendError when Redis does not answer; what it leased all the same, the next call takes
   */
  async take(most: number, { text: token } = this.nextToken()): Promise<readonly Leased[]> {
    if (this.#heldUntil > performance.now()) return [];
    return this.#ask({ most, token, leaseMs: this.#leaseMs, worker: this.#worker, unanswered: this.#unanswered });
  }

  /** The queue is rate limited, as a handler has found: nothing is taken here until then. */
  limitFor(ms: number): void {
    this.#heldUntil = performance.now() + ms;
  }

  /**
   * Waits until there may be something to take; returns early when `signal` fires.
   *
   * @returns whether it has taken a marker: who does not look now passes it on
   * @throws BackendError when the connection breaks
   */
  async wait(signal: AbortSignal): Promise<boolean> {
    // What the queue says is looked at again, since it may be lifted.
    const limitedMs = Math.max(this.#limitedUntil, this.#heldUntil) - performance.now();
    if (limitedMs > 0) {
      await sleep(Math.min(limitedMs, LONGEST_WAIT_MS), { signal }).catch(() => {});
      return false;
    }
    const waitMs = this.#nextDelayedAt === 0 ? LONGEST_WAIT_MS : this.#nextDelayedAt - this.#queue.connections.clock.now();
    if (waitMs < SHORTEST_WAIT_MS) return false;
    const marker = await this.#markers.wait(this.#queue.keys.marker, waitMs, signal);
    if (marker === undefined) return false;
    // What is delayed for ever is due at "inf".
    const dueAt = Number(marker) || 0;
    if (dueAt === 0) return true;
    // A marker of the delayed: it is now on us to be there in time.
    this.#nextDelayedAt = this.#nextDelayedAt === 0 ? dueAt : Math.min(dueAt, this.#nextDelayedAt);
    if (!signal.aborted) await this.wait(signal);
    return true;
  }

  /** Ends the connection, wakes another consumer in this one's stead, and gives back what requests without an answer have leased. */
  async close(): Promise<void> {
    this.#markers.close();
    await Promise.all([this.passOn(), this.#giveBack()]);
  }

  /** Wakes another consumer in this one's stead. */
  async passOn(): Promise<void> {
    await this.#queue.client.zadd(this.#queue.keys.marker, 0, "0");
  }

  async #giveBack(): Promise<void> {
    while (this.#unanswered.length > 0) {
      const request = { most: GIVEN_BACK_AT_ONCE, token: this.nextToken().text, leaseMs: this.#leaseMs, worker: this.#worker, unanswered: this.#unanswered };
      const leased = await this.#ask({ ...request, onlyUnanswered: true });
      await Promise.all(leased.map((each) => this.#lane.settle({ leased: each, kind: "release", delayMs: 0 })));
    }
  }

  async #ask(request: ReserveRequest): Promise<readonly Leased[]> {
    const { clock } = this.#queue.connections;
    const sentAt = performance.now();
    try {
      const { leased, now, nextDelayedAt, limitedForMs } = await this.#lane.reserve(request);
      clock.observe(now, performance.now() - sentAt);
      this.#nextDelayedAt = nextDelayedAt;
      this.#limitedUntil = limitedForMs > 0 ? performance.now() + limitedForMs : 0;
      // Those that have gone unanswered since it was sent it knew nothing of.
      if (leased.length < request.most) this.#unanswered = this.#unanswered.filter((token) => !request.unanswered.includes(token));
      return leased;
    } catch (error) {
      // What a script had leased when it broke off is leased all the same.
      if (!(error instanceof BackendError) || error.mayHaveRun) this.#unanswered = [...this.#unanswered, request.token].slice(-MOST_UNANSWERED);
      throw error;
    }
  }
}
