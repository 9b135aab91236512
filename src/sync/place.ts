/**
 * A line in Redis, and one place in it: what locks and semaphores are made of.
 *
 * All who want something stand in one line, in the order of coming, and the first `permits` of them hold it. Everybody
 * in the line renews a lease on his place, whether he waits or holds; a place whose lease has run out is removed by
 * whoever looks next. So a dead holder and a dead waiter are the same case, and nobody can step past the line.
 *
 * The number of a place only grows, so it is the fencing token as well. It is the server's clock in microseconds, or one
 * more than the last: a line that nobody has used for an hour may vanish, and even one that was lost goes on above.
 */
import { shown } from "../options.ts";
import type { Script } from "../redis/script.ts";
import { PROCESS_ID_LENGTH, type Hub } from "./hub.ts";
import { primitiveKey, type PrimitiveKind } from "./keys.ts";
import { Visitor } from "./visitor.ts";

export interface Line {
  readonly hub: Hub;
  readonly kind: PrimitiveKind;
  readonly key: string;
  /** How many may hold at once. */
  readonly permits: number;
  readonly leaseMs: number;
}

/** How often a lease is renewed while it lasts: three renewals may fail. */
export const RENEWALS_A_LEASE = 4;
/** Every key of a primitive is gone after this time without use, in milliseconds. Longer than any lease. */
export const IDLE_MS = 3_600_000;
/** How far the clocks of two machines may run apart during a lease, as a share of it. */
const DRIFT = 0.01;

export type Standing = "lost" | "waits" | "holds";
const STANDINGS: readonly Standing[] = ["lost", "waits", "holds"];

export class Place {
  readonly line: Line;
  /** Of its last look that was answered. */
  fence = 0;
  /** Until when the lease certainly lasts, on this process's monotonic clock (`performance.now()`). */
  validUntil = -Infinity;
  /** When to look at the latest to see the next lease of the line run out, in milliseconds from the last answer. */
  expiryInMs = 0;
  readonly #visitor: Visitor;
  readonly #keys: readonly string[];

  constructor(line: Line) {
    this.line = line;
    this.#visitor = new Visitor(line.hub, `${line.kind} ${shown(line.key)}`);
    this.#keys = ["line", "leases", "last"].map((part) => primitiveKey(line.hub.prefix, line.kind, line.key, part));
  }

  get id(): string {
    return this.#visitor.id;
  }

  /** Takes the place, at the end of the line, or renews it where it stands. @throws BackendError */
  stand(): Promise<Standing> {
    return this.#attend(true);
  }

  /** Renews the place. @returns "lost" when its lease had run out @throws BackendError */
  renew(): Promise<Standing> {
    return this.#attend(false);
  }

  /** Leaves the line; whoever holds by that is woken. Never rejects. */
  leave(): Promise<void> {
    const { hub, permits } = this.line;
    return this.#visitor.leave(LEAVE, this.#keys, [this.id, permits, hub.channel]);
  }

  async #attend(mayEnter: boolean): Promise<Standing> {
    const { hub, permits, leaseMs } = this.line;
    const sentAt = performance.now();
    const reply = await this.#visitor.ask(ATTEND, this.#keys, [this.id, permits, hub.channel, leaseMs, IDLE_MS, mayEnter ? 1 : 0]);
    const [standing, fence, expiryInMs] = reply as [number, number, number];
    if (standing > 0) {
      this.fence = fence;
      this.validUntil = sentAt + leaseMs * (1 - DRIFT);
      this.expiryInMs = expiryInMs;
    }
    return STANDINGS[standing] as Standing;
  }
}

const REMOVE_EXPIRED = `
local line, leases, last = unpack(KEYS)
local id, permits, channel = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function leave(one)
  redis.call('ZREM', leases, one)
  local rank = redis.call('ZRANK', line, one)
  if not rank then return end
  redis.call('ZREM', line, one)
  if rank >= permits then return end
  local next = redis.call('ZRANGE', line, permits - 1, permits - 1)[1]
  if next then redis.pcall('PUBLISH', channel .. string.sub(next, 1, ${PROCESS_ID_LENGTH}), next) end
end

for _, one in ipairs(redis.call('ZRANGE', leases, '-inf', '(' .. now, 'BYSCORE', 'LIMIT', 0, 500)) do leave(one) end
`;

/**
 * KEYS  line (id by number), leases (id by expiry), last number
 * ARGV  id, permits, channel, leaseMs, idleMs, 1 to enter
 * reply {0 lost, 1 waits or 2 holds; number; milliseconds to the next expiry in the line}
 */
const ATTEND: Script = {
  name: "sync-attend",
  lua: `${REMOVE_EXPIRED}
local idle = ARGV[5]
local number = redis.call('ZSCORE', line, id)
if number then
  -- Before ZADD: once a script has written, a server without memory lets it go on, and a lease can be renewed.
  redis.call('PEXPIRE', last, idle)
else
  if ARGV[6] == '0' then return {0, 0, 0} end
  number = math.max(time[1] * 1000000 + time[2], (tonumber(redis.call('GET', last)) or 0) + 1)
  redis.call('SET', last, string.format('%.0f', number), 'PX', idle)
  redis.call('ZADD', line, string.format('%.0f', number), id)
end
redis.call('ZADD', leases, now + ARGV[4], id)
redis.call('PEXPIRE', line, idle)
redis.call('PEXPIRE', leases, idle)
local holds = redis.call('ZRANK', line, id) < permits
local expiry = redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES')[2]
return {holds and 2 or 1, tonumber(number), math.max(0, expiry - now)}
`,
};

/**
 * KEYS  line, leases, last number
 * ARGV  id, permits, channel
 */
const LEAVE: Script = { name: "sync-leave", lua: `${REMOVE_EXPIRED} leave(id)` };
