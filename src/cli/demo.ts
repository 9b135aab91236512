/**
 * `millrace demo [DIR]`: a manifest of a directory tree. Producers walk it and put one `digest` job a file, consumers
 * digest them, the queue is joined, the consumers are cancelled, the manifest is written.
 */
import { createHash } from "node:crypto";
import { hostname } from "node:os";
import { type Digest, digestOn } from "../../producers/jobs/digest.ts";
import { type FoundFile, type NotFound, openTree, putFile, putFiles, type Tree } from "../../producers/files.ts";
import { digestFile } from "../../workers/digest.ts";
import { type App, connect } from "../app.ts";
import { gather, range } from "../concurrency/index.ts";
import { redisFromEnvironment } from "../config.ts";
import { defineHandler } from "../job/handler.ts";
import { type Logger, type LogMethod, rootLog } from "../log.ts";
import type { Queue } from "../queue/queue.ts";
import type { RedisOption } from "../redis/connection.ts";
import { type Summary, summaryText, Tally } from "./demo-summary.ts";
import { EXIT } from "./exit-code.ts";
import { checkManifest, type Finding, manifestLine, writeManifest } from "./manifest.ts";
import { type Progress, type ProgressStream, showProgress } from "./progress-line.ts";

export interface DemoOptions {
  /** @default the project's own `node_modules` */
  readonly dir?: string | undefined;
  /** Where the manifest goes. @default nowhere */
  readonly manifest?: string | undefined;
  readonly producers?: number | undefined;
  /** Pools in this process. */
  readonly consumers?: number | undefined;
  /** Files that one consumer digests at once. */
  readonly concurrency?: number | undefined;
  /** One object at the end instead of text. */
  readonly json?: boolean | undefined;
  /** @default REDIS_URL, or else a server of this folder's own */
  readonly redis?: RedisOption | undefined;
  readonly prefix?: string | undefined;
  /** Gets no lines about single jobs: which failed, and why, is in the summary. @default warnings and errors */
  readonly log?: Logger | undefined;
  /** Stops the run: what is under way is finished or given back, and the same command continues. */
  readonly signal: AbortSignal;
  /** The summary. */
  readonly out: { write(text: string): unknown };
  /** Everything else. */
  readonly err: ProgressStream;
}

export const demoDefaults = Object.freeze({ dir: "node_modules", producers: 3, consumers: 2, concurrency: 64 });

/** How long a stopped run lets its digests run on, and then waits for them to end. */
const stopping = { drain: "5s", grace: "2s" } as const;
/** A killed run's files are digested again so soon after the next one starts. */
const lease = "5s";
/** Outcomes asked for in one go. */
const chunkSize = 2000;

type DigestJob = ReturnType<typeof digestOn>;
type DigestQueue = Queue<NonNullable<DigestJob["types"]>>;

/**
 * A file of this run and its job, or why it has none. `name` is its path, a character a byte (latin1): a Buffer of its own
 * would keep many times its length alive, and such strings sort as the bytes do.
 */
type Entry = { readonly name: string; readonly jobId: string; readonly inode: string } | { readonly name: string; readonly error: string };

/**
 * @returns 0 when every file has its line in the manifest, be it an error; 1 when it was stopped
 * @throws OptionError; BackendError; Error when the manifest cannot be written
 */
