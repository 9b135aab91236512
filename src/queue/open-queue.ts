/** What all users of one queue of Redis in this process share: its lane for puts, its watcher of results, and who consumes by hand. */
import type { Logger } from "../log.ts";
import type { PutLane } from "../store/put.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import type { QueueMeter } from "../telemetry/meter.ts";
import type { QueueLeases } from "./lease-keeper.ts";
import type { KeptKeys } from "./lease-thread.ts";
import type { ResultWatcher } from "./result-watcher.ts";

export interface OpenQueue {
  readonly name: string;
  readonly stored: StoredQueue;
  readonly lane: PutLane;
  /** For puts that replicas are to have. */
  readonly durableLane: PutLane;
  readonly watcher: ResultWatcher;
  /** Counts what happens here. */
  readonly meter: QueueMeter;
  readonly log: Logger;
  /** What is held of this queue, renewed for `leaseMs` at a time. */
  leases(leaseMs: number): QueueLeases;
  /** Keys that live on while a handler blocks this process. @returns ends that */
  keepKeys(keys: KeptKeys): () => void;
  /** Those who hold deliveries of this queue in their own hands. */
  readonly consumers: Set<AsyncDisposable>;
  /** The app was closed: Redis will not come back. */
  readonly closed: boolean;
  /** Of a partition: the queue of the plain prefix, which may have jobs that this one has not. */
  readonly plain: OpenQueue | undefined;
  /** Connects when nobody has yet. @throws BackendError, PreflightError, PartitionsError */
  ready(): Promise<void>;
}
