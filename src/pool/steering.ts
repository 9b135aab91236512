/**
 * Lets operators see a pool and steer it: while it lives it is registered in Redis, and does what their messages say. It
 * never keeps a pool from working or from ending.
 */
import { setDebug, taskTraces } from "../concurrency/debug.ts";
import type { LogLevel } from "../config.ts";
import { hearMessages, type Deeds } from "../control/hearing.ts";
import { Presence } from "../control/presence.ts";
import { keysOf } from "../control/registry.ts";
import type { PoolDump, PoolStand } from "../control/verbs.ts";
import { packageVersion } from "../control/version.ts";
import { StateError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { profileCpu } from "./cpu-profile.ts";
import { LoopDelay } from "./loop-delay.ts";
import { SelfDescription, type DescribedPool, type Place, type PoolFacts } from "./self-description.ts";

/** The process around a pool, where it is there for the pool alone: what concerns it is for it to do. */
export interface PoolHost {
  /** Under a supervisor. */
  readonly place?: Place;
  /** Ends it, as SIGTERM does, and for good. */
  stop(): void;
  /** Has another process take its place. Without one it cannot. */
  readonly replace?: () => void;
  /** Told when the pool's state is another. */
  changed(): void;
}

export interface SteeredPool extends DescribedPool {
  quiet(): void;
  resume(): void;
  scale(concurrency: number): void;
  stop(): Promise<void>;
}

export class Steering {
  readonly #pool: SteeredPool;
  readonly #facts: PoolFacts;
  readonly #log: Logger;
  readonly #ended = new AbortController();
  readonly #delay = new LoopDelay();
  readonly #description: SelfDescription;
  readonly #presence: Presence;
  #host: PoolHost | undefined;
  #letGo: (() => void) | undefined;

  constructor(pool: SteeredPool, facts: PoolFacts, log: Logger) {
    this.#pool = pool;
    this.#facts = facts;
    this.#log = log;
    this.#description = new SelfDescription(pool, facts, this.#delay);
    this.#presence = new Presence(facts.connections, { id: facts.id, entry: () => this.#description.entry(), tasks: () => this.#description.tasks() }, log);
  }

  hostedBy(host: PoolHost): void {
    this.#host = host;
    this.#description.place = host.place;
  }

  /** `connections.open()` comes first. */
  begin(): void {
    const { id, name, connections } = this.#facts;
    this.#delay.begin();
    this.#description.startedAt = connections.clock.now();
    this.#presence.begin();
    this.#letGo = this.#facts.keepKeys(keysOf(connections, id));
    hearMessages(connections, { id, name, version: packageVersion(), deeds: this.#deeds }, this.#log, this.#ended.signal);
  }

  /** The pool's state is another. */
  changed(): void {
    this.#presence.renew();
    this.#host?.changed();
  }

  dump(): PoolDump {
    return this.#description.dump();
  }

  /** Waits half a second for Redis, at most. Never rejects. */
  async end(): Promise<void> {
    this.#ended.abort();
    this.#letGo?.();
    this.#delay[Symbol.dispose]();
    await this.#presence.end();
  }

  readonly #deeds: Deeds = {
    ping: () => this.#stand,
    quiet: () => {
      this.#pool.quiet();
      return this.#stand;
    },
    resume: () => {
      this.#pool.resume();
      return this.#stand;
    },
    stop: () => {
      const host = this.#host;
      // The answer is to be on its way before what it runs on ends.
      setImmediate(() => (host === undefined ? void this.#pool.stop().catch(() => {}) : host.stop()));
      return { ...this.#stand, ends: host === undefined ? "pool" : "process", replacedBy: null };
    },
    restart: () => {
      const { replace } = this.#host ?? {};
      if (replace === undefined) throw new StateError("expected a worker under a supervisor (worker start --processes 1): nobody would start this one again; `worker stop` ends it");
      setImmediate(replace);
      return { ...this.#stand, ends: "process", replacedBy: "supervisor" };
    },
    scale: ({ concurrency }) => {
      const { concurrency: from } = this.#pool;
      this.#pool.scale(concurrency);
      return { from, to: concurrency, usable: Math.min(concurrency, this.#facts.mostUsable) };
    },
    dump: () => this.dump(),
    profile: async ({ seconds }, begun) => {
      begun();
      return { gzip: await profileCpu(seconds, this.#ended.signal) };
    },
    "log-level": ({ level }) => ({ from: setLevel(this.#log, level), to: level }),
    debug: ({ on }) => {
      const from = taskTraces() !== undefined;
      setDebug(on); // never switched back from here: it is the operator's until the process ends
      return { from, to: on };
    },
  };

  get #stand(): PoolStand {
    const { state, running } = this.#pool;
    return { state, running };
  }
}

/** Of any pino; those that were made from it before keep theirs. */
function setLevel(log: Logger & { level?: unknown }, level: LogLevel): string {
  const { level: from } = log;
  if (typeof from !== "string") throw new StateError("expected a log of pino, whose level can be set; this pool logs to another");
  log.level = level;
  return from;
}
