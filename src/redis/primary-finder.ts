/**
 * Finds the server that takes our writes, by asking those that know: Sentinels, or the nodes of a cluster.
 *
 * All are asked at once and most of them decide, so that one that hangs costs little time, and one that was frozen or cut
 * off and still tells of yesterday's primary is outvoted.
 */
import type { Redis } from "ioredis";
import { BackendError } from "../errors.ts";
import type { Guides, Server } from "./address.ts";
import { Client } from "./client.ts";
import { describeError } from "./errors.ts";

/** How long one may take to answer, connecting included. */
const ASK_MS = 1000;
/** A large cluster is not asked as a whole. */
const ASKED_AT_ONCE = 5;
const WATCH_AGAIN_MS = 1000;

export class PrimaryFinder {
  readonly #guides: Guides;
  readonly #onMoved: () => void;
  #found: Server | undefined;
  /** Nodes of the cluster by its last answer: those that were named may all be replaced in time. */
  #learned: readonly Server[] = [];

  /** @param onMoved  called when the primary is found to be another than the time before */
  constructor(guides: Guides, onMoved: () => void) {
    this.#guides = guides;
    this.#onMoved = onMoved;
  }

  /** @throws BackendError that says, in one line, what they said instead */
  async find(): Promise<Server> {
    const faults: string[] = [];
    const asked = new Map([...this.#guides.servers, ...this.#learned].map((server) => [text(server), server]));
    for (let rest = [...asked.values()]; rest.length > 0; rest = rest.slice(ASKED_AT_ONCE)) {
      const named = await this.#vote(rest.slice(0, ASKED_AT_ONCE), faults);
      if (named !== undefined) return this.#settleOn(this.#guides.natMap[text(named)] ?? named);
    }
    throw untold(`nobody tells where the primary is: ${faults.join(", ")}`);
  }

  /** Looks for the primary whenever a Sentinel tells of a fail-over. Returns how to end it. */
  watch(): () => void {
    const { kind, servers, options, name } = this.#guides;
    if (kind === "cluster") return () => undefined; // its nodes tell nobody: a node that was replaced says so itself
    const look = (): void => void this.find().catch(() => undefined);
    const watchers = servers.map((server) => {
      const watcher = new Client({ ...options, ...server, enableReadyCheck: false, maxRetriesPerRequest: null, retryStrategy: () => WATCH_AGAIN_MS });
      watcher.on("message", (_channel: string, message: string) => message.startsWith(`${name} `) && look());
      watcher.on("ready", () => void watcher.subscribe("+switch-master").then(look, () => undefined));
      return watcher;
    });
    return () => {
      for (const watcher of watchers) watcher.abandon();
    };
  }

  #settleOn(primary: Server): Server {
    const before = this.#found;
    this.#found = primary;
    if (before !== undefined && text(before) !== text(primary)) this.#onMoved();
    return primary;
  }

  /** What more than half of them say, as soon as they do; when all have answered, what most of the others say. */
  #vote(servers: readonly Server[], faults: string[]): Promise<Server | undefined> {
    const votes = new Map<string, { count: number; readonly server: Server }>();
    let open = servers.length;
    return new Promise((resolve) => {
      const count = (server: Server): void => {
        const vote = votes.get(text(server)) ?? { count: 0, server };
        votes.set(text(server), vote);
        vote.count += 1;
        if (vote.count > servers.length / 2) resolve(server);
      };
      const answered = (): void => {
        open -= 1;
        if (open === 0) resolve([...votes.values()].toSorted((one, other) => other.count - one.count)[0]?.server);
      };
      for (const server of servers) {
        this.#ask(server)
          .then(count, (error: unknown) => void faults.push(`${text(server)} said: ${describeError(error)}`))
          .finally(answered);
      }
    });
  }

  async #ask(server: Server): Promise<Server> {
    const { kind, options, name } = this.#guides;
    const client = new Client({
      ...options, ...server, lazyConnect: true, enableReadyCheck: false, retryStrategy: () => null,
      connectTimeout: ASK_MS, commandTimeout: ASK_MS, maxRetriesPerRequest: null,
    });
    try {
      return await (kind === "sentinel" ? this.#askSentinel(client, name) : this.#askNode(client, name, server));
    } catch (error) {
      throw client.connectionFault === undefined ? error : untold(client.connectionFault);
    } finally {
      client.abandon();
    }
  }

  async #askSentinel(sentinel: Redis, name: string): Promise<Server> {
    const told = (await sentinel.call("SENTINEL", "get-master-addr-by-name", name)) as [string, string] | null;
    if (told === null) throw untold(`it watches no primary called ${name}`);
    return { host: told[0], port: Number(told[1]) };
  }

  async #askNode(node: Redis, key: string, { host: ownHost }: Server): Promise<Server> {
    const [slot, ranges] = (await Promise.all([node.call("CLUSTER", "KEYSLOT", key), node.call("CLUSTER", "SLOTS")])) as [number, SlotRange[]];
    // A node that does not know its own address, or may not tell it, leaves it out.
    const serverOf = ([host, port]: SlotRange[2]): Server => ({ host: host || ownHost, port });
    this.#learned = ranges.flatMap(([, , ...nodes]) => nodes.map(serverOf));
    const range = ranges.find(([first, last]) => first <= slot && slot <= last);
    if (range === undefined) throw untold(`no node serves slot ${slot}`);
    return serverOf(range[2]);
  }
}

/** First and last slot, then who serves them: the primary, and its replicas. */
type SlotRange = readonly [first: number, last: number, primary: readonly [host: string | null, port: number, ...rest: unknown[]], ...replicas: (readonly [string | null, number, ...unknown[]])[]];

function untold(message: string): BackendError {
  return new BackendError(message, { mayHaveRun: false });
}

function text({ host, port }: Server): string {
  return `${host}:${port}`;
}
