/** A place where so many wait for one another, across processes and machines. */
import { check, checkOptions, shown } from "../options.ts";
import type { Script } from "../redis/script.ts";
import { Gate } from "./gate.ts";
import { PROCESS_ID_LENGTH, type Hub } from "./hub.ts";
import { checkKey, primitiveKey } from "./keys.ts";
import { IDLE_MS, RENEWALS_A_LEASE } from "./place.ts";
import { DEFAULT_LEASE_MS, leaseOption, type LeaseOptions } from "./semaphore.ts";
import { Visitor } from "./visitor.ts";
import { attend, checkWait, type Look, type Wait } from "./wait.ts";

const MOST_PARTIES = 10_000;

/**
 * Can be passed again and again: the next `parties` to come are the next round. One that gives up no longer counts; one
 * that dies no longer counts when its lease has run out.
 *
 * ```ts
 * const start = app.barrier("start", 3);
 * const number = await start.wait({ timeout: "1m" });
 * ```
 */
export class Barrier implements AsyncDisposable {
  readonly parties: number;
  readonly #gate: Gate;
  readonly #hub: Hub;
  readonly #what: string;
  readonly #leaseMs: number;
  readonly #keys: readonly string[];

  /**
   * Does no I/O.
   *
   * @param parties  how many have to come together; a whole number from 1 to 10,000
   * @throws OptionError
   */
  constructor(hub: Hub, key: string, parties: number, options?: LeaseOptions) {
    this.#what = `barrier ${shown(checkKey(key, "barrier"))}`;
    this.parties = check.integer({ min: 1, max: MOST_PARTIES })(parties, `the parties of ${this.#what}`);
    const { lease = DEFAULT_LEASE_MS } = checkOptions(this.#what, options, { lease: leaseOption });
    this.#gate = new Gate(hub, this.#what);
    this.#hub = hub;
    this.#leaseMs = lease;
    this.#keys = ["line", "leases", "passed"].map((part) => primitiveKey(hub.prefix, "barrier", key, part));
  }

  /**
   * Waits until `parties` are here; the last one lets all go on. Once it waits, an outage of Redis only prolongs it.
   *
   * @returns a number from 0 to parties - 1, in the order of coming and different for each, so that one can be chosen
   * @throws TimeoutError; the signal's reason; BackendError; OptionError
   */
  async wait(options?: Wait): Promise<number> {
    const wait = checkWait(`wait of ${this.#what}`, options);
    const visitor = new Visitor(this.#hub, this.#what);
    const { id } = visitor;
    const look = async (): Promise<Look<number>> => {
      const reply = await visitor.ask(ARRIVE, this.#keys, [id, this.parties, this.#hub.channel, this.#leaseMs, IDLE_MS]);
      const [number, expiryInMs] = reply as [number, number];
      if (number >= 0) return { take: () => number };
      return { lookInMs: Math.min(this.#leaseMs / RENEWALS_A_LEASE, expiryInMs + 1) };
    };
    const leave = (): Promise<void> => visitor.leave(LEAVE, this.#keys, [id]);
    const number = await attend(this.#gate, { topic: id, what: this.#what, look, leave }, wait);
    this.#hub.leaveBehind(leave());
    return number;
  }

  /** Ends the waits that began here. Never throws. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#gate[Symbol.asyncDispose]();
  }
}

/**
 * Those of a round that is complete leave the line together. Each finds its number until it has taken it, or for an hour:
 * one that was stopped in between has been counted, so it must not wait for another round.
 *
 * KEYS  line (id by order of coming), leases (id by expiry), passed (number of each id)
 * ARGV  id, parties, channel, leaseMs, idleMs
 * reply {number or -1; milliseconds to the next expiry}
 */
const ARRIVE: Script = {
  name: "sync-barrier-arrive",
  lua: `
local line, leases, passed = unpack(KEYS)
local id, parties, channel, idle = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[5]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local number = redis.call('HGET', passed, id)
if number then return {tonumber(number), 0} end

for _, one in ipairs(redis.call('ZRANGE', leases, '-inf', '(' .. now, 'BYSCORE', 'LIMIT', 0, 500)) do
  redis.call('ZREM', line, one)
  redis.call('ZREM', leases, one)
  redis.call('HDEL', passed, one)
end

redis.call('ZADD', leases, now + ARGV[4], id)
if not redis.call('ZSCORE', line, id) then
  local last = redis.call('ZRANGE', line, -1, -1, 'WITHSCORES')[2] or 0
  redis.call('ZADD', line, last + 1, id)
end
if redis.call('ZCARD', line) >= parties then
  for i, one in ipairs(redis.call('ZRANGE', line, 0, parties - 1)) do
    redis.call('HSET', passed, one, i - 1)
    redis.call('ZADD', leases, now + idle, one)
    if one ~= id then redis.pcall('PUBLISH', channel .. string.sub(one, 1, ${PROCESS_ID_LENGTH}), one) end
  end
  redis.call('ZREMRANGEBYRANK', line, 0, parties - 1)
  redis.call('PEXPIRE', passed, idle)
end
redis.call('PEXPIRE', line, idle)
redis.call('PEXPIRE', leases, idle)
number = redis.call('HGET', passed, id)
if number then return {tonumber(number), 0} end
local expiry = redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES')[2]
return {-1, math.max(0, expiry - now)}
`,
};

/**
 * KEYS  line, leases, passed
 * ARGV  id
 */
const LEAVE: Script = {
  name: "sync-barrier-leave",
  lua: `
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
`,
};
