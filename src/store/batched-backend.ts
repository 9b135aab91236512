/**
 * BullMQ's own backend on Redis, but what a stock Worker or Queue asks for in one turn of the event loop goes out in one script.
 *
 * Everything else is BullMQ's, and so is every job that our scripts do not take.
 */
import * as bullmq from "bullmq";
import type { BackendFactory, Job, JobJson, KeepJobs, ParentKeyOpts, RedisQueueBackend, WorkerOptions } from "bullmq";
import { isForeignClient, type ForeignClient } from "../redis/foreign-script.ts";
import { Gathered } from "./gathered.ts";
import { queueKeys, type QueueKeys } from "./keys.ts";
import { addPlainJobs, plainJob, type PlainJob } from "./stock-put-script.ts";
import { takeStockTurn, type Fetch, type Finish, type Limits, type TurnAnswer } from "./stock-turn-script.ts";

/** How much of the work went in batches. */
export interface BackendCounts {
  /** Scripts of ours that were sent. */
  batches: number;
  /** Jobs that they added, finished and fetched. */
  added: number;
  finished: number;
  fetched: number;
  /** Jobs that were left to BullMQ's own script, one each. */
  fallbacks: number;
}

export type MillraceBackend = RedisQueueBackend & { readonly counts: Readonly<BackendCounts> };

/** What the drop-in needs of a copy of BullMQ. */
export type BullMQ = Pick<typeof bullmq, "RedisQueueBackend" | "createRedisBackend" | "raw2NextJobData" | "optsEncodeMap" | "isRedisVersionLowerThan">;

/**
 * A backend for stock Workers and Queues: `new Worker(name, processor, options, createMillraceBackend)`. On a client that is
 * not ioredis, or where BullMQ does not see a Redis from 6.2 or a Valkey, it is BullMQ's own.
 */
export const createMillraceBackend: BackendFactory<MillraceBackend> = millraceBackend(bullmq);

const SERVERS: ReadonlySet<string> = new Set(["redis", "valkey"]);
/** `ZRANGE … BYSCORE` is as old. */
const OLDEST_REDIS = "6.2.0";
/** A script holds Redis while it runs: 10 to 20 us a job. */
const LARGEST_BATCH = 100;
/** A script of puts has costs of its own. */
const WORTH_HALVING = 50;
const LARGEST_BYTES = 1_000_000;

