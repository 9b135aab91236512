/** What the scripts of the store are broken off in: each a queue in which one call of a verb does all that its script can do. */
import { expect } from "vitest";
import type { ForeignClient } from "../../src/redis/foreign-script.ts";
import { requestCancel } from "../../src/store/cancel.ts";
import { claimExpired } from "../../src/store/claim.ts";
import { extendLeases } from "../../src/store/extend.ts";
import { writeRecords, type JobRecord } from "../../src/store/job-records.ts";
import { producerKey } from "../../src/store/keys.ts";
import { beginMove, giveBack, leave, park, parkedJobs, parkedKey, type MovedState } from "../../src/store/parked.ts";
import { putJobs, type NewJob } from "../../src/store/put-script.ts";
import { readSchedules, removeSchedule, writeSchedule } from "../../src/store/schedule-records.ts";
import { removeJobs, type RemovableState } from "../../src/store/remove.ts";
import { Reserver, type Leased } from "../../src/store/reserve.ts";
import { retryEnded } from "../../src/store/retry.ts";
import type { Settlement } from "../../src/store/settlement.ts";
import { SettleLane } from "../../src/store/settle.ts";
import { addPlainJobs, type PlainJob } from "../../src/store/stock-put-script.ts";
import { takeStockTurn, type Fetch, type Finish, type Limits } from "../../src/store/stock-turn-script.ts";
import type { StoredQueue } from "../../src/store/stored-queue.ts";
import { takeTurn } from "../../src/store/turn-script.ts";
import { newJob, putAll } from "./opened-queue.ts";

export interface Scene {
  /** The script that is broken off. */
  readonly script: string;
  readonly name: string;
  prepare(queue: StoredQueue): Promise<unknown>;
  /** The verb. */
  act(queue: StoredQueue): Promise<unknown>;
  /** The verb again, where that is another call; it may look at its answer. */
  again?(queue: StoredQueue): Promise<unknown>;
  /** Where each job may stand when all is over; "gone" is one place. */
  readonly ends: Readonly<Record<string, readonly string[]>>;
  /** Other places than the states. */
  elsewhere?(queue: StoredQueue, id: string): Promise<string[]>;
  /** Jobs that were to go, and may leave what was kept of them behind, in no state. */
  readonly litter?: readonly string[];
}

const LATE = 50_000;
const take = (queue: StoredQueue, most: number): Promise<readonly Leased[]> => new Reserver(queue, new SettleLane(queue, 1000), { leaseMs: 10_000, worker: "w" }).take(most);
const waiting = [newJob("plain"), newJob("high", { priority: 3 }), newJob("due", { delayMs: LATE }), newJob("due-high", { delayMs: LATE, priority: 2 })];
const waitingEnds = { plain: ["wait"], high: ["prioritized"], due: ["wait"], "due-high": ["prioritized"] };

/** Plain and prioritized jobs, and such that are due. */
async function putWaiting(queue: StoredQueue): Promise<void> {
  await putAll(queue, waiting);
  for (const id of ["due", "due-high"]) await queue.client.zadd(queue.keys.delayed, "XX", 4096, id);
}

const puts = [newJob("a"), newJob("late", { delayMs: LATE }), newJob("high", { priority: 1 }), newJob("lifo", { lifo: true }), newJob("b", { timeoutMs: 5, deadlineMs: 6, expireAtMs: 7 })];
const putEnds = { first: ["wait"], a: ["wait"], late: ["delayed"], high: ["prioritized"], lifo: ["wait"], b: ["wait"] };
const put = (queue: StoredQueue, own: number, jobs: readonly NewJob[]) => putJobs(queue, "p", { own, lowestOpen: 1, heard: [1] }, 20, jobs);

/** The producer's numbers are at 2, or at 5 with a gap; its hash is to be renewed, or not. */
function putting(name: string, own: number, last: number, renews: boolean): Scene {
  const sent = async (queue: StoredQueue): Promise<unknown> => put(queue, own, [newJob("first"), ...puts]);
  return {
    script: "put",
    name,
    async prepare(queue) {
      await put(queue, last, [newJob("first")]);
      if (renews) await queue.client.hset(producerKey(queue.keys, "p"), "r", 0);
    },
    act: sent,
    // It is as if nothing had been put yet; and sent once more, it has.
    again: async (queue) => {
      for (let i = 0; i < 2; i += 1) expect(await sent(queue)).toEqual({ state: "put", existing: new Set([0]) });
    },
    ends: putEnds,
  };
}