export async function demo(options: DemoOptions): Promise<{ readonly exitCode: number }> {
  const startedAt = performance.now();
  const { dir = demoDefaults.dir, manifest, json = false, out, err } = options;
  if (manifest !== undefined) await checkManifest(manifest);
  await using tree = await openTree(dir);
  const job = digestOn(queueNameOf(tree.root));
  await using app = await appOf(options);

  const run = new Run(app, job, tree, options);
  const say = json ? () => {} : (text: string) => void err.write(`${text}\n`);
  say(`digesting ${tree.root.toString()} through queue ${job.queue} of ${app.address}`);
  const stopProgress = json ? async () => {} : showProgress(err, () => run.progress());
  let findings: Map<Entry, Finding> | undefined;
  try {
    findings = await run.run();
  } finally {
    await stopProgress();
  }
  const tally = new Tally();
  for (const [entry, finding] of findings ?? []) tally.add(finding, "inode" in entry ? entry.inode : undefined);
  if (findings !== undefined && manifest !== undefined) await writeManifest(manifest, manifestLines(findings));

  const elapsedMs = performance.now() - startedAt;
  const { put, known, processed } = run.counted;
  const summary: Summary = {
    dir: tree.root.toString(),
    queue: job.queue,
    interrupted: findings === undefined,
    files: run.entries.length,
    put,
    known,
    processed,
    left: findings === undefined ? (await run.progress()).left : 0,
    bytes: tally.bytes,
    failed: tally.failed,
    failures: tally.failures,
    duplicates: tally.duplicates,
    elapsedMs: Math.round(elapsedMs),
    jobsPerSecond: Math.round((processed / elapsedMs) * 1e5) / 100,
    manifest: findings === undefined ? null : (manifest ?? null),
  };
  out.write(json ? `${JSON.stringify(summary)}\n` : `${summaryText(summary)}\n`);
  return { exitCode: findings === undefined ? EXIT.failed : EXIT.done };
}

async function appOf({ redis, prefix, log = rootLog() }: DemoOptions): Promise<App> {
  const app = connect({ redis: redis ?? redisFromEnvironment() ?? "embedded", ...(prefix !== undefined && { prefix }), log: withoutJobs(log) });
  try {
    await app.ready();
    return app;
  } catch (error) {
    await app[Symbol.asyncDispose]();
    throw error;
  }
}

function withoutJobs(log: Logger): Logger {
  const method =
    (level: "debug" | "info" | "warn" | "error"): LogMethod =>
    (fields: object | string, message?: string) => {
      if (typeof fields === "string") log[level](fields);
      else if (!("job" in fields)) log[level](fields, message ?? "");
    };
  return { debug: method("debug"), info: method("info"), warn: method("warn"), error: method("error"), child: (fields) => withoutJobs(log.child(fields)) };
}

/**
 * A queue for each tree of each machine, since `join` waits for all of a queue, and a path means a file only where it is. Two
 * runs on one tree share the queue: each file is digested once, and both find all of them.
 */
function queueNameOf(root: Buffer): string {
  return `digest-${createHash("sha256").update(`${hostname()}\0`).update(root).digest("base64url").slice(0, 12)}`;
}

function* manifestLines(findings: ReadonlyMap<Entry, Finding>): Generator<string> {
  const sorted = [...findings].sort(([a], [b]) => (a.name < b.name ? -1 : 1));
  for (const [{ name }, finding] of sorted) yield manifestLine(Buffer.from(name, "latin1"), finding);
}

/** A pool that ends by an error ends the run, which would wait for it for ever; one that ends in order does not. */
const endless = (): Promise<never> => new Promise(() => {});

/** One run: its producers and consumers, and what they have done so far. */
class Run {
  readonly entries: Entry[] = [];
  readonly counted = { put: 0, known: 0, processed: 0 };
  /** What was digested here, by the job's id: of this nobody needs to be asked. */
  readonly #digested = new Map<string, Digest>();
  readonly #app: App;
  readonly #job: DigestJob;
  readonly #queue: DigestQueue;
  readonly #tree: Tree;
  readonly #options: DemoOptions;
  #walking = true;

  constructor(app: App, job: DigestJob, tree: Tree, options: DemoOptions) {
    this.#app = app;
    this.#job = job;
    this.#queue = app.queue(job);
    this.#tree = tree;
    this.#options = options;
  }

