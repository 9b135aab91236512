/** Moves a queue to another name, prefix or server: batch by batch, so that every job is in one place or on its way. */
import { randomBytes } from "node:crypto";
import { OptionError, StateError } from "../errors.ts";
import { check, checkOptions } from "../options.ts";
import { countJobs } from "../store/count.ts";
import { readRecords, writeRecords } from "../store/job-records.ts";
import { beginMove, endMove, leave, movedKey, park, standingMove, type Move, type MovedState } from "../store/parked.ts";
import { partitionsOf } from "../store/partitions.ts";
import { isPaused } from "../store/queue-settings.ts";
import { ReplicatedWrites } from "../store/replicated-writes.ts";
import { readRedactions, writeRedactions } from "../store/redactions.ts";
import { readSchedules, removeSchedule, writeSchedule } from "../store/schedule-records.ts";
import { readShares, writeShares } from "../store/settings-shares.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import type { Operator } from "./operator.ts";

export interface MoveOptions {
  /** Told after each batch how many jobs have been moved. */
  readonly onProgress?: (moved: number) => void;
  /** Ends it after the batch that is on its way; the same move again goes on. */
  readonly signal?: AbortSignal;
}

export interface MoveResult {
  readonly queue: string;
  readonly to: string;
  readonly moved: number;
  readonly schedules: number;
  /** The other queue is paused: as this one is, where it had no settings of its own. */
  readonly paused: boolean;
  /** What was left: jobs that run, those of flows, which are bound to their queues, and those whose id the other queue has. */
  readonly left: { readonly active: number; readonly flow: number; readonly taken: readonly string[] };
}

const ORDER: readonly MovedState[] = ["waiting", "prioritized", "delayed", "failed", "completed"];
const BATCH = { jobs: 500, bytes: 1 << 20 };
const MOST_TOLD = 100;

/**
 * Moves what does not run: jobs of every state with their order, attempts, times, results and failures, and schedules. Settings
 * go along where the other queue has none. Interrupted, even by `kill -9`, the same move again goes on: nothing is lost, nothing
 * doubled. Until then at most one batch is in neither queue, and `doctor` tells of it; should the other queue be lost for good, see `giveBackMove`. Where a server has a replica, each step waits
 * until it has it too, so a fail-over of either is but an interruption.
 *
 * Nobody is stopped meanwhile: what a worker of this queue takes runs here, what is put is moved, as long as anything is there.
 *
 * @param target  the operator of the other queue; the same one for another name
 * @throws ReadOnlyError, OptionError before any I/O; NotFoundError; StateError when a move to elsewhere was interrupted, or when limits of its partitions cannot be had there: nothing is changed then; also when this one was given back meanwhile; BackendError, BackendFullError; the signal's reason
 */
export async function moveQueue(operator: Operator, name: string, target: Operator, to: string, options?: MoveOptions): Promise<MoveResult> {
  const { onProgress, signal } = checkOptions("moveQueue", options, { onProgress: check.callback<(moved: number) => void>(), signal: check.signal() });
  const destination = target.queue(to);
  operator.queue(name);
  target.assertMayChange("queue move");
  const change = { command: "queue move", target: name, details: { to: placeOf(target, to) } };
  return operator.change(change, async (touch) => {
    await target.ready();
    if (placeOf(operator, name) === placeOf(target, to)) throw new OptionError(`expected another queue to move ${name} to, got itself`);
    const source = await operator.existing(name);
    const moving = new Moving(destination, placeOf(target, to), signal, (moved) => {
      touch(moved);
      onProgress?.(moved);
    });
    const parts = await partitionsOf(source);
    const moves = await moving.begin(parts);
    const sources = parts.map((part) => new ReplicatedWrites(part));
    for (const [i, part] of parts.entries()) await moving.all(part, sources[i]!, moves[i]!);
    // One that stands until all have moved tells a repeat that the settings went along.
    for (const [i, part] of parts.entries()) await sources[i]!.do(() => endMove(part));
    await target.added(change, moving.moved);
    const { active, flow, taken } = moving.left;
    if (active + flow + taken.length > 0) touch(moving.moved, { missed: new StateError(`left behind: ${active} active, ${flow} of flows, ${taken.length} whose ids are taken`) });
    return { queue: name, to, moved: moving.moved, schedules: moving.schedules, paused: await isPaused(destination), left: moving.left };
  });
}

