/**
 * Wake-ups from Redis: one channel a process, whatever it waits for.
 *
 * A wake-up only says that it is time to look; one that is lost costs time and nothing else. So whoever waits is woken
 * as well whenever listening begins or begins again, and while nobody can listen it looks at short intervals.
 */
import { startTimer } from "../concurrency/timer.ts";
import type { Logger } from "../log.ts";
import type { Connections } from "../redis/connection.ts";

/** How often to look while no wake-ups come, in milliseconds. */
const DEAF_LOOK_MS = 250;

export class WakeUps {
  readonly #connections: Connections;
  readonly #channel: string;
  readonly #log: Logger;
  readonly #alarms = new Map<string, Set<Alarm>>();
  #stop: (() => void) | undefined;

  constructor(connections: Connections, channel: string, log: Logger) {
    this.#connections = connections;
    this.#channel = channel;
    this.#log = log;
  }

  /** An alarm that rings when a message names this topic. Dispose it. */
  alarm(topic: string): Alarm {
    const together = this.#alarms.get(topic) ?? new Set();
    this.#alarms.set(topic, together);
    const alarm = new Alarm(() => {
      together.delete(alarm);
      if (together.size === 0) this.#alarms.delete(topic);
    });
    together.add(alarm);
    return alarm;
  }

  /** Begins to listen, if nobody has yet; `connections.open()` comes first. Every alarm rings when it has begun. */
  listen(): void {
    this.#stop ??= this.#connections.subscriber.listen(this.#channel, {
      message: (topic) => {
        for (const alarm of this.#alarms.get(topic) ?? []) alarm.ring();
      },
      listening: () => {
        for (const together of this.#alarms.values()) for (const alarm of together) alarm.ring();
      },
      refused: (error) => this.#log.warn({ err: error }, `cannot listen for wake-ups: who waits looks every ${DEAF_LOOK_MS} ms instead`),
    });
  }

  /** How long a waiter may sleep that would look again in `lookInMs` by itself. */
  sleepMs(lookInMs: number): number {
    return this.#connections.subscriber.hears(this.#channel) ? lookInMs : Math.min(lookInMs, DEAF_LOOK_MS);
  }

  close(): void {
    this.#stop?.();
  }
}

export class Alarm implements Disposable {
  readonly #forget: () => void;
  #rung = false;
  #wake: (() => void) | undefined;

  constructor(forget: () => void) {
    this.#forget = forget;
  }

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /**
   * Resolves when it rings, at once when it has rung since the last time, or after `ms`.
   *
   * @throws the signal's reason
   */
  async next(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#rung) await this.#sleep(ms, signal);
    this.#rung = false;
  }

  [Symbol.dispose](): void {
    this.#forget();
  }

  #sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const callOff = startTimer(ms, () => end(resolve));
      const giveUp = (): void => end(() => reject(signal.reason as Error));
      const end = (settle: () => void): void => {
        callOff();
        signal.removeEventListener("abort", giveUp);
        this.#wake = undefined;
        settle();
      };
      this.#wake = () => end(resolve);
      signal.addEventListener("abort", giveUp, { once: true });
    });
  }
}
