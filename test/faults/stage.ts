/** Where one phase of a scenario is played: a server, a ledger and processes of its own, and chance that its seed repeats. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { JournalReader, monotonicMs } from "../support/journal.ts";
import { openCluster, type Cluster } from "../support/cluster.ts";
import { openRedis, type OwnRedis } from "../support/own-redis.ts";
import { generator } from "../support/random.ts";
import type { ServerProgram } from "../support/server-image.ts";
import { openSentinels, type Sentinels } from "../support/sentinel.ts";
import { startProxy, type Proxy } from "../support/tcp-proxy.ts";
import { Actor, Producer } from "./actor.ts";
import { contradictions } from "./checker.ts";
import type { Entry } from "./ledger.ts";
import { holds, type Phase, type Scenario } from "./scenario.ts";
import { readStoredJobs, type Store, type StoredJob } from "./stored-jobs.ts";
import type { Keeps, Subject, WorkerOptions } from "./subject.ts";
import type { Work } from "./work.ts";

/** What does not come true in this time counts as never. */
export const LONGEST_WAIT_MS = 100_000;
const LOOK_MS = 10;
/** Of a phase that broke, what is told of it. */
const LEFTOVERS = 20;
const LAST_LINES = 20;
/** Sentinels ask once a second: on a busy machine one that waits no longer takes the primary that it has just made for down, and makes another. */
const SENTINEL_DOWN_AFTER_MS = 3000;

export interface PhaseOptions {
  readonly subject: Subject;
  readonly seed: number;
  readonly serverProgram: ServerProgram;
  /** Leaves the ledger and what the processes wrote where it is, if the phase is broken. */
  readonly keep?: boolean;
}

/** Plays one phase. Never throws: what goes wrong is a contradiction. */
export async function playPhase(scenario: Scenario, options: PhaseOptions): Promise<Phase> {
  const { seed, keep = false } = options;
  const stage = new Stage(options);
  const phase = await played(scenario, stage, seed);
  const isBroken = !holds(scenario, phase);
  // What broke once in a hundred phases may never do so again: all that tells why is told now.
  const traces = isBroken ? [...(await stage.leftovers()), ...stage.lastWords()] : [];
  await stage.end(keep && isBroken);
  if (isBroken && keep) traces.push(`kept in ${stage.folder}`);
  return { ...phase, contradictions: [...traces, ...phase.contradictions] };
}

async function played(scenario: Scenario, stage: Stage, seed: number): Promise<Phase> {
  try {
    const figures = await scenario.play(stage);
    return { seed, figures, contradictions: contradictions(stage.entries().filter(({ n }) => !stage.forgiven.has(n)), await stage.stored()) };
  } catch (error) {
    return { seed, figures: {}, contradictions: [`could not be played: ${(error as Error).stack ?? String(error)}`] };
  }
}

export class Stage {
  readonly subject: Subject;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** Works that may be lost. */
  readonly forgiven = new Set<number>();
  readonly #serverProgram: ServerProgram;
  /** Of the ledger, and of what the processes write. */
  readonly folder = mkdtempSync(join(tmpdir(), "millrace-faults-"));
  readonly #ledger = new JournalReader<Entry>(join(this.folder, "ledger"));
  readonly #servers: AsyncDisposable[] = [];
  readonly #stores: (() => Promise<Store>)[] = [];
  readonly #proxies: Proxy[] = [];
  readonly #actors: Actor[] = [];
  #works = 0;

  constructor({ subject, seed, serverProgram }: PhaseOptions) {
    this.subject = subject;
    this.random = generator(seed);
    this.#serverProgram = serverProgram;
  }

  /** A number from `least` to below `most`. */
  between(least: number, most: number): number {
    return least + this.random() * (most - least);
  }

