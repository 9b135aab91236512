/** The renewal thread: renews what the main thread keeps, over a connection of its own, whatever the main thread does. */
import { parentPort, workerData } from "node:worker_threads";
import type { Redis } from "ioredis";
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
  readonly bond: Bond | undefined;
}

export type ToLeaseThread = { readonly sheet: Sheet } | { readonly queue: LeasedQueue };
export type FromLeaseThread =
  /** It runs; and it has reached Redis. */
  | { readonly state: "started" | "connected" }
  | { readonly lost: readonly Position[] }
  | { readonly failed: string; readonly queue: string };

const { redis, beat, sheets, queues, bond } = workerData as LeaseThreadData;
const aliveAt = new Float64Array(beat);
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
  else renewal.addSheet(message.sheet);
});
if (bond !== undefined) watchParent(bond, () => instant() - (aliveAt[0] ?? 0));
tell({ state: "started" });

/** Loaded no sooner: where all work is short, this thread loads and connects nothing. */
async function connect(): Promise<Extend> {
  const [{ openClient }, { addressOf }, { extendLeases }] = await Promise.all([import("../redis/connection.ts"), import("../redis/address.ts"), import("../store/extend.ts")]);
  /** By what is looked for: one, but on a cluster one a slot. */
  const clients = new Map<string | undefined, Redis>();
  return ({ keys, prefix, leaseMs }, leases) => {
    const address = addressOf(redis, prefix);
    let client = clients.get(address.guides?.name);
    if (client === undefined) {
      client = openClient(address, "millrace-leases");
      clients.set(address.guides?.name, client);
      client.once("ready", () => tell({ state: "connected" }));
      client.connect().catch(() => {}); // it tries again, and the renewals tell
    }
    return extendLeases({ client, keys }, leases, leaseMs);
  };
}