const plainJob = (id: string, lifo: 0 | 1 = 0): PlainJob => [id, "job", "{}", "{}", 1_700_000_000_000, lifo];
const addPlain = ({ client, keys }: StoredQueue, jobs: readonly PlainJob[]): Promise<string[]> => addPlainJobs(client as unknown as ForeignClient, keys, jobs);

/** Settled in every way. */
const ways: readonly ((leased: Leased) => Settlement)[] = [
  (leased) => ({ leased, kind: "ack", result: "1", keep: { count: 2, ageMs: 60_000 } }),
  (leased) => ({ leased, kind: "ack", result: "1", keep: { count: 0 } }),
  (leased) => ({ leased, kind: "fail", reason: "r", stack: [], attempts: 1, keep: {} }),
  (leased) => ({ leased, kind: "retry", reason: "r", stack: [], delayMs: 0 }),
  (leased) => ({ leased, kind: "retry", reason: "r", stack: [], delayMs: LATE }),
  (leased) => ({ leased, kind: "release", delayMs: 0 }),
  (leased) => ({ leased, kind: "release", delayMs: LATE, unknown: true }),
  (leased) => ({ leased, kind: "retry", reason: "r", stack: [], delayMs: 0 }),
  (leased) => ({ leased, kind: "ack", result: "1", keep: { count: 2 } }),
];
const held = ["acked", "dropped", "failed-one", "retried", "later", "released", "released-late", "retried-high", "acked-too"];
const heldEnds = {
  acked: ["completed", "gone"], dropped: ["gone"], "failed-one": ["failed"], retried: ["wait"], later: ["delayed"], released: ["wait"], "released-late": ["delayed"],
  "retried-high": ["prioritized"], "acked-too": ["completed", "gone"], old: ["completed", "gone"], runs: ["wait"],
};
const request = { most: 10, token: "t", leaseMs: 10_000, worker: "w", unanswered: [] };
const settlementsOf = new Map<string, readonly Settlement[]>();

/** @param order  of the settlements: all together at the end of `active`, or some from between */
function turning(name: string, order: (settlements: readonly Settlement[]) => readonly Settlement[], ends: Scene["ends"]): Scene {
  return {
    script: "turn",
    name,
    async prepare(queue) {
      await putAll(queue, [newJob("old"), ...held.map((id) => newJob(id, id === "retried-high" ? { priority: 5 } : {})), newJob("runs")]);
      const [old, ...leased] = await take(queue, held.length + 2);
      await new SettleLane(queue, 1000).settle({ leased: old!, kind: "ack", result: "1", keep: {} });
      const byId = new Map(leased.map((each) => [each.job.id, each]));
      settlementsOf.set(queue.prefix, order(held.map((id, i) => ways[i]!(byId.get(id)!))));
      await putWaiting(queue);
      await queue.client.hset(queue.keys.meta, { concurrency: 50, max: 100, duration: 60_000 });
    },
    act: (queue) => takeTurn(queue, settlementsOf.get(queue.prefix)!, false, request),
    again: async (queue) => (await takeTurn(queue, settlementsOf.get(queue.prefix)!, true, { ...request, token: "u", unanswered: ["t"] })).settled,
    ends,
    litter: ["dropped"],
  };
}

const limits: Limits = { worker: "stock", lockMs: 30_000, limiter: undefined, metricsMost: 0 };
const fetch = (token: string): Fetch => ({ target: "active", token, at: Date.now() });
const finish = (id: string, more: Partial<Finish> = {}): Finish => ({
  id, token: `token ${id}`, target: "completed", value: "1", keepCount: -1, keepAgeMs: -1, fetchNext: false, at: Date.now(), attempts: 0, fields: [], ...more,
});
const stockTurn = ({ client, keys }: StoredQueue, rows: readonly (Finish | Fetch)[], under: Limits) => takeStockTurn(client as unknown as ForeignClient, keys, under, rows);
const stockHeld = ["kept", "dropped", "failed-one", "oldest", "between"];