  /** What was found of every file; undefined when the run was stopped. */
  async run(): Promise<Map<Entry, Finding> | undefined> {
    const { signal, producers = demoDefaults.producers, consumers = demoDefaults.consumers, concurrency = demoDefaults.concurrency } = this.#options;
    const handler = defineHandler(this.#job, {
      handle: async (payload, task) => {
        try {
          const found = await digestFile(payload, task);
          this.#digested.set(task.id, found);
          return found;
        } finally {
          this.counted.processed++;
        }
      },
    });
    const pools = range(consumers).map(() => this.#app.pool([handler], { concurrency, lease }));
    const work = async (): Promise<Map<Entry, Finding>> => {
      await gather(range(producers).map(() => () => putFiles(this.#queue, this.#tree, { signal, report: this })));
      this.#walking = false;
      signal.throwIfAborted();
      await this.#queue.join({ signal });
      return this.#findings();
    };
    try {
      const findings = await Promise.race([work(), ...pools.map(({ done }) => done.then(endless))]);
      await gather(pools.map((pool) => pool.cancel()));
      return findings;
    } catch (error) {
      if (!signal.aborted) throw error;
      await gather(pools.map((pool) => pool.stop(stopping)));
      return undefined;
    }
  }

  file({ path, inode }: FoundFile, { id, known }: { readonly id: string; readonly known: boolean }): void {
    this.entries.push({ name: path.toString("latin1"), jobId: id, inode });
    this.counted[known ? "known" : "put"]++;
  }

  notFound({ path, error }: NotFound): void {
    this.entries.push({ name: path.toString("latin1"), error });
  }

  async progress(): Promise<Progress> {
    const put = this.counted.put + this.counted.known;
    const { active, unfinished } = await this.#queue.counts();
    return { put, running: active, done: Math.max(0, put - unfinished), left: unfinished, growing: this.#walking };
  }

  /**
   * What was not digested here, an earlier run or another one has done, or it failed: these outcomes are asked for. A job that was
   * known when it was put may be past its retention by now: its file is put again, as often as a run can be overtaken by another one.
   */
  async #findings(): Promise<Map<Entry, Finding>> {
    const findings = new Map<Entry, Finding>();
    let open: readonly Entry[] = this.entries;
    for (let round = 1; open.length > 0; round++) {
      const again: Entry[] = [];
      for (let from = 0; from < open.length; from += chunkSize) {
        const chunk = open.slice(from, from + chunkSize);
        const found = await Promise.all(chunk.map((entry) => this.#findingOf(entry)));
        for (const [at, entry] of chunk.entries()) {
          const finding = found[at] ?? (round === 3 ? { error: "its job was removed while the demo ran" } : undefined);
          if (finding === undefined) again.push(entry);
          else findings.set(entry, finding);
        }
      }
      open = await Promise.all(again.map((entry) => this.#putAgain(entry)));
      if (open.length > 0) await this.#queue.join({ signal: this.#options.signal });
    }
    return findings;
  }

  async #putAgain(entry: Entry): Promise<Entry> {
    if ("error" in entry) return entry;
    const { id } = await putFile(this.#queue, this.#tree.root, { path: Buffer.from(entry.name, "latin1"), jobId: entry.jobId });
    return { ...entry, jobId: id };
  }

  async #findingOf(entry: Entry): Promise<Finding | undefined> {
    if ("error" in entry) return { error: entry.error };
    return this.#digested.get(entry.jobId) ?? this.#outcomeOf(entry.jobId);
  }

  /** Undefined when the job is gone. */
  async #outcomeOf(jobId: string): Promise<Finding | undefined> {
    const outcome = await this.#queue.job(jobId).outcome({ signal: this.#options.signal });
    switch (outcome.state) {
      case "completed":
        return outcome.result;
      case "failed":
        return { error: outcome.error.message };
      case "cancelled":
        return { error: `cancelled: ${outcome.reason}` };
      case "removed":
      case "unknown":
        return undefined;
    }
  }
}
