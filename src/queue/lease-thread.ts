/** The renewal thread: renews what the main thread keeps, over a connection of its own, whatever the main thread does. */
import { parentPort, workerData } from "node:worker_threads";
import type { Redis } from "ioredis";
import { startTicker } from "../concurrency/timer.ts";
import { instant } from "../concurrency/thread-clock.ts";
import type { Connections } from "../redis/connection.ts";
import { type Extend, type LeasedQueue, LeaseRenewal } from "./lease-renewal.ts";
import type { Position, Sheet } from "./lease-table.ts";
import { type Bond, watchParent } from "./parent.ts";

export interface LeaseThreadData {
  readonly redis: Connections["location"];
  /** A number of 64 bits: the instant when the main thread was last seen alive. */
  readonly beat: SharedArrayBuffer;
  readonly sheets: readonly Sheet[];
  readonly queues: readonly LeasedQueue[];
  readonly kept: readonly KeptKeys[];
  readonly bond: Bond | undefined;
}

/** Keys that the main thread renews itself, and that are to live on while it is blocked. */
export interface KeptKeys {
  /** On a cluster it tells where they are. */
  readonly prefix: string;
  readonly keys: readonly string[];
  readonly forMs: number;
}

export type ToLeaseThread = { readonly sheet: Sheet } | { readonly queue: LeasedQueue } | { readonly kept: readonly KeptKeys[] };
export type FromLeaseThread =
  /** It runs; and it has reached Redis. */
  | { readonly state: "started" | "connected" }
  | { readonly lost: readonly Position[] }
  | { readonly failed: string; readonly queue: string };

/** A quarter of what they are kept for, about. */
const KEEP_EVERY_MS = 2000;
/** The main thread is blocked: twice as long as it lets pass between two signs of life. */
const BLOCKED_MS = 2000;
/** As leases: a process that hangs does not live for ever. */
const HANGS_MS = 300_000;

const { redis, beat, sheets, queues, kept: keptAtFirst, bond } = workerData as LeaseThreadData;
const aliveAt = new Float64Array(beat);
let kept = keptAtFirst;
/** By what is looked for: one, but on a cluster one a slot. */
const clients = new Map<string | undefined, Redis>();
const tell = (message: FromLeaseThread): void => parentPort?.postMessage(message);
const renewal = new LeaseRenewal({
  connect,
  aliveAt: () => aliveAt[0] ?? 0,
  onLost: (lost) => tell({ lost }),
  onFailure: (queue, error) => tell({ failed: error instanceof Error ? error.message : String(error), queue }),
});
for (const queue of queues) renewal.addQueue(queue);
for (const sheet of sheets) renewal.addSheet(sheet);
parentPort?.on("message", (message: ToLeaseThread) => {
  if ("queue" in message) renewal.addQueue(message.queue);
  else if ("kept" in message) kept = message.kept;
  else renewal.addSheet(message.sheet);
});
if (bond !== undefined) watchParent(bond, () => instant() - (aliveAt[0] ?? 0));
startTicker(KEEP_EVERY_MS, () => void keepKeys().catch(() => {}), { keepsAlive: false });
tell({ state: "started" });

async function keepKeys(): Promise<void> {
  const silentMs = instant() - (aliveAt[0] ?? 0);
  if (silentMs < BLOCKED_MS || silentMs > HANGS_MS) return;
  for (const { prefix, keys, forMs } of kept) {
    const client = await clientOf(prefix);
    await Promise.all(keys.map((key) => client.pexpire(key, forMs)));
  }
}

async function connect(): Promise<Extend> {
  const { extendLeases } = await import("../store/extend.ts");
  return async ({ keys, prefix, leaseMs }, leases) => extendLeases({ client: await clientOf(prefix), keys }, leases, leaseMs);
}

/** Loaded no sooner: where all work is short, this thread loads and connects nothing. */
async function clientOf(prefix: string): Promise<Redis> {
  const [{ openClient }, { addressOf }] = await Promise.all([import("../redis/connection.ts"), import("../redis/address.ts")]);
  const address = addressOf(redis, prefix);
  const known = clients.get(address.guides?.name);
  if (known !== undefined) return known;
  const client = openClient(address, "millrace-leases");
  clients.set(address.guides?.name, client);
  client.once("ready", () => tell({ state: "connected" }));
  client.connect().catch(() => {}); // it tries again, and the renewals tell
  return client;
}
