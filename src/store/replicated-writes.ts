/**
 * Writes that something elsewhere is removed for: they are taken for done when a replica has them, so that a fail-over cannot
 * undo them afterwards. `WAIT` speaks of its own connection, so one that was lost in between says nothing; see
 * `replicated-put.ts`.
 */
import { BackendError } from "../errors.ts";
import type { Client } from "../redis/client.ts";
import { asBackendError } from "../redis/errors.ts";
import type { StoredQueue } from "./stored-queue.ts";

/** Below what a command may take. */
const WAIT_MS = 3000;

export class ReplicatedWrites {
  readonly #queue: StoredQueue;
  #looked: Client["stream"] | undefined;
  /** Once one was seen: a primary that was cut off from its replicas has none, and is the one whose writes will be undone. */
  #hasReplica = false;

  constructor(queue: StoredQueue) {
    this.#queue = queue;
  }

  /**
   * @param write  done again it writes again, or what a lost connection left open would count as waited for
   * @returns what it gave: when a replica has it, or at once where the server has not had one since this was made
   * @throws what `write` throws; BackendError when no replica has acknowledged it within 3 s
   */
  async do<T>(write: () => Promise<T>): Promise<T> {
    const { client } = this.#queue;
    try {
      await this.#look();
      const { stream } = client;
      const result = await write();
      if (!this.#hasReplica) return result;
      const acknowledged = await client.wait(1, WAIT_MS);
      if (client.stream !== stream) throw new BackendError("the connection was lost before a replica had acknowledged");
      if (acknowledged > 0) return result;
    } catch (error) {
      throw asBackendError(error);
    }
    throw new BackendError(`expected a replica of ${this.#queue.connections.address} to acknowledge within ${WAIT_MS / 1000} s, got none: it had one before, and a fail-over now could undo what was written`);
  }

  async #look(): Promise<void> {
    const { client } = this.#queue;
    if (this.#hasReplica || (client.status === "ready" && this.#looked === client.stream)) return;
    // Who may not ask is taken for one without replicas.
    const info = await client.info("replication").catch((error: unknown) => {
      const refused = asBackendError(error, false);
      if (refused instanceof BackendError && !/NOPERM/.test(refused.message)) throw refused;
      return "";
    });
    this.#looked = client.stream;
    this.#hasReplica = Number(/connected_slaves:(\d+)/.exec(info)?.[1] ?? 0) > 0;
  }
}
