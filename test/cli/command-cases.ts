/**
 * What every command does, in one form: how it tells people, its JSON, where there is nothing, wrong input, and its effect on a
 * queue `mail` that stock BullMQ feeds. A command that is not here fails every-command.test.ts.
 */
import { once } from "node:events";
import type { JobType, Queue } from "bullmq";
import { expect } from "vitest";
import { connectOperator } from "../../src/admin/operator.ts";
import { cancelTask, listTasks } from "../../src/admin/tasks.ts";
import { quietWorkers } from "../../src/admin/worker-verbs.ts";
import { defineHandler, defineJob, typed } from "../../src/index.ts";
import { createLog } from "../../src/log.ts";
import { failJobs, stockFlows, stockQueue } from "../interop/stock.ts";
import { testApp, until } from "../support/app.ts";
import { redisUrl } from "../support/redis.ts";

export interface Scene {
  readonly prefix: string;
  readonly stock: Queue;
}

export interface CommandCase {
  /** By stock BullMQ; what runs its jobs may be ours. */
  readonly fed: (scene: Scene) => Promise<unknown>;
  /** Words after the command; what it says to people, by the code 0 unless another is told. */
  readonly text: readonly [args: string, says: RegExp, code?: number];
  /** Each of its lines. */
  readonly json: readonly [args: string, lines: readonly unknown[], code?: number];
  /** Under a prefix that has nothing; a reason where there always is something. */
  readonly empty: readonly [args: string, code: 0 | 1 | 4, says: RegExp] | string;
  readonly wrong: readonly [args: string, says: RegExp];
  /** After `text` and `json`. */
  readonly effect: (scene: Scene) => Promise<unknown>;
  /** Of `text` and `json`; of `empty` it is nothing. */
  readonly input?: string;
}

const IDS = ["a", "b", "c", "d"];
const waiting = ({ stock }: Scene): Promise<unknown> => stock.addBulk(IDS.map((jobId) => ({ name: "send", data: { to: jobId }, opts: { jobId } })));
const delayed = ({ stock }: Scene): Promise<unknown> => stock.addBulk(IDS.map((jobId) => ({ name: "send", data: {}, opts: { jobId, delay: 3_600_000 } })));
const failed = ({ stock, prefix }: Scene): Promise<unknown> =>
  failJobs(stock, prefix, IDS.map((jobId) => ({ name: "send", opts: { jobId } })), async (job) => (await job.log(`tries ${job.id}`), Promise.reject(new Error(job.id === "d" ? "no address" : `host ${job.name.length} is down`))));
const scheduled = ({ stock }: Scene): Promise<unknown> => Promise.all(["nightly", "weekly"].map((id) => stock.upsertJobScheduler(id, { pattern: "0 3 * * *" }, { name: "send" })));

/** Two of the jobs run here, until they are told to end. */
async function running(scene: Scene): Promise<void> {
  const pool = testApp({ prefix: scene.prefix, log: createLog({ level: "silent" }) }).pool([defineHandler(defineJob("send", { queue: "mail", payload: typed<unknown>() }), { handle: (_, task) => once(task.signal, "abort").then(() => Promise.reject(task.signal.reason as Error), undefined) })], { name: "mill", concurrency: 2 });
  await pool.ready;
  await waiting(scene);
  await until(() => pool.running === 2);
  // What it tells of itself may be 2 s old.
  await using operator = connectOperator({ redis: redisUrl(), prefix: scene.prefix });
  await until(async () => (await listTasks(operator)).tasks.length === 2);
}

async function quieted(scene: Scene): Promise<void> {
  await running(scene);
  await using operator = connectOperator({ redis: redisUrl(), prefix: scene.prefix });
  await quietWorkers(operator, "all");
}

type Counts = Readonly<Partial<Record<JobType, number>>>;
const statesOf = (counts: Counts): JobType[] => Object.keys(counts) as JobType[];
const has = (counts: Counts) => async ({ stock }: Scene): Promise<void> => expect(await stock.getJobCounts(...statesOf(counts))).toEqual(counts);
const soon = (counts: Counts) => ({ stock }: Scene): Promise<void> =>
  until(async () => Object.entries(await stock.getJobCounts(...statesOf(counts))).every(([state, count]) => counts[state as JobType] === count));