/**
 * Whether a move to there may begin: for who is asked before it does.
 *
 * @throws StateError when a move to elsewhere was interrupted; NotFoundError; BackendError
 */
export async function assertMayMove(operator: Operator, name: string, target: Operator, to: string): Promise<void> {
  const parts = await partitionsOf(await operator.existing(name));
  assertOneTarget(await standingMoves(parts), placeOf(target, to));
}

async function standingMoves(parts: readonly StoredQueue[]): Promise<Move[]> {
  return (await Promise.all(parts.map(standingMove))).filter((move) => move !== undefined);
}

function assertOneTarget(moves: readonly Move[], place: string): void {
  const other = moves.find(({ to }) => to !== place);
  if (other !== undefined) throw new StateError(`expected to go on with the move to ${other.to}, which was interrupted, got one to ${place}: do that one again first, or, if that place is lost, give back what is on its way to it (--give-back)`);
}

function placeOf({ connections, prefix }: Operator, name: string): string {
  return `${connections.address} ${prefix} ${name}`;
}

class Moving {
  moved = 0;
  schedules = 0;
  readonly left = { active: 0, flow: 0, taken: [] as string[] };
  readonly #to: StoredQueue;
  readonly #target: ReplicatedWrites;
  readonly #place: string;
  readonly #signal: AbortSignal | undefined;
  readonly #onMoved: (moved: number) => void;

  constructor(to: StoredQueue, place: string, signal: AbortSignal | undefined, onMoved: (moved: number) => void) {
    this.#to = to;
    this.#target = new ReplicatedWrites(to);
    this.#place = place;
    this.#signal = signal;
    this.#onMoved = onMoved;
  }

  /** Settings go first, and once: what is set there meanwhile is kept. */
  async begin(parts: readonly StoredQueue[]): Promise<Move[]> {
    const standing = await standingMoves(parts);
    assertOneTarget(standing, this.#place);
    if (standing.length === 0) await writeShares(this.#to, await readShares(parts));
    const moves = await Promise.all(parts.map((part) => beginMove(part, { id: randomBytes(9).toString("base64url"), to: this.#place })));
    assertOneTarget(moves, this.#place);
    return moves;
  }

  async all(source: StoredQueue, writes: ReplicatedWrites, move: Move): Promise<void> {
    // Before there is a job that somebody could read.
    await writeRedactions(this.#to, await readRedactions(source));
    // A run that comes there must find its schedule; here it goes when none of its runs is left.
    const schedules = await readSchedules(source);
    for (const schedule of schedules) await writeSchedule(this.#to, schedule);
    for (let moved = -1; moved !== this.moved; ) {
      moved = this.moved;
      this.left.flow = 0;
      this.left.taken = [];
      for (const state of ORDER) await this.#state(source, writes, move, state);
    }
    for (const schedule of await readSchedules(source)) {
      await this.#target.do(() => writeSchedule(this.#to, schedule));
      if (await removeSchedule(source, schedule.schedule)) this.schedules += 1;
    }
    const { active, "waiting-children": children } = await countJobs(source);
    this.left.active += active;
    this.left.flow += children;
  }

  async #state(source: StoredQueue, writes: ReplicatedWrites, move: Move, state: MovedState): Promise<void> {
    for (let passed = 0; ; ) {
      this.#signal?.throwIfAborted();
      // Were this undone after the next step, it would be in both queues.
      const batch = await writes.do(() => park(source, move.id, state, passed, BATCH));
      if (batch.places.length === 0 && batch.passed === 0) return;
      this.left.flow += batch.passed;
      passed += batch.passed;
      if (batch.places.length === 0) continue;
      const records = await readRecords(source, batch.places);
      const taken = await this.#target.do(() => writeRecords(this.#to, records, { key: movedKey(this.#to, move.id), number: batch.number }));
      passed += taken.length;
      this.left.taken.push(...taken.slice(0, MOST_TOLD - this.left.taken.length));
      this.moved += await leave(source, move.id, batch.number, taken);
      this.#onMoved(this.moved);
    }
  }
}
