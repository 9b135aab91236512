/** One who stands somewhere in Redis under an id of its own: it comes, looks again, and goes. */
import { BackendError } from "../errors.ts";
import type { Script } from "../redis/script.ts";
import type { Hub } from "./hub.ts";

export class Visitor {
  readonly id: string;
  readonly #hub: Hub;
  readonly #what: string;
  #answered: Promise<unknown> = Promise.resolve();
  /** Redis may know of it. */
  #known = false;

  /** @param what  for the log: `lock "account:42"` */
  constructor(hub: Hub, what: string) {
    this.id = hub.nextId();
    this.#hub = hub;
    this.#what = what;
  }

  /** Comes, or looks again. @throws BackendError */
  ask(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    const reply = this.#hub.run(script, keys, args);
    this.#answered = reply.then(
      () => (this.#known = true),
      (error: unknown) => (this.#known ||= !(error instanceof BackendError) || error.mayHaveRun),
    );
    return reply;
  }

  /** Goes, when Redis may know of it. Never rejects: what stays behind is gone when its lease has run out. */
  async leave(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<void> {
    // Behind what is under way, or it might come after it went.
    await this.#answered;
    if (!this.#known) return;
    try {
      await this.#hub.run(script, keys, args);
    } catch (error) {
      this.#hub.log.warn({ err: error }, `could not leave the ${this.#what}: it is free when its lease has run out`);
    }
  }
}
