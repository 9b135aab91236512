/**
 * Durable puts: acknowledged when replicas have them, so that a fail-over cannot lose them.
 *
 * `WAIT` speaks of what its own connection wrote before, so these puts share a connection that does nothing else: the put
 * script, then one `WAIT` for the batch. On another connection than the script's it would count replicas that have nothing
 * of it, so where the connection was lost in between nothing is known, and the batch is sent again under its number. A
 * repeat writes too, since newer servers take a connection that has written nothing for one that waits for nothing.
 *
 * `WAITAOF`, which waits for disks as well, came with Redis 7.2 and is not used.
 */
import { BackendError } from "../errors.ts";
import type { Client } from "../redis/client.ts";
import type { Connections } from "../redis/connection.ts";
import { asBackendError } from "../redis/errors.ts";
import { putJobs, type PutReply } from "./put-script.ts";

/** What a durable put waits for. */
export interface Durability {
  /** So many replicas have acknowledged it. */
  readonly replicas: number;
  /** How long they may take, in milliseconds, beside the put itself. */
  readonly timeoutMs: number;
}

/** Too few replicas have acknowledged in time; `mayHaveRun` says whether the jobs are in Redis all the same. */
export class Unreplicated extends BackendError {
  readonly replicas: number;

  constructor(message: string, options: { readonly mayHaveRun: boolean; readonly replicas: number }) {
    super(message, options);
    this.replicas = options.replicas;
  }
}

/** All durable puts of one process. */
export class ReplicatedPuts {
  readonly #connections: Connections;
  readonly #durability: Durability;
  #client: Client | undefined;
  /** The connection whose server was seen to have enough replicas. */
  #fit: Client["stream"] | undefined;

  constructor(connections: Connections, durability: Durability) {
    this.#connections = connections;
    this.#durability = durability;
  }

  /** As `putJobs`. @throws Unreplicated too, BackendError when the connection was lost before replicas had acknowledged */
  readonly put: typeof putJobs = async ({ keys }, ...rest): Promise<PutReply> => {
    const { replicas, timeoutMs } = this.#durability;
    const client = (this.#client ??= this.#connections.dedicated("millrace:durable", { blockMs: timeoutMs, answers: true }));
    if (this.#fit !== client.stream || client.status !== "ready") await this.#look(client);
    const { stream } = client;
    const reply = await putJobs({ client, keys }, ...rest);
    if (reply.state === "full") return reply;
    const acknowledged = await client.wait(replicas, timeoutMs).catch((error: unknown) => Promise.reject(asBackendError(error)));
    if (client.stream !== stream) throw new BackendError("the connection was lost before replicas had acknowledged", { mayHaveRun: true });
    if (acknowledged >= replicas) return reply;
    this.#fit = undefined;
    const message = `it is in Redis, but ${acknowledged} of ${replicas} replicas have acknowledged it within ${timeoutMs} ms`;
    throw new Unreplicated(message, { mayHaveRun: true, replicas: acknowledged });
  };

  /** Where there are no replicas to wait for, nothing is put. Who may not ask finds out by waiting. */
  async #look(client: Client): Promise<void> {
    const { replicas } = this.#durability;
    const info = await client.info("replication").catch((error: unknown) => {
      const refused = asBackendError(error, false);
      if (refused instanceof BackendError) throw refused;
      return "";
    });
    const connected = Number(/connected_slaves:(\d+)/.exec(info)?.[1] ?? replicas);
    if (connected < replicas) {
      throw new Unreplicated(`expected ${replicas} replicas for a durable put, got a server with ${connected}: nothing was put`, { mayHaveRun: false, replicas: 0 });
    }
    this.#fit = client.stream;
  }
}
