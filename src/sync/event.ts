/** A flag to wait for, across processes and machines. */
import { check, checkOptions, shown, type Duration } from "../options.ts";
import type { Script } from "../redis/script.ts";
import { Gate } from "./gate.ts";
import type { Hub } from "./hub.ts";
import { checkKey, primitiveKey } from "./keys.ts";
import { IDLE_MS } from "./place.ts";
import { attend, checkWait, type Look, type Wait } from "./wait.ts";

export interface EventOptions {
  /** How long a flag that is up and that nobody sets, asks for or waits for stays up. @default "7d" */
  readonly keep?: Duration;
}

const DEFAULT_KEEP_MS = 7 * 86_400_000;
/** Wake-ups are a matter of milliseconds; this is for those that were lost. */
const LOOK_EVERY_MS = 2500;
/** For how long a process is woken after its last look. */
const LISTED_MS = 10_000;

/**
 * ```ts
 * const migrated = app.event("migrated");
 * await migrated.wait({ timeout: "1m" });
 * ```
 */
export class Event implements AsyncDisposable {
  readonly #gate: Gate;
  readonly #hub: Hub;
  readonly #what: string;
  readonly #keepMs: number;
  readonly #keys: readonly [flag: string, waiting: string];

  /** Does no I/O. @throws OptionError */
  constructor(hub: Hub, key: string, options?: EventOptions) {
    this.#what = `event ${shown(checkKey(key, "event"))}`;
    const { keep = DEFAULT_KEEP_MS } = checkOptions(this.#what, options, { keep: check.duration({ min: 1000 }) });
    this.#gate = new Gate(hub, this.#what);
    this.#hub = hub;
    this.#keepMs = keep;
    this.#keys = [primitiveKey(hub.prefix, "event", key, "flag"), primitiveKey(hub.prefix, "event", key, "waiting")];
  }

  /** Raises the flag and wakes all who wait, even when it is cleared again at once. @throws BackendError */
  async set(): Promise<void> {
    await this.#hub.run(SET, this.#keys, [this.#keepMs, this.#hub.channel]);
  }

  /** @throws BackendError */
  async clear(): Promise<void> {
    await this.#hub.run(CLEAR, this.#keys.slice(0, 1), [IDLE_MS]);
  }

  /** @throws BackendError */
  async isSet(): Promise<boolean> {
    const [isSet] = await this.#look("", -1);
    return isSet;
  }

  /**
   * Resolves once the flag is up; at once when it is already. Once it waits, an outage of Redis only prolongs it.
   *
   * @throws TimeoutError; the signal's reason; BackendError; OptionError
   */
  async wait(options?: Wait): Promise<void> {
    const wait = checkWait(`wait of ${this.#what}`, options);
    let since = -1;
    const look = async (): Promise<Look<void>> => {
      const [isSet, raised] = await this.#look(this.#hub.processId, since);
      if (isSet) return { take: () => undefined };
      since = raised;
      return { lookInMs: LOOK_EVERY_MS };
    };
    // The process is listed, not this wait: others here may wait as well, and the list forgets by itself.
    await attend(this.#gate, { topic: this.#keys[0], what: this.#what, look, leave: async () => {} }, wait);
  }

  /** Ends the waits that began here. The flag stays as it is. Never throws. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#gate[Symbol.asyncDispose]();
  }

  /** Whether the flag is up, or was since; and when it was raised last. */
  async #look(processId: string, since: number): Promise<[isSet: boolean, raised: number]> {
    const reply = await this.#hub.run(LOOK, this.#keys, [this.#keepMs, processId, LISTED_MS, since]);
    const [isSet, raised] = reply as [number, number];
    return [isSet === 1, raised];
  }
}

const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`;

/**
 * `raised` is a number that grows each time: the server's clock in microseconds, so that it grows also after a loss.
 *
 * KEYS  flag {up, raised}, waiting (process id by when it is forgotten)
 * ARGV  keepMs, channel
 */
const SET: Script = {
  name: "sync-event-set",
  lua: `
local flag, waiting = unpack(KEYS)
${NOW}
local raised = math.max(time[1] * 1000000 + time[2], (tonumber(redis.call('HGET', flag, 'raised')) or 0) + 1)
redis.call('HSET', flag, 'up', 1, 'raised', string.format('%.0f', raised))
redis.call('PEXPIRE', flag, ARGV[1])
for _, process in ipairs(redis.call('ZRANGE', waiting, now, '+inf', 'BYSCORE')) do
  redis.pcall('PUBLISH', ARGV[2] .. process, flag)
end
redis.call('DEL', waiting)
`,
};

/**
 * Who was woken and has not looked yet still finds when the flag was raised.
 *
 * KEYS  flag
 * ARGV  idleMs
 */
const CLEAR: Script = {
  name: "sync-event-clear",
  lua: `
if redis.call('HGET', KEYS[1], 'up') ~= '1' then return end
redis.call('HSET', KEYS[1], 'up', 0)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
`,
};

/**
 * KEYS  flag, waiting
 * ARGV  keepMs, process id or "" when it does not wait, listedMs, raised at the first look or -1
 * reply {1 when the flag is up or was raised since the first look; raised}
 */
const LOOK: Script = {
  name: "sync-event-look",
  lua: `
local flag, waiting = unpack(KEYS)
local process, since = ARGV[2], tonumber(ARGV[4])
local up, raised = unpack(redis.call('HMGET', flag, 'up', 'raised'))
raised = tonumber(raised) or 0
if up == '1' then
  redis.call('PEXPIRE', flag, ARGV[1])
  return {1, raised}
end
if since >= 0 and raised > since then return {1, raised} end
if process ~= '' then
  ${NOW}
  redis.call('ZREMRANGEBYSCORE', waiting, '-inf', now)
  redis.call('ZADD', waiting, now + ARGV[3], process)
  redis.call('PEXPIRE', waiting, ARGV[3])
end
return {0, raised}
`,
};
