/**
 * Walks the jobs of one state, a page at a time, while the queue moves: a page begins after the last job of the one
 * before, wherever that is by then. So every job that stays in its place is met, and met once.
 *
 * Lists have no index: a job's place is counted from the end that is taken from. Where the last job met is gone itself,
 * all before it were taken too, unless an operator took it; then those before it are met again.
 */
import type { JobState } from "../job/state.ts";
import { runPacked, type Script } from "../redis/script.ts";
import type { StoredQueue } from "./stored-queue.ts";

/** A job as it is met. Instants in milliseconds by the server's clock. */
export interface WalkedJob {
  readonly id: string;
  /** Empty when only its id is left. */
  readonly name: string;
  readonly state: JobState;
  readonly putAt: number;
  /** When its last attempt began. */
  readonly startedAt: number | undefined;
  readonly finishedAt: number | undefined;
  /** When a delayed job is due. */
  readonly dueAt: number | undefined;
  /** That have ended. */
  readonly attempts: number;
  readonly priority: number;
  /** What ended its last attempt, or the job. */
  readonly reason: string | undefined;
}

/** Jobs a page: one or two milliseconds of the server. */
const PAGE = 500;
const FIELDS = ["name", "timestamp", "processedOn", "finishedOn", "atm", "priority", "failedReason"] as const;

type Row = readonly [id: string, score: string | false, fields: readonly (string | false)[]];

/** Pages of the state's jobs: what is next first; of what has ended, the last to end. @throws BackendError */
export interface Walk {
  /** The next page; an empty one is the end. */
  next(): Promise<readonly WalkedJob[]>;
  /** Jobs that were passed before the last page, in a list: where `removeJobs` looks first. */
  readonly place: number;
  /** Those of the last page that `isTaken` names were taken from their state by whoever walks. */
  took(isTaken: (id: string) => boolean): void;
}

export function walk(queue: StoredQueue, state: JobState): Walk {
  const { keys } = queue;
  if (state === "waiting") return inTurn([new ListWalk(queue, state, keys.wait), new ListWalk(queue, state, keys.paused)]);
  if (state === "active") return new ListWalk(queue, state, keys.active);
  return new SetWalk(queue, state, { prioritized: keys.prioritized, delayed: keys.delayed, "waiting-children": keys.waitingChildren, completed: keys.completed, failed: keys.failed }[state]);
}

function inTurn(walks: Walk[]): Walk {
  let at = 0;
  return {
    async next() {
      for (; at < walks.length; at += 1) {
        const page = await walks[at]!.next();
        if (page.length > 0) return page;
      }
      return [];
    },
    get place() {
      return walks[at]?.place ?? 0;
    },
    took: (isTaken) => walks[at]?.took(isTaken),
  };
}

class ListWalk implements Walk {
  readonly #queue: StoredQueue;
  readonly #state: JobState;
  readonly #key: string;
  /** Jobs that were passed, counted from the end of the list. */
  #passed = 0;
  /** The last of them, and the last before the page that was given last. */
  #anchor = "";
  #before = "";
  #page: readonly WalkedJob[] = [];

  constructor(queue: StoredQueue, state: JobState, key: string) {
    this.#queue = queue;
    this.#state = state;
    this.#key = key;
  }

  get place(): number {
    return this.#passed - this.#page.length;
  }

