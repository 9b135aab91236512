/** Scripts that fail at a call of one's choice: the real script on the real Redis, with one call that raises an error. */
import { Command, type Redis } from "ioredis";
import type { StoredQueue } from "../../src/store/stored-queue.ts";

/** The queue, but the script's `n`th call of Redis raises an error; `calls` says after a run how many there were. */
export function failingAt({ client, ...queue }: StoredQueue, n: number): { queue: StoredQueue; calls: () => Promise<string[]> } {
  const trace = `${queue.keys.base}trace`;
  const preamble = `
local real, count = redis, 0
local redis = setmetatable({}, {__index = real})
redis.call = function(command, ...)
  count = count + 1
  real.call('RPUSH', '${trace}', command)
  if count == ${n} then error('injected at call ' .. count .. ', ' .. command) end
  return real.call(command, ...)
end
redis.pcall = function(...)
  local ok, reply = pcall(redis.call, ...)
  if ok then return reply end
  return {err = type(reply) == 'table' and reply.err or reply}
end
`;
  const failing = new Proxy(client, {
    get(target, property): unknown {
      if (property !== "sendCommand") return Reflect.get(target, property);
      return (command: Command) => {
        if (command.name !== "evalsha" && command.name !== "eval") return target.sendCommand(command);
        if (command.name === "evalsha") return Promise.reject(new Error("NOSCRIPT"));
        const [lua, ...rest] = command.args as [string, ...string[]];
        return target.sendCommand(new Command("eval", [preamble + lua, ...rest], { replyEncoding: null }));
      };
    },
  }) as Redis;
  const calls = async (): Promise<string[]> => {
    const found = await client.lrange(trace, "0", "-1");
    await client.del(trace);
    return found;
  };
  return { queue: { ...queue, client: failing }, calls };
}

export const READS: ReadonlySet<string> = new Set(["GET", "MGET", "HMGET", "HGET", "HGETALL", "HKEYS", "EXISTS", "LPOS", "HLEN", "LLEN", "LRANGE", "ZCARD", "ZRANGE", "ZSCORE", "XLEN", "PTTL", "TIME"]);

/** Everything in Redis that belongs to the queue. */
export async function dump({ client, keys }: StoredQueue): Promise<Record<string, unknown>> {
  const found = (await client.keys(`${keys.base}*`)).toSorted();
  return Object.fromEntries(await Promise.all(found.map(async (key) => [key, [(await client.dump(key))?.toString(), (await client.pttl(key)) > 0]] as const)));
}
