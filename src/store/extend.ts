/** Leases that were granted are renewed while the work goes on. */
import { Packr } from "msgpackr";
import { runScript, type Script } from "../redis/script.ts";
import type { Leased } from "./reserve-script.ts";
import type { StoredQueue } from "./stored-queue.ts";

/** Of a delivery, what its lease is known by. Without an id: of whatever is leased under that token. */
export interface Lease {
  readonly job: Pick<Leased["job"], "id" | "starts">;
  readonly token: string;
}

/** A queue as far as leases go, in whatever thread. */
export interface LeasedIn {
  readonly client: StoredQueue["client"];
  readonly keys: Pick<StoredQueue["keys"], "active" | "stalled" | "base">;
}

const packr = new Packr({ useRecords: false });

/**
 * Renews the leases of deliveries still running. A lease that ran out while nobody took the job (Redis was paused,
 * this process slept) is taken again.
 *
 * @param leaseMs  new lease from now, in milliseconds
 * @returns the deliveries whose lease is lost; their jobs may run elsewhere
 * @throws BackendError
 */
export async function extendLeases<L extends Lease>(queue: LeasedIn, leases: readonly L[], leaseMs: number): Promise<L[]> {
  const { client, keys } = queue;
  if (leases.length === 0) return [];
  const rows = leases.map(({ job, token }) => [job.id, token, job.starts]);
  const lost = (await runScript(client, EXTEND, [keys.active, keys.stalled], [keys.base, leaseMs, packr.pack(rows)])) as number[];
  return lost.map((position) => leases[position - 1]!);
}

/**
 * KEYS  active, stalled
 * ARGV  base, leaseMs, msgpack [[id or "", token, starts]]
 * reply positions of the leases that are lost
 *
 * A job that was started again since is somebody else's, whether or not that one's lease has run out as well.
 *
 * A full Redis refuses a script's first write where it needs memory, and no later one: so none here does.
 */
const EXTEND: Script = {
  name: "extend",
  lua: `
local active, stalled = unpack(KEYS)
local base, leaseMs = ARGV[1], ARGV[2]
local function renew(id)
  redis.call('PEXPIRE', base .. id .. ':lock', leaseMs)
  redis.call('SREM', stalled, id)
end
local lost = {}
for i, row in ipairs(cmsgpack.unpack(ARGV[3])) do
  local id, token, starts = row[1], row[2], row[3]
  local key = base .. id
  if id == '' then
    for _, each in ipairs(redis.call('LRANGE', active, 0, -1)) do
      if redis.call('GET', base .. each .. ':lock') == token then renew(each) end
    end
  else
    local holder = redis.call('GET', key .. ':lock')
    if holder == token then
      renew(id)
    elseif not holder and tonumber(redis.call('HGET', key, 'ats')) == starts and redis.call('LPOS', active, id) then
      redis.call('SREM', stalled, id)
      redis.call('SET', key .. ':lock', token, 'PX', leaseMs)
    else
      lost[#lost + 1] = i
    end
  end
end
return lost
`,
};
