/** Keeps a pool registered while it lives, whatever becomes of Redis, and takes it out at once when it ends. */
import { endsWithin } from "../concurrency/limit.ts";
import { startTicker } from "../concurrency/timer.ts";
import type { Logger } from "../log.ts";
import type { Connections } from "../redis/connection.ts";
import type { PoolEntry, RunningTask } from "./pool-entry.ts";
import { register, unregister } from "./registry.ts";

/** Four of them within the life of an entry. */
export const RENEW_EVERY_MS = 2000;
const END_MS = 500;

export interface Present {
  readonly id: string;
  entry(): PoolEntry;
  tasks(): readonly RunningTask[];
}

export class Presence {
  readonly #connections: Connections;
  readonly #pool: Present;
  readonly #log: Logger;
  #renewing: Promise<void> | undefined;
  #isStale = false;
  #stopTicking: (() => void) | undefined;
  #isOver = false;
  #isRefused = false;

  constructor(connections: Connections, pool: Present, log: Logger) {
    this.#connections = connections;
    this.#pool = pool;
    this.#log = log;
  }

  /** `connections.open()` comes first. */
  begin(): void {
    if (this.#isOver) return;
    this.#stopTicking = startTicker(RENEW_EVERY_MS, () => this.renew(), { keepsAlive: false });
    this.renew();
  }

  /** Tells how the pool is now. */
  renew(): void {
    if (this.#isOver || this.#stopTicking === undefined) return;
    if (this.#renewing !== undefined) {
      this.#isStale = true;
      return;
    }
    this.#isStale = false;
    this.#renewing = this.#renew();
  }

  /** Waits for Redis for half a second at most; never rejects. */
  async end(): Promise<void> {
    const begun = this.#stopTicking !== undefined;
    this.#isOver = true;
    this.#stopTicking?.();
    if (!begun || !this.#connections.isConnected) return;
    // One that is under way would register it again.
    const leave = async (): Promise<void> => {
      await this.#renewing;
      await unregister(this.#connections, this.#pool.id);
    };
    await endsWithin(END_MS, leave());
  }

  async #renew(): Promise<void> {
    try {
      await register(this.#connections, this.#pool.entry(), this.#pool.tasks());
      this.#isRefused = false;
    } catch (error) {
      // That Redis is away, others say.
      if (this.#isRefused || !this.#connections.isConnected) return;
      this.#isRefused = true;
      this.#log.warn({ err: error }, "cannot register this pool: operators do not see it");
    } finally {
      this.#renewing = undefined;
      if (this.#isStale) this.renew();
    }
  }
}