/** As `soon`, once one of two slots has become free: whoever takes jobs takes the next one with the end of that before. */
const freed = (counts: Counts) => async (scene: Scene): Promise<void> => {
  await using operator = connectOperator({ redis: redisUrl(), prefix: scene.prefix });
  await cancelTask(operator, "a");
  await soon(counts)(scene);
};
const text = expect.any(String) as string;
const number = expect.any(Number) as number;
const bulk = (changed: number): readonly unknown[] => [{ queue: "mail", matched: changed, changed, skipped: [] }];
const NO_QUEUE: CommandCase["empty"] = ["mail", 4, /no queue is called "mail"/];
const noQueue = (args: string): CommandCase["empty"] => [args, 4, /no (queue is called "mail"|job "\w+" is in queue mail|schedule of queue mail)/];
const NO_WORKER: CommandCase["empty"] = ["--all", 0, /no worker runs/];
const worker = { id: text, name: "mill" };
const UNKNOWN_FLAG: CommandCase["wrong"] = ["--nonsense", /--nonsense/];
const NO_ARGUMENT: CommandCase["wrong"] = ["", /missing required argument/];

const queues: Readonly<Record<string, CommandCase>> = {
  "queue list": { fed: waiting, text: ["", /^QUEUE +WAITING .*\nmail +4 /], json: ["", [{ queue: "mail", paused: false, waiting: 4, unfinished: 4 }]], empty: ["", 0, /no queue is under/], wrong: UNKNOWN_FLAG, effect: has({ waiting: 4 }) },
  "queue stats": { fed: waiting, text: ["mail", /^mail\n +waiting +4, /], json: ["mail", [{ queue: "mail", waiting: 4, failedLastHour: 0, history: { counts: { put: 0 } } }]], empty: NO_QUEUE, wrong: ["mail --since 9y", /--since/], effect: has({ waiting: 4 }) },
  "queue pause": { fed: waiting, text: ["mail", /^mail is paused/], json: ["mail", [{ queue: "mail", paused: true }]], empty: NO_QUEUE, wrong: NO_ARGUMENT, effect: async ({ stock }) => expect(await stock.isPaused()).toBe(true) },
  "queue resume": { fed: async (scene) => (await waiting(scene), scene.stock.pause()), text: ["mail", /^mail is resumed/], json: ["mail", [{ queue: "mail", paused: false }]], empty: NO_QUEUE, wrong: NO_ARGUMENT, effect: async ({ stock }) => expect([await stock.isPaused(), await stock.getWaitingCount()]).toEqual([false, 4]) },
  "queue purge": { fed: waiting, text: ["mail --state waiting --dry-run", /^would purge 4 jobs/], json: ["mail --state waiting --yes", bulk(4)], empty: noQueue("mail --state waiting --yes"), wrong: ["mail --state wating --yes", /did you mean "waiting"/], effect: has({ waiting: 0 }) },
  "queue delete": { fed: waiting, text: ["mail --dry-run", /^would delete the queue mail: 4 unfinished/], json: ["mail --yes", [{ queue: "mail", jobs: 4 }]], empty: noQueue("mail --yes"), wrong: ["mail", /--yes/], effect: has({ waiting: 0 }) },
  "queue join": { fed: failed, text: ["mail", /^mail: nothing unfinished; 0 completed and 4 failed/], json: ["mail", [{ queue: "mail", unfinished: 0, failed: 4 }]], empty: NO_QUEUE, wrong: ["mail --timeout never", /--timeout/], effect: has({ failed: 4 }) },
  "queue export": { fed: waiting, text: ["mail", /^\{"kind":"queue".*\n(\{"kind":"job".*\n){4}\{"kind":"end","jobs":4/], json: ["mail", [{ kind: "queue" }, ...IDS.map((id) => ({ kind: "job", id, state: "waiting" })), { kind: "end", jobs: 4 }]], empty: NO_QUEUE, wrong: NO_ARGUMENT, effect: has({ waiting: 4 }) },
  "queue import": {
    fed: waiting, input: '{"kind":"job","id":"x","state":"waiting","score":0,"fields":{"name":"send","data":"{}","opts":"{}"},"logs":[],"deduplicationMs":-1,"children":{"pending":[],"processed":{},"failed":{},"unsuccessful":{}}}\n{"kind":"end","jobs":1,"schedules":0}\n',
    text: ["mail", /^mail: 1 job and 0 schedules are imported\n/], json: ["mail", [{ queue: "mail", jobs: 0, existing: 1, complete: true }]], empty: ["mail", 1, /ends before its last line/], wrong: ["mail /nowhere", /\/nowhere/], effect: has({ waiting: 5 }),
  },
  "queue move": { fed: waiting, text: ["mail --to post --dry-run", /^would move the queue mail with 4 jobs to post/], json: ["mail --to post --yes", [{ queue: "mail", to: "post", moved: 4, left: { active: 0 } }]], empty: noQueue("mail --to post --yes"), wrong: ["mail --yes", /--to/], effect: async ({ prefix }) => expect(await stockQueue(prefix, "post").getWaitingCount()).toBe(4) },
};

const jobs: Readonly<Record<string, CommandCase>> = {
  "job list": { fed: waiting, text: ["mail", /^ID +NAME +STATE .*\na +send +waiting /], json: ["mail --limit 2", IDS.slice(0, 2).map((id) => ({ queue: "mail", id, name: "send", state: "waiting" }))], empty: NO_QUEUE, wrong: ["mail --state wating", /did you mean "waiting"/], effect: has({ waiting: 4 }) },
  "job show": { fed: waiting, text: ["mail a", /^send a\n +state +waiting\n/], json: ["mail b", [{ queue: "mail", id: "b", payload: { to: "b" }, attempts: 0 }]], empty: noQueue("mail a"), wrong: ["mail", /missing required argument/], effect: has({ waiting: 4 }) },
  "job logs": { fed: failed, text: ["mail a", /^tries a\n/], json: ["mail b", [{ line: "tries b" }]], empty: noQueue("mail a"), wrong: ["mail", /missing required argument/], effect: has({ failed: 4 }) },
  "job put": { fed: waiting, text: ["--queue mail --name send --unchecked --id x {}", /^x\n/], json: ["--queue mail --name send --unchecked --id y {}", [{ id: "y", added: true }]], empty: ["--queue mail --name send --unchecked {}", 0, /^[\w-]{22}\n/], wrong: ["--queue mail --name send --unchecked {", /JSON/], effect: has({ waiting: 6 }) },
  "job retry": { fed: failed, text: ["mail a", /^retried 1 job of mail/], json: ["mail --error down", bulk(2)], empty: noQueue("mail --all"), wrong: ["mail", /expected ids, a filter or all/], effect: has({ waiting: 3, failed: 1 }) },
  "job cancel": { fed: waiting, text: ["mail a --reason twice", /^cancelled 1 job/], json: ["mail --all --yes", bulk(3)], empty: noQueue("mail --all --yes"), wrong: ["mail", /expected ids, a filter or all/], effect: async (scene) => (await has({ waiting: 0, failed: 4 })(scene), expect((await scene.stock.getJob("a"))?.failedReason).toContain("twice")) },
  "job promote": { fed: delayed, text: ["mail a", /^promoted 1 job/], json: ["mail --all", bulk(3)], empty: noQueue("mail --all"), wrong: ["mail", /expected ids, a filter or all/], effect: has({ waiting: 4, delayed: 0 }) },
  "job remove": { fed: waiting, text: ["mail a --yes", /^removed 1 job/], json: ["mail --name send --limit 2 --yes", bulk(2)], empty: noQueue("mail --all --yes"), wrong: ["mail a", /--yes/], effect: has({ waiting: 1 }) },
  "job edit": { fed: waiting, text: ["mail a --attempts 7", /^edited attempts of job a of mail/], json: ["mail a --priority 3", [{ queue: "mail", id: "a", edited: ["priority"] }]], empty: noQueue("mail a --attempts 7"), wrong: ["mail a", /edit/], effect: async ({ stock }) => expect(await stock.getJob("a")).toMatchObject({ opts: { attempts: 7 }, priority: 3 }) },
  "job copy": { fed: waiting, text: ["mail a --to post", /^copied 1 job/], json: ["mail --all --to post", bulk(4)], empty: noQueue("mail --all"), wrong: ["mail", /expected ids, a filter or all/], effect: async ({ prefix }) => expect(await stockQueue(prefix, "post").getWaitingCount()).toBe(5) },
};

const dead: Readonly<Record<string, CommandCase>> = {
  "dead list": { fed: failed, text: ["mail", /^GROUP +COUNT .*\n[\da-f]{8} +3 +send .*host <n> is down\n +at /], json: ["", [{ queue: "mail", group: text, name: "send", count: 3, error: "host <n> is down" }, { count: 1 }]], empty: ["", 0, /there are no dead letters/], wrong: ["mail --older soon", /--older/], effect: has({ failed: 4 }) },
  "dead show": { fed: failed, text: ["mail GROUP", /^3 dead letters of send: host <n> is down\n/], json: ["mail GROUP", [{ group: { count: 3 }, sample: { queue: "mail", state: "failed" } }]], empty: noQueue("mail ffffffff"), wrong: ["mail", /missing required argument/], effect: has({ failed: 4 }) },
  "dead retry": { fed: failed, text: ["mail --error address", /^retried 1 job/], json: ["mail --group GROUP", bulk(3)], empty: noQueue("mail --all"), wrong: ["mail", /expected ids, a filter or all/], effect: has({ waiting: 4, failed: 0 }) },
  "dead discard": { fed: failed, text: ["mail d --yes", /^discarded 1 job/], json: ["mail --group GROUP --yes", bulk(3)], empty: noQueue("mail --all --yes"), wrong: ["mail --all", /--yes/], effect: has({ failed: 0 }) },
  "dead export": { fed: failed, text: ["mail --error address", /^\{"queue":"mail","id":"d"/], json: ["mail --error down", [{ id: text, state: "failed" }, { reason: "host 4 is down" }, {}]], empty: NO_QUEUE, wrong: ["mail --error (", /--error/], effect: has({ failed: 4 }) },
};

const schedules: Readonly<Record<string, CommandCase>> = {
  "schedule list": { fed: scheduled, text: ["mail", /^QUEUE +ID .*\nmail +(nightly|weekly) +send +0 3 /], json: ["", [{ queue: "mail", cron: "0 3 * * *", paused: false }, { name: "send" }]], empty: ["", 0, /there are no schedules/], wrong: UNKNOWN_FLAG, effect: has({ delayed: 2 }) },
  "schedule put": { fed: waiting, text: ["mail nightly --every 2h", /^schedule nightly of mail: every 2 h, next /], json: ["mail weekly --every 1h --name send", [{ queue: "mail", id: "weekly", name: "send", everyMs: 3_600_000 }]], empty: ["mail nightly --every 1h", 0, /^schedule nightly of mail/], wrong: ["mail nightly --cron 99", /cron/], effect: async ({ stock }) => expect((await stock.getJobSchedulers()).map(({ key }) => key).toSorted()).toEqual(["nightly", "weekly"]) },
  "schedule pause": { fed: scheduled, text: ["mail nightly", /^schedule nightly of mail is paused/], json: ["mail weekly", [{ id: "weekly", paused: true }]], empty: noQueue("mail nightly"), wrong: ["mail", /missing required argument/], effect: has({ delayed: 0 }) },
  "schedule resume": { fed: scheduled, text: ["mail nightly", /expected a schedule that is paused/, 1], json: ["mail weekly", [], 1], empty: noQueue("mail nightly"), wrong: ["mail", /missing required argument/], effect: has({ delayed: 2 }) },
  "schedule run": { fed: scheduled, text: ["mail nightly", /^[\w-]{22}\n/], json: ["mail weekly", [{ queue: "mail", schedule: "weekly", id: text }]], empty: noQueue("mail nightly"), wrong: ["mail", /missing required argument/], effect: has({ waiting: 2, delayed: 2 }) },
  "schedule remove": { fed: scheduled, text: ["mail nightly --yes", /^schedule nightly of mail is removed/], json: ["mail weekly --yes", [{ queue: "mail", schedule: "weekly" }]], empty: noQueue("mail nightly --yes"), wrong: ["mail nightly", /--yes/], effect: async ({ stock }) => expect(await stock.getJobSchedulers()).toEqual([]) },
  "flow show": {
    fed: ({ prefix }) => stockFlows(prefix).add({ name: "order", queueName: "mail", data: {}, opts: { jobId: "o1" }, children: [{ name: "pack", queueName: "mail", data: {}, opts: { jobId: "p1" } }] }),
    text: ["mail p1", /^waiting-children +order mail\/o1\n└─ waiting +pack mail\/p1\n/], json: ["mail o1", [{ queue: "mail", id: "o1", state: "waiting-children", children: [{ id: "p1" }] }]], empty: noQueue("mail o1"), wrong: ["mail o1 --limit many", /limit/], effect: has({ waiting: 1, "waiting-children": 1 }),
  },
};

const workers: Readonly<Record<string, CommandCase>> = {
  "worker list": { fed: running, text: ["", /^WORKER +NAME +STATE .*\n\w{8} +mill +ready +2\/2 /], json: ["", [{ ...worker, queues: ["mail"], slots: 2, running: 2 }]], empty: ["", 0, /no worker runs/], wrong: UNKNOWN_FLAG, effect: has({ active: 2 }) },
  "worker ping": { fed: running, text: ["mill", /^WORKER .*\n\w{8} +mill +ready +2\n/], json: ["--all", [{ ...worker, state: "ready", running: 2 }]], empty: NO_WORKER, wrong: ["", /expected ids or names of workers/], effect: has({ active: 2 }) },
  "worker quiet": { fed: running, text: ["mill", /mill +quiet +2\n/], json: ["mill", [{ ...worker, state: "quiet" }]], empty: NO_WORKER, wrong: ["mill --all", /got both/], effect: freed({ failed: 1, active: 1, waiting: 2 }) },
  "worker resume": { fed: quieted, text: ["mill", /mill +ready +2\n/], json: ["mill", [{ ...worker, state: "ready" }]], empty: NO_WORKER, wrong: ["", /expected ids or names/], effect: freed({ failed: 1, active: 2, waiting: 1 }) },
  "worker restart": { fed: running, text: ["mill", /refused: .*supervisor/, 1], json: ["mill", [{ ...worker, error: { code: text, message: text } }], 1], empty: NO_WORKER, wrong: ["", /expected ids or names/], effect: has({ active: 2 }) },
  "worker stop": { fed: running, text: ["--all --dry-run", /^would stop 1 worker: \w{8} \(mill\)/], json: ["mill", [{ ...worker, ends: "pool", replacedBy: null }]], empty: ["--all --yes", 0, /no worker runs/], wrong: ["--all", /--yes|got neither/], effect: freed({ failed: 1, active: 1, waiting: 2 }) },
  "worker scale": { fed: running, text: ["mill --concurrency 3", /mill +2 +3/], json: ["mill --concurrency 4", [{ ...worker, from: 3, to: 4, usable: 4 }]], empty: ["--all --concurrency 3", 0, /no worker runs/], wrong: ["mill --concurrency none", /--concurrency/], effect: soon({ active: 4 }) },
  "worker dump": { fed: running, text: ["mill", /^\w{8} {2}mill\n +state +ready, 2 of 2 slots/], json: ["mill", [{ pool: { name: "mill" }, tasks: [{ name: "send" }, { queue: "mail" }], memory: { rssBytes: number } }]], empty: NO_WORKER, wrong: ["", /expected ids or names/], effect: has({ active: 2 }) },
  "worker profile": { fed: running, text: ["mill --seconds 0.1", /^millrace-\w{8}-\w+\.cpuprofile: 0\.1 s of \w{8} \(mill\)/], json: ["mill --seconds 0.1", [{ ...worker, file: text, bytes: number }]], empty: NO_WORKER, wrong: ["mill --seconds 100", /--seconds/], effect: has({ active: 2 }) },
  "worker log-level": { fed: running, text: ["mill warn", /mill +\w+ +warn/], json: ["mill error", [{ ...worker, from: text, to: "error" }]], empty: ["--all warn", 0, /no worker runs/], wrong: ["mill loud", /the level/], effect: has({ active: 2 }) },
  "worker debug": { fed: running, text: ["mill on", /mill +off +on\n/], json: ["mill off", [{ ...worker, from: true, to: false }]], empty: ["--all on", 0, /no worker runs/], wrong: ["mill maybe", /the debug mode/], effect: has({ active: 2 }) },
  "task list": { fed: running, text: ["", /^TASK +NAME .*\n[ab] +send +mail +1 /], json: ["", [{ id: text, queue: "mail", worker }, { name: "send", attempt: 1 }]], empty: ["", 0, /nothing runs/], wrong: UNKNOWN_FLAG, effect: has({ active: 2 }) },
  "task cancel": { fed: running, text: ["a", /^send a of mail is told to end, on \w{8} \(mill\)/], json: ["b", [{ id: "b", queue: "mail", cancelled: true }]], empty: ["a", 4, /no task runs/], wrong: ["", /missing required argument/], effect: soon({ failed: 2 }) },
};

const others: Readonly<Record<string, CommandCase>> = {
  "limit show": { fed: async (scene) => (await waiting(scene), scene.stock.setGlobalConcurrency(3)), text: ["", /^QUEUE +CONCURRENCY .*\nmail +3 +none/], json: ["mail", [{ queue: "mail", concurrency: 3, heldForMs: 0 }]], empty: ["", 0, /no queue has a limit/], wrong: UNKNOWN_FLAG, effect: has({ waiting: 4 }) },
  "limit set": { fed: waiting, text: ["mail --rate 100/s", /^mail: no limit of what is active, at most 100\/s started/], json: ["mail --concurrency 3", [{ queue: "mail", concurrency: 3, rate: { max: 100, durationMs: 1000 } }]], empty: noQueue("mail --rate 1/s"), wrong: ["mail --rate fast", /rate/], effect: async ({ stock }) => expect([await stock.getGlobalConcurrency(), await stock.getGlobalRateLimit()]).toEqual([3, { max: 100, duration: 1000 }]) },
  doctor: { fed: ({ stock }) => stock.add("send", {}, { timestamp: Date.now() - 60_000 }), text: ["", /error queue mail\n +nobody consumes it/, 5], json: ["", expect.arrayContaining([expect.objectContaining({ finding: "unconsumed", subject: "queue mail" })]) as unknown as unknown[], 5], empty: "the tests' server may have findings of its own: doctor.test.ts has one that has none", wrong: UNKNOWN_FLAG, effect: has({ waiting: 1 }) },
  audit: { fed: waiting, text: ["", /nothing was changed/], json: ["", []], empty: ["", 0, /nothing was changed/], wrong: ["--since monday", /--since/], effect: has({ waiting: 4 }) },
  config: { fed: waiting, text: ["", /^SETTING +VALUE +FROM\n/], json: ["", expect.arrayContaining([expect.objectContaining({ setting: "prefix", origin: "MILLRACE_PREFIX" })]) as unknown as unknown[]], empty: "settings have defaults", wrong: UNKNOWN_FLAG, effect: has({ waiting: 4 }) },
  completion: { fed: waiting, text: ["fish", /^function __millrace_at/], json: ["bash", [{ shell: "bash", script: text }]], empty: "it is about commands", wrong: ["zhs", /did you mean "zsh"/], effect: has({ waiting: 4 }) },
};

/** By the files of src/cli that declare them, more or less: what plays them is in tests named like these. */
export const AREAS = {
  "queue-commands": { ...queues, join: queues["queue join"]! },
  "job-commands": { ...jobs, put: jobs["job put"]! },
  "dead-commands": dead,
  "schedule-commands": schedules,
  "worker-commands": workers,
  "settings-commands": others,
} satisfies Readonly<Record<string, Readonly<Record<string, CommandCase>>>>;

/** What has a test of its own alone, and why. */
export const ELSEWHERE: Readonly<Record<string, string>> = {
  demo: "it fills a Redis of its own: start-demo.test.ts, demo.test.ts",
  "worker start": "it runs until it is ended: worker.test.ts, supervise.test.ts",
  produce: "it runs somebody's program: produce.test.ts",
  top: "it needs a terminal: top.test.ts, top-view.test.ts",
  ...Object.fromEntries(["start", "stop", "status", "url", "ensure"].map((verb) => [`redis ${verb}`, "it is about a server, and not about queues: redis.test.ts"])),
};
