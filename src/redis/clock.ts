/** The Redis server's clock, estimated here: no round trip for "what time is it there". */
import type { Redis } from "ioredis";

/** How fast two clocks may drift apart, as a share of the time passed: 100 parts per million. */
const DRIFT = 1e-4;
const SYNC_SAMPLES = 4;

/**
 * Estimates the server's `TIME` from samples of it, as NTP does (RFC 5905): a sample is uncertain by half its round
 * trip, so the quickest wins; it grows uncertain with age, so a later one takes its place; and one that contradicts
 * what was known (a server was replaced, this machine slept) wins at once. Until the first sample it is the local clock.
 */
export class ServerClock {
  #offsetMs = performance.timeOrigin;
  #uncertaintyMs = Number.POSITIVE_INFINITY;
  #observedAt = 0;

  /** The server's time now, in whole milliseconds since 1970. */
  now(): number {
    if (this.#uncertaintyMs === Number.POSITIVE_INFINITY) return Date.now();
    return Math.floor(performance.now() + this.#offsetMs);
  }

  /**
   * Takes in one sample; call it as soon as the reply is there.
   *
   * @param serverMs     the server's time that came with the reply, in milliseconds since 1970
   * @param roundTripMs  how long the request took from sending to reply
   */
  observe(serverMs: number, roundTripMs: number): void {
    const nowMs = performance.now();
    const offsetMs = serverMs + roundTripMs / 2 - nowMs;
    // A reply with whole milliseconds is uncertain by one more.
    const uncertaintyMs = roundTripMs / 2 + 1;
    const knownToMs = this.#uncertaintyMs + (nowMs - this.#observedAt) * DRIFT;
    const contradicts = Math.abs(offsetMs - this.#offsetMs) > uncertaintyMs + knownToMs;
    if (uncertaintyMs > knownToMs && !contradicts) return;
    this.#offsetMs = offsetMs;
    this.#uncertaintyMs = uncertaintyMs;
    this.#observedAt = nowMs;
  }

  /** Asks the server a few times and takes in every answer. Rejects with what the client rejects with. */
  async sync(client: Pick<Redis, "time">): Promise<void> {
    for (let sample = 0; sample < SYNC_SAMPLES; sample += 1) {
      const sentAt = performance.now();
      const [seconds, microseconds] = await client.time();
      this.observe(Number(seconds) * 1000 + Number(microseconds) / 1000, performance.now() - sentAt);
    }
  }
}
