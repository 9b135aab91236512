/**
 * Writes down what the meters of this process have counted: every few seconds, and once more when it closes. What a
 * process had counted since when it is killed is not written; what Redis refuses or does not answer is not repeated.
 */
import { endsWithin } from "../concurrency/limit.ts";
import { startTicker } from "../concurrency/timer.ts";
import { BackendError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { recordHistory } from "../store/history.ts";
import type { StoredQueue } from "../store/stored-queue.ts";
import { QueueMeter } from "../telemetry/meter.ts";

const WRITE_MS = 5000;
const CLOSE_MS = 500;

export class HistoryKeeper {
  readonly #log: Logger;
  readonly #meters = new Map<QueueMeter, StoredQueue>();
  #callOff: (() => void) | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** A meter of the queue, whose counts are written down from now on. */
  meter(queue: StoredQueue): QueueMeter {
    const meter = new QueueMeter(queue.name);
    this.#meters.set(meter, queue);
    this.#callOff ??= startTicker(WRITE_MS, () => void this.write(), { keepsAlive: false });
    return meter;
  }

  /** Never rejects. */
  async write(): Promise<void> {
    await Promise.all([...this.#meters].map(([meter, queue]) => this.#write(meter, queue)));
  }

  /** Never throws. */
  async close(): Promise<void> {
    this.#callOff?.();
    await endsWithin(CLOSE_MS, this.write());
  }

  async #write(meter: QueueMeter, queue: StoredQueue): Promise<void> {
    if (!queue.connections.isConnected) return;
    const tally = meter.take();
    // Whoever consumes also tells what waits, so that it is seen to grow where nothing ends.
    if (tally === undefined && !meter.isConsumed) return;
    try {
      await recordHistory(queue, tally?.fields() ?? []);
    } catch (error) {
      if (tally !== undefined && error instanceof BackendError && !error.mayHaveRun) meter.giveBack(tally);
      this.#log.debug({ queue: queue.name, err: error }, "cannot write down what was counted");
    }
  }
}