function stockTurning(name: string, under: Limits): Scene {
  return {
    script: "stock-turn",
    name,
    async prepare(queue) {
      await putAll(queue, stockHeld.map((id) => newJob(id)));
      await stockTurn(queue, stockHeld.map((id) => fetch(`token ${id}`)), limits);
      await putWaiting(queue);
      await queue.client.hset(queue.keys.meta, { concurrency: 50 });
    },
    act: (queue) =>
      stockTurn(queue, [
        finish("kept", { keepCount: 1, keepAgeMs: 60_000, fetchNext: true }),
        finish("dropped", { keepCount: 0, fetchNext: true }),
        finish("failed-one", { target: "failed", value: "r", attempts: 1, fields: ["failedReason", "r", "stacktrace", "[]"], fetchNext: true }),
        finish("between", { keepCount: 1 }),
        fetch("x"),
        fetch("y"),
      ], under),
    ends: { kept: ["completed", "gone"], dropped: ["gone"], "failed-one": ["failed"], oldest: ["wait"], between: ["completed", "gone"], ...waitingEnds },
    litter: ["dropped"],
  };
}

/** A failed child goes by retention, the last that its parent waits for. */
const releasing: Scene = {
  script: "turn",
  name: "retention lets go of a failed child, and its parent runs",
  async prepare(queue) {
    const { client, keys } = queue;
    await putAll(queue, [newJob("parent"), newJob("child"), newJob("one"), newJob("two")]);
    await client.lrem(keys.wait, 0, "parent");
    await client.lrem(keys.wait, 0, "child");
    await client.zadd(keys.waitingChildren, 1, "parent");
    await client.zadd(keys.failed, 1, "child");
    await client.hset(`${keys.base}child`, "parentKey", `${keys.base}parent`);
    await client.sadd(`${keys.base}parent:dependencies`, `${keys.base}child`);
    settlementsOf.set(queue.prefix, (await take(queue, 2)).map((leased) => ({ leased, kind: "fail", reason: "r", stack: [], attempts: 1, keep: { count: 1 } })));
  },
  act: (queue) => takeTurn(queue, settlementsOf.get(queue.prefix)!.slice(0, 1), false, undefined),
  // Whoever fails next.
  again: async (queue) => (await takeTurn(queue, settlementsOf.get(queue.prefix)!, true, undefined)).settled,
  ends: { parent: ["wait"], child: ["gone"], one: ["failed", "gone"], two: ["failed"] },
};

const MANY = Array.from({ length: 34 }, (_, n) => `n${n}`);
const scattered: Scene = {
  script: "turn",
  name: "settles so many from between that the list of the active is written anew",
  async prepare(queue) {
    await putAll(queue, MANY.map((id) => newJob(id)));
    const leased = await take(queue, MANY.length);
    settlementsOf.set(queue.prefix, leased.filter((_, i) => i % 2 === 1).map((each) => ({ leased: each, kind: "ack", result: "1", keep: {} })));
  },
  act: (queue) => takeTurn(queue, settlementsOf.get(queue.prefix)!, false, undefined),
  again: async (queue) => (await takeTurn(queue, settlementsOf.get(queue.prefix)!, true, undefined)).settled,
  ends: Object.fromEntries(MANY.map((id, i) => [id, [i % 2 === 1 ? "completed" : "wait"]])),
};

function cancelling(name: string, job: Partial<NewJob>, arrange?: (queue: StoredQueue) => Promise<unknown>): Scene {
  const ask = (queue: StoredQueue, token: string) => requestCancel(queue, "a", { reason: "asked", token, leaseMs: 10_000 });
  return {
    script: "cancel",
    name,
    async prepare(queue) {
      await putAll(queue, [newJob("a", job), newJob("b", job)]);
      await arrange?.(queue);
    },
    act: (queue) => ask(queue, "t"),
    again: async (queue) => expect((await ask(queue, "another")).state).not.toBe("ended"),
    ends: { a: ["failed"], b: [job.priority ? "prioritized" : job.delayMs ? "delayed" : "wait"] },
  };
}

const claims = (queue: StoredQueue): Promise<readonly Leased[]> => claimExpired(queue, { token: "claim", leaseMs: 10_000, everyMs: 0, holdMs: 10_000, most: 100 });

function removing(script: string, name: string, state: RemovableState, job: Partial<NewJob>): Scene {
  return {
    script,
    name,
    async prepare({ client, keys, ...queue }) {
      await putAll({ client, keys, ...queue }, ["a", "stays", "b", "c"].map((id) => newJob(id, job)));
      await client.hset(`${keys.base}a`, "deid", "d");
      await client.set(`${keys.base}de:d`, "a");
      await client.rpush(`${keys.base}b:logs`, "line");
    },
    act: (queue) => removeJobs(queue, state, ["a", "b", "c"]),
    again: async (queue) => {
      await removeJobs(queue, state, ["a", "b", "c"]);
      const { client, keys } = queue;
      expect(await client.exists(`${keys.base}de:d`, `${keys.base}b:logs`)).toBe(0);
      expect(state === "waiting" ? await client.llen(keys.wait) : await client.zcard(keys.delayed)).toBe(1);
    },
    ends: { a: ["gone"], b: ["gone"], c: ["gone"], stays: [state === "waiting" ? "wait" : "delayed"] },
  };
}

