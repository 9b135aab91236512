/**
 * Reserves deliveries from one queue, and waits where there are none.
 *
 * Waiting blocks on BullMQ's marker, on a connection of its own: its member `0` says that jobs are ready, `1` when
 * the next delayed job is due. Who takes a marker away answers for it, so a wait that ends early puts it back.
 */
import { sleep } from "../concurrency/sleep.ts";
import { BackendError } from "../errors.ts";
import { extendLeases } from "./extend.ts";
import { LONGEST_WAIT_MS, MarkerWait, waitConnection } from "./marker-wait.ts";
import type { Leased, Reserved, ReserveRequest } from "./reserve-script.ts";
import type { SettleLane } from "./settle.ts";
import type { StoredQueue } from "./stored-queue.ts";
import { newTokenBase } from "./token.ts";
import { takeTurn } from "./turn-script.ts";

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

/** By which the clock of the day is ahead of the other one, which may stand still while a machine sleeps. */
const clockDifference = (): number => Date.now() - performance.now();
const SLEPT_MS = 1000;

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
    return this.#ask(this.#request(most, token));
  }

  /** Whether `takeWhenReady` can end by its signal, as far as is known. */
  get canTakeWhenReady(): boolean {
    return this.#markers.endsBlocks;
  }

  /**
   * Waits as `wait` does, and takes at most `most` jobs the moment it is over: the request stands in Redis behind the block, so that what
   * wakes this process brings them along. They are leased also where it does not wake: this is for few jobs, and for who does nothing else.
   * What is due soon it does not take: whose request stood there first would have it each time, however often it gives it back.
   *
   * @returns what it has taken, also when `signal` has fired; none is no sign that there are none
   * @throws BackendError when the connection breaks; what it leased all the same, the next call takes. What Redis says of the marker or the script
   */
  async takeWhenReady(most: number, signal: AbortSignal, { text: token }: BatchToken): Promise<readonly Leased[]> {
    const waitMs = await this.#markerMs(signal);
    if (waitMs < LONGEST_WAIT_MS) return this.#waitFor(waitMs, signal).then(() => []);
    const request = this.#request(most, token);
    let answer: Promise<Reserved> | undefined;
    const over = this.#markers.wait(this.#queue.keys.marker, waitMs, signal, (client) => {
      answer = this.#askBehind(client, request);
      answer.catch(() => {}); // it is listened to below
    });
    const [block] = await Promise.allSettled([over]);
    const leased = answer === undefined ? [] : (await this.#heard(request, answer)).leased;
    if (block.status === "rejected" && leased.length === 0) throw block.reason;
    return leased;
  }

  /** Only what still holds: the process, or its machine, may have slept since it was answered. */
  async #askBehind(client: StoredQueue["client"], request: ReserveRequest): Promise<Reserved> {
    const sentOn = clockDifference();
    const reserved = (await takeTurn(this.#queue, [], false, request, client)).reserved!;
    const ageMs = this.#queue.connections.clock.now() - reserved.now;
    if (ageMs < this.#leaseMs / 4 && Math.abs(clockDifference() - sentOn) < SLEPT_MS) return reserved;
    try {
      const lost = await extendLeases(this.#queue, reserved.leased, this.#leaseMs);
      return { ...reserved, leased: reserved.leased.filter((each) => !lost.includes(each)) };
    } catch (error) {
      this.#noteUnanswered(request);
      throw error;
    }
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
    return this.#waitFor(await this.#markerMs(signal), signal);
  }

  async #waitFor(waitMs: number, signal: AbortSignal): Promise<boolean> {
    const marker = waitMs === 0 ? undefined : await this.#markers.wait(this.#queue.keys.marker, waitMs, signal);
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
      const leased = await this.#ask({ ...this.#request(GIVEN_BACK_AT_ONCE, this.nextToken().text), onlyUnanswered: true });
      await Promise.all(leased.map((each) => this.#lane.settle({ leased: each, kind: "release", delayMs: 0 })));
    }
  }

  /** How long a marker is to be waited for, `LONGEST_WAIT_MS` where nothing is due before; 0 where there is no need to, or where it has waited in its stead. */
  async #markerMs(signal: AbortSignal): Promise<number> {
    // What the queue says is looked at again, since it may be lifted.
    const limitedMs = Math.max(this.#limitedUntil, this.#heldUntil) - performance.now();
    if (limitedMs > 0) {
      await sleep(Math.min(limitedMs, LONGEST_WAIT_MS), { signal }).catch(() => {});
      return 0;
    }
    const waitMs = this.#nextDelayedAt === 0 ? LONGEST_WAIT_MS : this.#nextDelayedAt - this.#queue.connections.clock.now();
    return waitMs < SHORTEST_WAIT_MS ? 0 : Math.min(waitMs, LONGEST_WAIT_MS);
  }

  #request(most: number, token: string): ReserveRequest {
    return { most, token, leaseMs: this.#leaseMs, worker: this.#worker, unanswered: this.#unanswered };
  }

  async #ask(request: ReserveRequest): Promise<readonly Leased[]> {
    const sentAt = performance.now();
    const { leased, now } = await this.#heard(request, this.#lane.reserve(request));
    this.#queue.connections.clock.observe(now, performance.now() - sentAt);
    return leased;
  }

  async #heard(request: ReserveRequest, answer: Promise<Reserved>): Promise<Reserved> {
    try {
      const reserved = await answer;
      const { leased, nextDelayedAt, limitedForMs } = reserved;
      this.#nextDelayedAt = nextDelayedAt;
      this.#limitedUntil = limitedForMs > 0 ? performance.now() + limitedForMs : 0;
      // Those that have gone unanswered since it was sent it knew nothing of.
      if (leased.length < request.most) this.#unanswered = this.#unanswered.filter((token) => !request.unanswered.includes(token));
      return reserved;
    } catch (error) {
      // What a script had leased when it broke off is leased all the same.
      if (!(error instanceof BackendError) || error.mayHaveRun) this.#noteUnanswered(request);
      throw error;
    }
  }

  #noteUnanswered({ token }: ReserveRequest): void {
    this.#unanswered = [...this.#unanswered.filter((other) => other !== token), token].slice(-MOST_UNANSWERED);
  }
}
