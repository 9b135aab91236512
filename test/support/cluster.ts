/** A Redis Cluster. */
import { Redis } from "ioredis";
import { openRedis, type OwnRedis } from "./own-redis.ts";
import { freeNodePort } from "./redis-process.ts";
import type { ServerProgram } from "./server-image.ts";

export interface Cluster extends AsyncDisposable {
  /** `redis+cluster://…`: all nodes. */
  readonly url: string;
  /** Those that were primaries at the start come first. */
  readonly nodes: readonly OwnRedis[];
  /** Who serves the slot of a key, by most of the nodes that answer. */
  primaryOf(key: string): Promise<OwnRedis>;
  /** Moves the slot of a key, and all that is in it, to another primary; the slot is between the two for `betweenMs`. */
  moveSlot(key: string, to: OwnRedis, betweenMs?: number): Promise<void>;
}

export interface ClusterOptions {
  /** @default 3 */
  readonly primaries?: number;
  /** Of each primary. @default 1 */
  readonly replicas?: number;
  /** After so long without an answer a node is taken for down. @default 1500 */
  readonly nodeTimeoutMs?: number;
  readonly settings?: Readonly<Record<string, string>>;
}

const SLOTS = 16_384;

/** Starts it; it does not outlive this process. */
export async function openCluster(program: ServerProgram, options: ClusterOptions = {}): Promise<Cluster> {
  const { primaries = 3, replicas = 1, nodeTimeoutMs = 1500, settings = {} } = options;
  const started = await Promise.all(
    Array.from({ length: primaries * (1 + replicas) }, async () => {
      const port = await freeNodePort();
      const quick = { "cluster-node-timeout": String(nodeTimeoutMs), "repl-diskless-sync-delay": "0", "cluster-replica-validity-factor": "0" };
      const node = await openRedis(program, { "cluster-enabled": "yes", port: String(port), ...quick, ...settings });
      return { node, client: new Redis(node.url) };
    }),
  );
  const nodes = started.map(({ node }) => node);
  const clients = started.map(({ client }) => client);
  const [first] = started;
  for (const { node } of started.slice(1)) await first!.client.call("CLUSTER", "MEET", "127.0.0.1", node.port);
  await Promise.all(clients.slice(0, primaries).map((client, i) => {
    const from = Math.floor((SLOTS * i) / primaries);
    const to = Math.floor((SLOTS * (i + 1)) / primaries);
    return client.cluster("ADDSLOTS", ...Array.from({ length: to - from }, (_, slot) => from + slot));
  }));
  const knowsAll = async (client: Redis): Promise<boolean> => !(await info(client, /cluster_known_nodes:(\d+)/, nodes.length));
  await all(clients, async (client) => !(await knowsAll(client)));
  for (const [i, client] of clients.slice(primaries).entries()) await client.cluster("REPLICATE", String(await clients[i % primaries]!.cluster("MYID")));
  await all(clients, (client) => info(client, /cluster_state:ok()/, 0));
  await all(clients.slice(0, primaries), async (client) => [...(await client.info("replication")).matchAll(/state=online/g)].length === replicas);
  for (const client of clients) client.disconnect();
  return {
    url: `redis+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(",")}`,
    nodes,
    primaryOf: (key) => primaryOf(nodes, key),
    moveSlot: async (key, to, betweenMs = 0) => moveSlot(nodes, key, await primaryOf(nodes, key), to, betweenMs),
    async [Symbol.asyncDispose]() {
      await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()));
    },
  };
}

async function info(client: Redis, pattern: RegExp, value: number): Promise<boolean> {
  return Number(pattern.exec(String(await client.cluster("INFO")))?.[1] ?? -1) === value;
}

async function all(clients: readonly Redis[], holds: (client: Redis) => Promise<boolean>): Promise<void> {
  for (const client of clients) while (!(await holds(client))) await new Promise((resolve) => setTimeout(resolve, 20));
}

async function primaryOf(nodes: readonly OwnRedis[], key: string): Promise<OwnRedis> {
  const votes = await Promise.all(nodes.map(async (node) => {
    try {
      return await asked(node, async (client) => {
        const slot = (await client.cluster("KEYSLOT", key)) as number;
        return (await client.cluster("SLOTS")).find(([first, last]) => first <= slot && slot <= last)?.[2]?.[1];
      });
    } catch {
      return undefined; // it is down
    }
  }));
  const told = votes.filter((port) => port !== undefined).toSorted((one, other) => one - other);
  return nodes.find(({ port }) => port === told[Math.floor(told.length / 2)])!;
}

async function moveSlot(nodes: readonly OwnRedis[], key: string, from: OwnRedis, to: OwnRedis, betweenMs: number): Promise<void> {
  const [source, target] = [from, to].map(({ url }) => new Redis(url)) as [Redis, Redis];
  const slot = (await source.cluster("KEYSLOT", key)) as number;
  const [sourceId, targetId] = (await Promise.all([source.cluster("MYID"), target.cluster("MYID")])) as [string, string];
  await target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", sourceId);
  await source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", targetId);
  await new Promise((resolve) => setTimeout(resolve, betweenMs));
  for (let keys: string[] = [""]; keys.length > 0; ) {
    keys = (await source.call("CLUSTER", "GETKEYSINSLOT", slot, 500)) as string[];
    if (keys.length > 0) await source.call("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", ...keys);
  }
  for (const client of [target, source]) await client.call("CLUSTER", "SETSLOT", slot, "NODE", targetId);
  for (const node of nodes) await asked(node, (client) => client.call("CLUSTER", "SETSLOT", slot, "NODE", targetId).catch(() => undefined)).catch(() => undefined);
  source.disconnect();
  target.disconnect();
}

async function asked<T>(node: OwnRedis, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(node.url, { maxRetriesPerRequest: 0, retryStrategy: () => null, commandTimeout: 1000 });
  client.on("error", () => undefined);
  try {
    return await work(client);
  } finally {
    client.disconnect();
  }
}