const parkedPlace = async (queue: StoredQueue, id: string): Promise<string[]> => ((await parkedJobs(queue)).includes(id) ? ["parked"] : []);

function parking(state: MovedState, job: Partial<NewJob>): Scene[] {
  const place = state === "waiting" ? "wait" : state;
  const parks = (queue: StoredQueue) => park(queue, "m", state, 0, { jobs: 2, bytes: 1e6 });
  const prepare = async (queue: StoredQueue): Promise<void> => {
    await putAll(queue, ["a", "b", "c"].map((id) => newJob(id, job)));
    await beginMove(queue, { id: "m", to: "there" });
  };
  return [
    { script: "park", name: state, prepare, act: parks, again: async (queue) => expect(await parks(queue)).toMatchObject({ number: 1, places: [{ id: "a" }, { id: "b" }] }), elsewhere: parkedPlace, ends: { a: ["parked"], b: ["parked"], c: [place] } },
    {
      script: "leave",
      name: `${state}, one of them back`,
      prepare: async (queue) => void (await prepare(queue), await parks(queue)),
      act: (queue) => leave(queue, "m", 1, ["a"]),
      again: async (queue) => expect(await leave(queue, "m", 1, ["a"])).toBe(1),
      // What is removed is parked until all of the batch has gone.
      elsewhere: parkedPlace,
      ends: { a: [place], b: ["gone"], c: [place] },
    },
    {
      script: "leave",
      name: `${state}, all of it back, and the move ends`,
      prepare: async (queue) => void (await prepare(queue), await parks(queue)),
      act: (queue) => giveBack(queue, "m"),
      again: async (queue) => expect([await giveBack(queue, "m"), await queue.client.exists(parkedKey(queue))]).toEqual([2, 0]),
      elsewhere: parkedPlace,
      ends: { a: [place], b: [place], c: [place] },
    },
  ];
}

const record = (id: string, more: Partial<JobRecord> = {}): JobRecord => ({
  id, state: "waiting", score: 0, fields: { name: "n", data: "{}", opts: "{}", timestamp: "1" }, logs: ["line"], deduplicationMs: -1,
  children: { pending: [], processed: {}, failed: {}, unsuccessful: {} }, ...more,
});
const records = [
  record("there"), record("41"), record("ran", { state: "active" }), record("high", { state: "prioritized", score: 3 * 0x100000000 + 9 }),
  record("late", { state: "delayed", score: 1_800_000_000_000 * 0x1000 }), record("done", { state: "completed", score: 5 }), record("dead", { state: "failed", score: 5 }),
  record("parent", { state: "waiting-children", score: 5, children: { pending: ["k:a"], processed: { "k:b": "1" }, failed: { "k:c": "no" }, unsuccessful: { "k:d": 3 } } }),
  record("once", { fields: { name: "n", data: "{}", deid: "d" }, deduplicationMs: 60_000 }), record("once-for-ever", { fields: { name: "n", data: "{}", deid: "e" }, deduplicationMs: 0 }),
];
const writing = (queue: StoredQueue): Promise<string[]> => writeRecords(queue, records, { key: `${queue.keys.base}millrace:moved:m`, number: 1 });

const schedule = { schedule: "nightly", at: 1_800_000_000_000, fields: { pattern: "0 3 * * *", name: "night" } };