  async next(): Promise<readonly WalkedJob[]> {
    const { client, keys } = this.#queue;
    const [passed, rows] = (await runPacked(client, PAGE_OF_LIST, [this.#key], [keys.base, PAGE, this.#passed, this.#anchor, ...FIELDS])) as [number, Row[]];
    this.#page = rows.map((row) => toJob(row, this.#state));
    this.#passed = passed + rows.length;
    this.#before = passed === 0 ? "" : this.#anchor;
    this.#anchor = this.#page.at(-1)?.id ?? this.#anchor;
    return this.#page;
  }

  took(isTaken: (id: string) => boolean): void {
    const left = this.#page.filter(({ id }) => !isTaken(id));
    this.#passed -= this.#page.length - left.length;
    this.#anchor = left.at(-1)?.id ?? this.#before;
    this.#page = left;
  }
}

class SetWalk implements Walk {
  readonly place = 0;
  readonly #queue: StoredQueue;
  readonly #state: JobState;
  readonly #key: string;
  readonly #isReverse: boolean;
  #anchor: { readonly id: string; readonly score: string } | undefined;

  constructor(queue: StoredQueue, state: JobState, key: string) {
    this.#queue = queue;
    this.#state = state;
    this.#key = key;
    this.#isReverse = state === "completed" || state === "failed";
  }

  async next(): Promise<readonly WalkedJob[]> {
    const { client, keys } = this.#queue;
    for (;;) {
      const after = this.#anchor;
      const args = [keys.base, PAGE, this.#isReverse ? 1 : 0, after?.id ?? "", after?.score ?? "", ...FIELDS];
      const [isExact, rows] = (await runPacked(client, PAGE_OF_SET, [this.#key], args)) as [boolean, Row[]];
      const last = rows.at(-1);
      if (last === undefined) return [];
      this.#anchor = { id: last[0], score: String(last[1]) };
      const isMet = ([id, score]: Row): boolean => after !== undefined && score === after.score && this.#isAtOrBefore(id, after.id);
      const page = (isExact ? rows : rows.filter((row) => !isMet(row))).map((row) => toJob(row, this.#state));
      if (page.length > 0) return page;
    }
  }

  /** The place of the last job met is its score and its id, whether or not it is still there. */
  took(): void {}

  /** As Redis orders members of one score: byte by byte. */
  #isAtOrBefore(id: string, other: string): boolean {
    const order = Buffer.compare(Buffer.from(id), Buffer.from(other));
    return this.#isReverse ? order >= 0 : order <= 0;
  }
}

function toJob([id, score, fields]: Row, state: JobState): WalkedJob {
  const [name, putAt, startedAt, finishedAt, attempts, priority, reason] = fields;
  return {
    id,
    name: name || "",
    state,
    putAt: numberOf(putAt) ?? 0,
    startedAt: numberOf(startedAt),
    finishedAt: numberOf(finishedAt),
    dueAt: state === "delayed" ? Math.floor(Number(score) / 0x1000) : undefined,
    attempts: numberOf(attempts) ?? 0,
    priority: numberOf(priority) ?? 0,
    reason: reason || undefined,
  };
}

function numberOf(text: string | false | undefined): number | undefined {
  const value = Number(text || NaN);
  return Number.isFinite(value) ? value : undefined;
}

/**
 * KEYS  list
 * ARGV  base, size, jobs passed from the end, the last of them or "", field…
 * reply msgpack {jobs passed by now, {{id, false, {value or false, …}}, …}}
 *
 * The last one passed is looked for near where it was before it is looked for everywhere.
 */
const PAGE_OF_LIST: Script = {
  name: "page-of-list",
  lua: `
local list, base, size, passed, anchor = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local near = 2000
if anchor == '' then
  passed = 0
elseif redis.call('LINDEX', list, -passed) ~= anchor then
  local first = math.max(1, passed - near)
  local found
  local window = redis.call('LRANGE', list, -(passed + near), -first)
  for i = #window, 1, -1 do
    if window[i] == anchor then found = first + #window - i break end
  end
  if not found then
    local at = redis.call('LPOS', list, anchor, 'RANK', -1)
    found = at and redis.call('LLEN', list) - at
  end
  passed = found or 0
end
local rows = {}
local ids = redis.call('LRANGE', list, -(passed + size), -(passed + 1))
for i = #ids, 1, -1 do rows[#rows + 1] = {ids[i], false, redis.call('HMGET', base .. ids[i], unpack(ARGV, 5))} end
return cmsgpack.pack({passed, rows})
`,
};

/**
 * KEYS  sorted set
 * ARGV  base, size, 1 for the highest score first, the last id met or "", its score, field…
 * reply msgpack {whether the page begins after that one, {{id, score, {value or false, …}}, …}}
 *
 * Where the last one met is gone, or stands elsewhere, the page begins with all of its score.
 */
const PAGE_OF_SET: Script = {
  name: "page-of-set",
  lua: `
local set, base, size, reverse, anchor, score = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1', ARGV[4], ARGV[5]
local from, exact = 0, true
if anchor ~= '' then
  exact = redis.call('ZSCORE', set, anchor) == score
  if exact then
    from = redis.call(reverse and 'ZREVRANK' or 'ZRANK', set, anchor) + 1
  elseif reverse then
    from = redis.call('ZCOUNT', set, '(' .. score, '+inf')
  else
    from = redis.call('ZCOUNT', set, '-inf', '(' .. score)
  end
end
local rows = {}
local found = redis.call(reverse and 'ZREVRANGE' or 'ZRANGE', set, from, from + size - 1, 'WITHSCORES')
for i = 1, #found, 2 do rows[#rows + 1] = {found[i], found[i + 1], redis.call('HMGET', base .. found[i], unpack(ARGV, 6))} end
return cmsgpack.pack({exact, rows})
`,
};
