/** Since when each job has been over, as Redis itself says to one who asks it all the time. */
import type { Redis } from "ioredis";
import { setTimeout as delay } from "node:timers/promises";
import { monotonicMs } from "../support/journal.ts";

const LOOK_MS = 20;

export class Truth implements AsyncDisposable {
  readonly since = new Map<string, number>();
  /** When one was last asked about that was not over. */
  readonly notYet = new Map<string, number>();
  readonly #client: Redis;
  readonly #ids: readonly string[];
  readonly #watched: Promise<void>;
  #isOver = false;

  constructor(client: Redis, ids: readonly string[]) {
    this.#client = client;
    this.#ids = ids;
    this.#watched = this.#watch();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#watched;
  }

  async #watch(): Promise<void> {
    for (; !this.#isOver; await delay(LOOK_MS)) {
      const askedAt = monotonicMs();
      const over = await this.#look().catch(() => undefined); // out of reach
      if (over === undefined) continue;
      for (const id of over) if (!this.since.has(id)) this.since.set(id, monotonicMs());
      for (const id of this.#ids.filter((id) => !over.has(id))) {
        this.notYet.set(id, askedAt);
        // What a server had acknowledged, and lost in a fail-over, is true no more.
        this.since.delete(id);
      }
    }
  }

  async #look(): Promise<ReadonlySet<string>> {
    const looks = this.#client.pipeline();
    for (const id of this.#ids) looks.exists(`bull:work:${id}`).zscore("bull:work:completed", id).zscore("bull:work:failed", id);
    const replies = ((await looks.exec()) ?? []).map(([error, reply]) => {
      if (error !== null) throw error;
      return reply;
    });
    return new Set(this.#ids.filter((_, i) => replies[3 * i] === 0 || replies[3 * i + 1] !== null || replies[3 * i + 2] !== null));
  }
}