  async redis(settings: Readonly<Record<string, string>> = {}): Promise<OwnRedis> {
    const redis = await openRedis(this.#serverProgram, settings);
    this.#servers.push(redis);
    this.#stores.push(async () => ({ url: redis.url, prefix: "bull" }));
    return redis;
  }

  /** A primary with replicas, watched by three Sentinels. */
  async sentinels(settings: Readonly<Record<string, string>> = {}): Promise<Sentinels> {
    const sentinels = await openSentinels(this.#serverProgram, { settings, downAfterMs: SENTINEL_DOWN_AFTER_MS });
    this.#servers.push(sentinels);
    this.#stores.push(async () => ({ url: (await sentinels.primary()).url, prefix: "bull" }));
    return sentinels;
  }

  /** Three primaries with a replica each. */
  async cluster(): Promise<Cluster> {
    const cluster = await openCluster(this.#serverProgram);
    this.#servers.push(cluster);
    this.#stores.push(async () => ({ url: (await cluster.primaryOf("{bull}")).url, prefix: "{bull}" }));
    return cluster;
  }

  /** Stands before the server; it breaks connections. */
  async proxy(redis: OwnRedis): Promise<Proxy & { readonly url: string }> {
    const proxy = await startProxy(redis.port);
    this.#proxies.push(proxy);
    return { ...proxy, url: `redis://127.0.0.1:${proxy.port}` };
  }

  /** A worker process that is ready. */
  worker(redisUrl: string, options?: WorkerOptions): Promise<Actor> {
    return this.#ready(this.unreadyWorker(redisUrl, options));
  }

  /** A worker process that may not find what it needs. */
  unreadyWorker(redisUrl: string, options: WorkerOptions = { concurrency: 10 }): Actor {
    const { argv, env } = this.subject.workerArguments(options);
    const offMs = options.clockOffMs ?? 0;
    const preload = offMs === 0 ? [] : ["--import", fileURLToPath(new URL("wrong-clock.ts", import.meta.url))];
    return this.#take(new Actor([...preload, ...argv], { ...this.#environment(redisUrl), ...env, ...keeping(options), FAULTS_CLOCK_OFF: String(offMs) }, this.#logPath()));
  }

  /** A producer process that is ready. */
  async producer(redisUrl: string, options: { readonly keeps?: Keeps } = {}): Promise<Producer> {
    const program = fileURLToPath(new URL("producer.ts", import.meta.url));
    return this.#ready(this.#take(new Producer([program, this.subject.name], { ...this.#environment(redisUrl), ...keeping(options) }, this.#logPath())));
  }

  /** So many works, each of a number of its own. */
  works(count: number, does: Work["does"], ms: readonly number[] | (() => readonly number[])): Work[] {
    return Array.from({ length: count }, () => ({ n: this.#works++, does, ms: typeof ms === "function" ? ms() : ms }));
  }

  /** Leaves out so many numbers, which a load or a wait takes. @returns the first of them */
  skip(count: number): number {
    const first = this.#works;
    this.#works += count;
    return first;
  }

  /** The ledger so far. */
  entries(): readonly Entry[] {
    return this.#ledger.read();
  }

  did(did: Entry["did"]): readonly Entry[] {
    return this.entries().filter((entry) => entry.did === did);
  }

  /** Works that were acknowledged, before that moment, and that no run has ended yet. */
  unfinished(before = Infinity): readonly number[] {
    const ended = new Set(this.did("ended").map(({ n }) => n));
    return this.did("acknowledged").filter(({ n, at }) => at <= before && !ended.has(n)).map(({ n }) => n);
  }

  /** The first entry of its kind after that moment, if one comes. */
  async next(did: Entry["did"], after: number): Promise<Entry | undefined> {
    let found: Entry | undefined;
    await this.comesTrue(() => (found = this.did(did).find(({ at }) => at > after)) !== undefined);
    return found;
  }

  /** The jobs of works that were put one by one. */
  jobs(works: readonly Work[]): { readonly n: number; readonly id: string }[] {
    const numbers = new Set(works.map(({ n }) => n));
    return this.did("acknowledged").flatMap(({ n, id }) => (numbers.has(n) && id !== undefined ? [{ n, id }] : []));
  }

  /** What the servers hold. */
  async stored(): Promise<readonly StoredJob[]> {
    return (await Promise.all(this.#stores.map(async (store) => readStoredJobs(await store())))).flat();
  }

  /** @returns whether it came true in time */
  async comesTrue(condition: () => boolean | Promise<boolean>, withinMs = LONGEST_WAIT_MS): Promise<boolean> {
    const giveUpAt = monotonicMs() + withinMs;
    while (!(await condition())) {
      if (monotonicMs() > giveUpAt) return false;
      await delay(LOOK_MS);
    }
    return true;
  }

  /** For what any subject does. @throws when it does not come true in time */
  async until(condition: () => boolean | Promise<boolean>): Promise<void> {
    if (!(await this.comesTrue(condition))) throw new Error(`did not come true within ${LONGEST_WAIT_MS} ms: ${condition.toString()}`);
  }

  /** What was acknowledged and has not ended, and where it stands. */
  async leftovers(): Promise<string[]> {
    const unfinished = new Set(this.unfinished());
    if (unfinished.size === 0) return [];
    const stored = await this.stored().catch(() => []);
    const places = stored.filter(({ n }) => unfinished.has(n)).slice(0, LEFTOVERS).map(({ n, id, states, attemptsMade }) => `${n} (${id}) ${states.join(" and ")}, ${attemptsMade} attempts made`);
    return [`${unfinished.size} works unfinished: ${places.join("; ")}`];
  }

  /** How each process is, and what it wrote last. */
  lastWords(): string[] {
    return this.#actors.map(({ pid, isOver, said }) => `process ${pid} ${isOver ? "is over" : "lives"}, and wrote last: ${said.trimEnd().split("\n").slice(-LAST_LINES).join("\n      ")}`);
  }

  async pause(ms: number): Promise<void> {
    await delay(ms);
  }

  async end(keepsFolder: boolean): Promise<void> {
    await Promise.all(this.#actors.map((actor) => actor[Symbol.asyncDispose]()));
    await Promise.all(this.#proxies.map((proxy) => proxy[Symbol.asyncDispose]()));
    await Promise.all(this.#servers.map((server) => server[Symbol.asyncDispose]()));
    if (!keepsFolder) rmSync(this.folder, { recursive: true, force: true });
  }

  #environment(redisUrl: string): Readonly<Record<string, string>> {
    return { REDIS_URL: redisUrl, FAULTS_LEDGER: join(this.folder, "ledger") };
  }

  #logPath(): string {
    return join(this.folder, `${this.#actors.length}.log`);
  }

  #take<A extends Actor>(actor: A): A {
    this.#actors.push(actor);
    return actor;
  }

  async #ready<A extends Actor>(actor: A): Promise<A> {
    await this.until(() => actor.isOver || actor.said.includes('"event":"ready"'));
    if (actor.isOver) throw new Error(`a process ended before it was ready:\n${actor.said}`);
    return actor;
  }
}

function keeping({ keeps }: { readonly keeps?: Keeps }): Readonly<Record<string, string>> {
  return keeps === undefined ? {} : { FAULTS_KEEPS: String(keeps) };
}