/** As {@link createMillraceBackend}, of a copy of BullMQ of one's own. */
export function millraceBackend({ RedisQueueBackend, createRedisBackend, raw2NextJobData, optsEncodeMap, isRedisVersionLowerThan }: BullMQ): BackendFactory<MillraceBackend> {
  type Parts = ConstructorParameters<typeof RedisQueueBackend>;

  class BatchedBackend extends RedisQueueBackend {
    readonly counts: BackendCounts = { batches: 0, added: 0, finished: 0, fetched: 0, fallbacks: 0 };
    readonly #options: WorkerOptions;
    readonly #keys: QueueKeys;
    readonly #limits: Limits;
    readonly #turns: Gathered<Finish | Fetch, TurnAnswer>;
    readonly #puts: Gathered<PlainJob, string | undefined>;
    /** `undefined` until it is connected; `null` where our scripts cannot run. */
    #client: ForeignClient | null | undefined;

    constructor(...parts: Parts) {
      super(...parts);
      const [, name, , , opts] = parts as [unknown, string, unknown, unknown, WorkerOptions];
      const { limiter, metrics, lockDuration = 30_000, concurrency = 1 } = opts;
      this.#options = opts;
      this.#keys = queueKeys(this.redisPrefix, name);
      this.#limits = { worker: opts.name ?? "", lockMs: lockDuration, limiter, metricsMost: metrics?.maxDataPoints ?? 0 };
      // Half of the slots, so that one batch is on its way while another runs.
      const largest = Math.min(Math.max(Math.ceil(concurrency / 2), 1), LARGEST_BATCH);
      const bounds = { largestBytes: LARGEST_BYTES };
      this.#turns = new Gathered({ ...bounds, largest, bytesOf: (row) => ("value" in row ? row.value.length : 0), send: (rows) => this.#takeTurn(rows) });
      this.#puts = new Gathered({ ...bounds, largest: LARGEST_BATCH, halvedFrom: WORTH_HALVING, bytesOf: ([, , data]) => data.length, send: (jobs) => this.#add(jobs) });
    }

    override async addJob(...args: Parameters<RedisQueueBackend["addJob"]>): Promise<string> {
      const plain = this.#plain(...args);
      if (plain === undefined) return this.#byStock(() => super.addJob(...args));
      // As BullMQ's own waits first: what is added beside it keeps its place.
      this.#connectedTo(await this.client);
      return (await this.#puts.add(plain)) ?? this.#byStock(() => super.addJob(...args));
    }

    override async addJobs(entries: Parameters<RedisQueueBackend["addJobs"]>[0]): Promise<string[]> {
      const plain = entries.map(({ job, jobId, parentKeyOpts }) => this.#plain(job, jobId, parentKeyOpts));
      if (!plain.every((each) => each !== undefined)) return this.#byStock(() => super.addJobs(entries), entries.length);
      this.#connectedTo(await this.client);
      const adding = Promise.all(plain.map((each) => this.#puts.add(each)));
      this.#puts.flush();
      const ids: string[] = [];
      for (const [i, id] of (await adding).entries()) {
        const { job, jobId, parentKeyOpts } = entries[i]!;
        ids.push(id ?? (await this.#byStock(() => super.addJob(job, jobId, parentKeyOpts))));
      }
      return ids;
    }

    override async moveToActive(token: string, name?: string): Promise<any[]> {
      const fits = isToken(token) && (name ?? "") === this.#limits.worker;
      const answer = fits ? await this.#turns.add({ target: "active", token, at: Date.now() }) : LEFT;
      return answer === LEFT ? this.#byStock(() => super.moveToActive(token, name)) : this.#next(answer);
    }

    override async moveToCompleted(...args: Parameters<RedisQueueBackend["moveToCompleted"]>): Promise<Moved> {
      const [job, returnValue, removeOnComplete, token, fetchNext] = args;
      const value = JSON.stringify(returnValue) as string | undefined;
      const keep = this.getKeepJobs(removeOnComplete, this.#options.removeOnComplete);
      return (await this.#finish(job, "completed", value, keep, token, fetchNext)) ?? this.#byStock(() => super.moveToCompleted(...args));
    }

    override async moveToFailed(...args: Parameters<RedisQueueBackend["moveToFailed"]>): Promise<Moved> {
      const [job, failedReason, removeOnFail, token, fetchNext, fields] = args;
      const keep = this.getKeepJobs(removeOnFail, this.#options.removeOnFail);
      return (await this.#finish(job, "failed", failedReason, keep, token, fetchNext, fields)) ?? this.#byStock(() => super.moveToFailed(...args));
    }

    /** What was added before another script goes out before it. */
    override execCommand(...args: Parameters<RedisQueueBackend["execCommand"]>): unknown {
      this.#puts.flush();
      return super.execCommand(...args);
    }

    override close(force?: boolean): Promise<void> {
      this.#puts.flush();
      this.#turns.flush();
      return super.close(force);
    }

    #byStock<T>(work: () => Promise<T>, jobs = 1): Promise<T> {
      this.counts.fallbacks += jobs;
      return work();
    }

    #plain(job: JobJson, jobId: string | undefined, parentKeyOpts?: ParentKeyOpts): PlainJob | undefined {
      return parentKeyOpts?.addToWaitingChildren ? undefined : plainJob(job, jobId, optsEncodeMap);
    }

    async #finish(...[job, target, value = "null", keep, token, fetchNext, fields = {}]: FinishArgs): Promise<Moved | undefined> {
      const bounds = boundsOf(keep);
      const { attempts } = job.opts;
      const flat: unknown[] = Object.entries(fields).filter(([, field]) => field !== undefined).flat();
      const isLinked = job.parent !== undefined || job.parentKey !== undefined || (job as Partial<Job>).deduplicationId !== undefined;
      if (job.id === undefined || typeof attempts !== "number" || bounds === undefined || isLinked || !isToken(token) || typeof value !== "string" || !areTexts(flat)) return undefined;
      const at = Date.now();
      const answer = await this.#turns.add({ id: job.id, token, target, value, ...bounds, fetchNext: fetchNext && this.closing === undefined, at, attempts, fields: flat });
      return answer === LEFT ? undefined : { result: this.#next(answer), finishedOn: at };
    }

    #next(answer: Exclude<TurnAnswer, "left">): unknown[] {
      if (answer !== 0 && answer[0] !== 0) this.counts.fetched += 1;
      return raw2NextJobData(answer as never);
    }

    async #takeTurn(rows: readonly (Finish | Fetch)[]): Promise<readonly TurnAnswer[]> {
      const answers = await this.#send((client) => takeStockTurn(client, this.#keys, this.#limits, rows));
      if (answers === undefined) return rows.map(() => LEFT);
      this.counts.finished += rows.filter(({ target }, i) => target !== "active" && answers[i] !== LEFT).length;
      return answers;
    }

    async #add(jobs: readonly PlainJob[]): Promise<readonly (string | undefined)[]> {
      const ids = await this.#send((client) => addPlainJobs(client, this.#keys, jobs));
      if (ids === undefined) return jobs.map(() => undefined);
      this.counts.added += jobs.length;
      return ids;
    }

    #connectedTo(client: unknown): ForeignClient | null {
      if (this.#client !== undefined) return this.#client;
      const isKnown = SERVERS.has(this.databaseType) && !isRedisVersionLowerThan(this.redisVersion, OLDEST_REDIS, this.databaseType as "redis");
      return (this.#client = isKnown && isForeignClient(client) ? client : null);
    }

    /** `undefined` where BullMQ's scripts are to do it one by one: then one job that is amiss does not keep the others. */
    async #send<T>(run: (client: ForeignClient) => Promise<T>): Promise<T | undefined> {
      const client = this.#client === undefined ? this.#connectedTo(await this.client) : this.#client;
      if (client === null) return undefined;
      this.counts.batches += 1;
      try {
        return await run(client);
      } catch (error) {
        if (error instanceof Error && error.name === "ReplyError") return undefined;
        throw error;
      }
    }
  }

  return (name, opts, options) => {
    const stock = createRedisBackend(name, opts, options);
    // Only its connections are used; it hears of their errors as well, and an error that nobody hears ends the process.
    stock.on("error", () => {});
    return new BatchedBackend(stock.connection, name, stock.keys, (type) => stock.toKey(type), opts, stock.blockingConnection);
  };
}

const LEFT = "left";
type Moved = Awaited<ReturnType<RedisQueueBackend["moveToCompleted"]>>;
type FinishArgs = [
  job: Parameters<RedisQueueBackend["moveToFailed"]>[0],
  target: Finish["target"],
  value: string | undefined,
  keep: KeepJobs,
  token: string,
  fetchNext: boolean,
  fields?: Readonly<Record<string, unknown>> | undefined,
];

/** BullMQ's own scripts take "0" for no lock at all. */
function isToken(token: unknown): boolean {
  return typeof token === "string" && token !== "" && token !== "0";
}

function areTexts(values: readonly unknown[]): values is readonly string[] {
  return values.every((value) => typeof value === "string");
}

function boundsOf(keep: { readonly count?: number; readonly age?: number; readonly limit?: number }): Pick<Finish, "keepCount" | "keepAgeMs"> | undefined {
  const { count = -1, age = -1, limit } = keep;
  if (!Number.isInteger(count) || typeof age !== "number" || Number.isNaN(age) || limit !== undefined) return undefined;
  return { keepCount: Math.max(count, -1), keepAgeMs: age < 0 ? -1 : age * 1000 };
}
