/** What all durable primitives of one app share: the way to Redis, wake-ups, and what is to be ended with the app. */
import { randomBytes } from "node:crypto";
import { BackendError, BackendFullError } from "../errors.ts";
import { endsWithin } from "../concurrency/limit.ts";
import { sleep } from "../concurrency/sleep.ts";
import type { Logger } from "../log.ts";
import type { Connections } from "../redis/connection.ts";
import { runScript, type Script } from "../redis/script.ts";
import { wakeUpChannel } from "./keys.ts";
import { WakeUps } from "./wake-ups.ts";

/** The first characters of every id name its process: scripts find the channel of whoever is to be woken by them. */
export const PROCESS_ID_LENGTH = 12;

/** A script that failed sooner than this was not refused by time: its connection broke, and a new one is on its way. */
const AT_ONCE_MS = 200;
const RESEND_PAUSE_MS = 50;
const CLOSE_MS = 1000;

/** Something begun and not ended: a wait, or what is held. */
export interface Ongoing {
  /** Ends it, and settles when Redis knows. Never rejects. */
  end(reason: Error): Promise<void>;
}

export class Hub {
  readonly prefix: string;
  readonly log: Logger;
  readonly processId = randomBytes((PROCESS_ID_LENGTH * 3) / 4).toString("base64url");
  /** What the names of all channels of wake-ups begin with. */
  readonly channel: string;
  readonly wakeUps: WakeUps;
  readonly #connections: Connections;
  readonly #ready: () => Promise<void>;
  readonly #ongoing = new Set<Ongoing>();
  readonly #leaving = new Set<Promise<void>>();
  #ids = 0;
  #closed = false;

  /** @param ready  connects when nobody has yet */
  constructor(connections: Connections, prefix: string, log: Logger, ready: () => Promise<void> = () => connections.open()) {
    this.#connections = connections;
    this.#ready = ready;
    this.prefix = prefix;
    this.log = log;
    this.channel = wakeUpChannel(prefix);
    this.wakeUps = new WakeUps(connections, this.channel + this.processId, log);
  }

  /** A new id for somebody who waits or holds. */
  nextId(): string {
    this.#ids += 1;
    return this.processId + this.#ids.toString(36);
  }

  /**
   * Runs a script. One that was lost with its connection is sent once more, so all of ours may
   * be repeated.
   *
   * @throws BackendError within some 5 s
   */
  async run(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    if (this.#closed) throw appClosed();
    await this.#ready();
    const sentAt = performance.now();
    const send = (): Promise<unknown> => runScript(this.#connections.command, script, keys, args);
    try {
      return await send();
    } catch (lost) {
      if (!(lost instanceof BackendError) || lost instanceof BackendFullError || performance.now() - sentAt > AT_ONCE_MS) throw lost;
      await sleep(RESEND_PAUSE_MS);
      return await send().catch((error: unknown) => {
        // Whether it may have run is up to both.
        throw error instanceof BackendError && lost.mayHaveRun ? lost : error;
      });
    }
  }

  /** @throws BackendError when the app is closed */
  add(ongoing: Ongoing): void {
    if (this.#closed) throw appClosed();
    this.#ongoing.add(ongoing);
  }

  delete(ongoing: Ongoing): void {
    this.#ongoing.delete(ongoing);
  }

  /** Work that nobody waits for but the end of the app. It never rejects. */
  leaveBehind(work: Promise<void>): void {
    this.#leaving.add(work);
    void work.then(() => this.#leaving.delete(work));
  }

  /** Ends every wait and gives back what is held; after a second without waiting for Redis any longer. Never throws. */
  async close(): Promise<void> {
    if (this.#closed) return;
    const ended = [...this.#ongoing].map((ongoing) => ongoing.end(appClosed()));
    await endsWithin(CLOSE_MS, Promise.all([...ended, ...this.#leaving]));
    this.#closed = true;
    this.wakeUps.close();
  }
}

function appClosed(): BackendError {
  return new BackendError("the app was closed", { mayHaveRun: false });
}
