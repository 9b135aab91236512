/**
 * Settles and reserves in one queue. What ends in one turn of the event loop, and what is asked for in it, go out in one
 * script, settlements first.
 *
 * A settlement that Redis did not answer is sent again; one that had been applied after all is recognised as done. A
 * request that was not answered is not repeated: whoever made it asks again, and names it.
 */
import { sleep } from "../concurrency/sleep.ts";
import { startTimer } from "../concurrency/timer.ts";
import { BackendError } from "../errors.ts";
import type { Reserved, ReserveRequest } from "./reserve-script.ts";
import type { Settled } from "./settle-by-stock.ts";
import type { Settlement } from "./settlement.ts";
import type { StoredQueue } from "./stored-queue.ts";
import { takeTurn } from "./turn-script.ts";

export type { Settled } from "./settle-by-stock.ts";
export type { Retention } from "./retention-script.ts";
export type { Settlement } from "./settlement.ts";

/** Most jobs that one script settles or reserves: it holds Redis while it runs, 8 to 15 us a job. */
export const BATCH_JOBS = 200;
const BATCH_BYTES = 1 << 20;
const RESEND_PAUSE_MS = 100;
/** One is worked on by Redis while another comes. */
const MOST_ON_THEIR_WAY = 2;
const GATHER_MS = 20;

/** A settlement, and who hears what became of it: called back, not awaited, since a promise costs every job. */
export interface Ending {
  readonly settlement: Settlement;
  resolve(settled: Settled): void;
  /** With a BackendError when Redis has not answered within the patience. */
  reject(error: unknown): void;
}

interface Asking {
  readonly request: ReserveRequest;
  resolve(reserved: Reserved): void;
  reject(error: unknown): void;
}

interface Sent {
  readonly error: unknown;
  readonly unanswered: readonly Ending[];
}

const ANSWERED: Sent = Object.freeze({ error: undefined, unanswered: [] });

export class SettleLane {
  readonly #queue: StoredQueue;
  #patienceMs: number;
  #endings: Ending[] = [];
  #asking: Asking[] = [];
  #scheduled = false;
  #onTheirWay = 0;
  /** While what comes is gathered for longer than a turn of the loop. */
  #stopGathering: (() => void) | undefined;

  /**
   * @param patienceMs  for how long a settlement without an answer is sent again. It may be longer than a lease lasts:
   * a job that nobody has taken meanwhile is settled all the same
   */
  constructor(queue: StoredQueue, patienceMs: number) {
    this.#queue = queue;
    this.#patienceMs = patienceMs;
  }

  /**
   * Settles a delivery: before, or with, what is asked for last in the same turn of the event loop.
   *
   * @throws BackendError when Redis has not answered within the patience
   */
  settle(settlement: Settlement): Promise<Settled> {
    return new Promise((resolve, reject) => this.send({ settlement, resolve, reject }));
  }

  /** As `settle`, for who is called back, in a later turn; nobody's `resolve` or `reject` may throw. */
  send(ending: Ending): void {
    this.#endings.push(ending);
    this.#schedule();
  }

  /** @throws BackendError when Redis does not answer */
  reserve(request: ReserveRequest): Promise<Reserved> {
    return new Promise((resolve, reject) => {
      this.#asking.push({ request, resolve, reject });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const flush = (): void => this.#flush();
    // With nothing on its way it goes at once, together with what is ready now; else the loop may turn and gather more. Behind
    // so many it would only wait in Redis: it is gathered until one is back, though not for long, should none come back.
    if (this.#onTheirWay === 0) process.nextTick(flush);
    else if (this.#onTheirWay < MOST_ON_THEIR_WAY) setImmediate(flush);
    else this.#stopGathering = startTimer(GATHER_MS, flush);
  }

  #flush(): void {
    this.#scheduled = false;
    this.#stopGathering = undefined;
    const endings = inOrder(this.#endings);
    const asking = this.#asking;
    this.#endings = [];
    this.#asking = [];
    const batches = batchesOf(endings, Math.min(BATCH_JOBS, Math.ceil(endings.length / Math.max(asking.length, 1))));
    // The last go together: what is asked for finds settled what it can.
    for (let left = Math.max(batches.length, asking.length); left > 0; left -= 1) void this.#send(batches.at(-left) ?? [], asking.at(-left));
  }

  /** From now on nothing is sent again. */
  giveUp(): void {
    this.#patienceMs = 0;
  }

  async #send(endings: readonly Ending[], asking: Asking | undefined): Promise<void> {
    const startedAt = performance.now();
    let open = endings;
    let hasRun = false;
    for (let request = asking; ; request = undefined) {
      const { error, unanswered } = await this.#sendOnce(open, hasRun, request);
      if (unanswered.length === 0) return;
      if (!(error instanceof BackendError) && request !== undefined) {
        // The script may have broken off where it reserves: by themselves they are settled, or known to be.
        hasRun = true;
        continue;
      }
      if (!(error instanceof BackendError) || performance.now() - startedAt >= this.#patienceMs) {
        for (const ending of unanswered) ending.reject(error);
        return;
      }
      open = unanswered;
      hasRun ||= error.mayHaveRun;
      await sleep(RESEND_PAUSE_MS);
    }
  }

  /** Tells everybody who has an answer; gives back the others, and why they have none. */
  async #sendOnce(open: readonly Ending[], hasRun: boolean, asking: Asking | undefined): Promise<Sent> {
    this.#onTheirWay += 1;
    try {
      const turn = await takeTurn(this.#queue, open.map((ending) => ending.settlement), hasRun, asking?.request);
      if (turn.reserved !== undefined) asking?.resolve(turn.reserved);
      const unanswered: Ending[] = [];
      for (const [i, answer] of (await turn.settled).entries()) {
        if (answer === "unanswered") unanswered.push(open[i]!);
        else open[i]!.resolve(answer);
      }
      if (unanswered.length === 0) return ANSWERED;
      return { error: new BackendError("Redis did not answer", { mayHaveRun: true }), unanswered };
    } catch (error) {
      asking?.reject(error);
      return { error, unanswered: open };
    } finally {
      this.#onTheirWay -= 1;
      if (this.#stopGathering !== undefined) {
        this.#stopGathering();
        this.#stopGathering = undefined;
        setImmediate(() => this.#flush());
      }
    }
  }
}

/** What is given back is the next one again: the last delivery goes first, so that they stand as they were taken, however they ended. */
function inOrder(endings: readonly Ending[]): readonly Ending[] {
  if (!endings.some(isGivenBack)) return endings;
  const givenBack = endings.filter(isGivenBack).toSorted((one, other) => other.settlement.leased.fence - one.settlement.leased.fence);
  return [...endings.filter((ending) => !isGivenBack(ending)), ...givenBack];
}

function isGivenBack({ settlement }: Ending): boolean {
  return settlement.kind === "release" && settlement.delayMs === 0;
}

/** In order, at most so many each; one goes whatever its size. */
function batchesOf(endings: readonly Ending[], most: number): Ending[][] {
  const batches: Ending[][] = [];
  let from = 0;
  let bytes = 0;
  for (const [i, { settlement }] of endings.entries()) {
    const size = textOf(settlement).length;
    if (i > from && (i - from === most || bytes + size > BATCH_BYTES)) {
      batches.push(endings.slice(from, i));
      from = i;
      bytes = 0;
    }
    bytes += size;
  }
  if (from < endings.length) batches.push(endings.slice(from));
  return batches;
}

function textOf(settlement: Settlement): string {
  if (settlement.kind === "ack") return settlement.result;
  return settlement.kind === "release" ? "" : settlement.reason;
}