export const scenes: readonly Scene[] = [
  putting("the next number", 3, 2, false),
  putting("a number that comes late, while the hash is renewed", 3, 5, true),
  putting("one after a gap, while the hash is renewed", 6, 2, true),
  {
    script: "stock-put",
    name: "in every place",
    prepare: (queue) => addPlain(queue, [plainJob("there")]),
    act: (queue) => addPlain(queue, [plainJob("a"), plainJob("b", 1), plainJob("there"), plainJob("a")]),
    ends: { there: ["wait"], a: ["wait"], b: ["wait"] },
  },
  turning("settles in every way what lies together", (settlements) => settlements, { ...heldEnds, ...waitingEnds }),
  turning("settles from between", (settlements) => settlements.filter((_, i) => i % 2 === 1), {
    ...heldEnds, ...waitingEnds, acked: ["wait"], "failed-one": ["wait"], later: ["wait"], "released-late": ["wait"], "acked-too": ["wait"], old: ["completed"],
    dropped: ["gone"], retried: ["wait"], released: ["wait"], "retried-high": ["prioritized"],
  }),
  scattered,
  releasing,
  stockTurning("without a limit", limits),
  stockTurning("under a limit, with metrics", { ...limits, limiter: { max: 100, duration: 60_000 }, metricsMost: 5 }),
  cancelling("of what waits", {}),
  cancelling("of what is late", { delayMs: LATE }),
  cancelling("of what has a priority", { priority: 2 }),
  {
    script: "retry",
    name: "failed jobs, with and without a priority",
    async prepare(queue) {
      const { client, keys } = queue;
      await putAll(queue, [newJob("a"), newJob("b", { priority: 2 }), newJob("c"), newJob("waits")]);
      for (const id of ["a", "b", "c"]) {
        await client.hset(keys.base + id, { atm: 3, failedReason: "no", finishedOn: 5 });
        await client.zadd(keys.failed, 5, id);
        await client.lrem(keys.wait, 0, id);
        await client.zrem(keys.prioritized, id);
      }
    },
    act: (queue) => retryEnded(queue, "failed", ["a", "b", "c"]),
    again: async (queue) => {
      await retryEnded(queue, "failed", ["a", "b", "c"]);
      for (const id of ["a", "b", "c"]) expect(await queue.client.hmget(queue.keys.base + id, "atm", "failedReason")).toEqual([null, null]);
    },
    ends: { a: ["wait"], b: ["prioritized"], c: ["wait"], waits: ["wait"] },
  },
  removing("remove-from-list", "out of the middle", "waiting", {}),
  removing("remove-from-set", "delayed ones", "delayed", { delayMs: LATE }),
  ...parking("waiting", {}),
  ...parking("delayed", { delayMs: LATE }),
  {
    script: "write-records",
    name: "in every state",
    prepare: (queue) => putAll(queue, [newJob("there")]),
    act: writing,
    again: async (queue) => {
      expect(await writing(queue)).toEqual(["there"]);
      const { client, keys } = queue;
      expect(await client.mget(`${keys.base}de:d`, `${keys.base}de:e`)).toEqual(["once", "once-for-ever"]);
      expect(await client.lrange(`${keys.base}dead:logs`, "0", "-1")).toEqual(["line"]);
    },
    ends: {
      there: ["wait"], "41": ["wait"], ran: ["wait"], high: ["prioritized"], late: ["delayed"], done: ["completed"], dead: ["failed"], parent: ["waitingChildren"],
      once: ["wait"], "once-for-ever": ["wait"],
    },
  },
  {
    script: "claim",
    name: "of what two rounds found without a lease",
    async prepare(queue) {
      await putAll(queue, [newJob("a"), newJob("b"), newJob("led")]);
      const [, , led] = await take(queue, 3);
      await queue.client.del(`${queue.keys.base}a:lock`, `${queue.keys.base}b:lock`);
      await claims(queue);
      expect(led!.job.id).toBe("led");
    },
    act: claims,
    ends: { a: ["wait"], b: ["wait"], led: ["wait"] },
  },
  {
    script: "extend",
    name: "of a lease that holds, and of one that has run out",
    async prepare(queue) {
      await putAll(queue, [newJob("a"), newJob("b")]);
      leases.set(queue.prefix, await take(queue, 2));
      await queue.client.del(`${queue.keys.base}b:lock`);
    },
    act: (queue) => extendLeases(queue, leases.get(queue.prefix)!, 10_000),
    again: async (queue) => expect(await extendLeases(queue, leases.get(queue.prefix)!, 10_000)).toEqual([]),
    ends: { a: ["wait"], b: ["wait"] },
  },
  {
    script: "write-schedule",
    name: "a new one",
    prepare: async () => undefined,
    act: (queue) => writeSchedule(queue, schedule),
    again: async (queue) => {
      await writeSchedule(queue, schedule);
      expect(await readSchedules(queue)).toEqual([schedule]);
    },
    ends: {},
  },
  {
    script: "remove-schedule",
    name: "with its rule",
    prepare: (queue) => writeSchedule(queue, schedule),
    act: (queue) => removeSchedule(queue, schedule.schedule),
    again: async (queue) => {
      await removeSchedule(queue, schedule.schedule);
      expect(await queue.client.exists(queue.keys.repeat, `${queue.keys.repeat}:nightly`)).toBe(0);
    },
    ends: {},
  },
];
const leases = new Map<string, readonly Leased[]>();

