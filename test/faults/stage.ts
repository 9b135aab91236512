/** Where one phase of a scenario is played: a server, a ledger and processes of its own, and chance that its seed repeats. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { JournalReader, monotonicMs } from "../support/journal.ts";
import { openRedis, type OwnRedis } from "../support/own-redis.ts";
import { generator } from "../support/random.ts";
import { Actor, Producer } from "./actor.ts";
import { contradictions } from "./checker.ts";
import type { Entry } from "./ledger.ts";
import type { Phase, Scenario } from "./scenario.ts";
import { readStoredJobs, type StoredJob } from "./stored-jobs.ts";
import type { Subject, WorkerOptions } from "./subject.ts";
import type { Work } from "./work.ts";

/** What does not come true in this time counts as never. */
export const LONGEST_WAIT_MS = 100_000;
const LOOK_MS = 10;

/** Plays one phase. Never throws: what goes wrong is a contradiction. */
export async function playPhase(scenario: Scenario, subject: Subject, seed: number, serverProgram: string): Promise<Phase> {
  const stage = new Stage(subject, seed, serverProgram);
  try {
    const figures = await scenario.play(stage);
    return { seed, figures, contradictions: contradictions(stage.entries(), await stage.stored()) };
  } catch (error) {
    return { seed, figures: {}, contradictions: [`could not be played: ${(error as Error).stack ?? String(error)}`] };
  } finally {
    await stage[Symbol.asyncDispose]();
  }
}

export class Stage implements AsyncDisposable {
  readonly subject: Subject;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly #serverProgram: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "millrace-faults-"));
  readonly #ledger = new JournalReader<Entry>(join(this.#folder, "ledger"));
  readonly #servers: OwnRedis[] = [];
  readonly #actors: Actor[] = [];
  #works = 0;

  constructor(subject: Subject, seed: number, serverProgram: string) {
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
    return redis;
  }

  /** A worker process that is ready. */
  async worker(redisUrl: string, options: WorkerOptions = { concurrency: 10 }): Promise<Actor> {
    const { argv, env } = this.subject.workerArguments(options);
    return this.#ready((logPath) => new Actor(argv, { ...this.#environment(redisUrl), ...env }, logPath));
  }

  /** A producer process that is ready. */
  async producer(redisUrl: string): Promise<Producer> {
    const program = fileURLToPath(new URL("producer.ts", import.meta.url));
    return this.#ready((logPath) => new Producer([program, this.subject.name], this.#environment(redisUrl), logPath));
  }

  /** So many works, each of a number of its own. */
  works(count: number, does: Work["does"], ms: readonly number[] | (() => readonly number[])): Work[] {
    return Array.from({ length: count }, () => ({ n: this.#works++, does, ms: typeof ms === "function" ? ms() : ms }));
  }

  /** The ledger so far. */
  entries(): readonly Entry[] {
    return this.#ledger.read();
  }

  did(did: Entry["did"]): readonly Entry[] {
    return this.entries().filter((entry) => entry.did === did);
  }

  /** What the first server holds. */
  async stored(): Promise<readonly StoredJob[]> {
    const [redis] = this.#servers;
    return redis === undefined ? [] : readStoredJobs(redis.url);
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

  async pause(ms: number): Promise<void> {
    await delay(ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#actors.map((actor) => actor[Symbol.asyncDispose]()));
    await Promise.all(this.#servers.map((server) => server[Symbol.asyncDispose]()));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #environment(redisUrl: string): Readonly<Record<string, string>> {
    return { REDIS_URL: redisUrl, FAULTS_LEDGER: join(this.#folder, "ledger") };
  }

  async #ready<A extends Actor>(make: (logPath: string) => A): Promise<A> {
    const actor = make(join(this.#folder, `${this.#actors.length}.log`));
    this.#actors.push(actor);
    await this.until(() => actor.isOver || actor.said.includes('"event":"ready"'));
    if (actor.isOver) throw new Error(`a process ended before it was ready:\n${actor.said}`);
    return actor;
  }
}
