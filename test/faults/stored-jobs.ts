/** All that Redis holds of the queue of a scenario, read without either subject. */
import { Redis } from "ioredis";
import type { Done, Work } from "./work.ts";

/** Where the jobs of a scenario are: on a cluster the prefix is a hash tag. */
export interface Store {
  readonly url: string;
  readonly prefix: "bull" | "{bull}";
}

const LISTS = ["wait", "paused", "active"] as const;
const SETS = ["prioritized", "delayed", "waiting-children", "completed", "failed"] as const;

export interface StoredJob {
  readonly id: string;
  /** NaN when its payload is gone. */
  readonly n: number;
  /** Every state it is in: one, if all is well. */
  readonly states: readonly string[];
  readonly attemptsMade: number;
  readonly result: Done | undefined;
  readonly failedReason: string | undefined;
}

export async function readStoredJobs({ url, prefix }: Store): Promise<readonly StoredJob[]> {
  const redis = new Redis(url);
  const base = `${prefix}:work:`;
  try {
    const states = new Map<string, string[]>();
    const see = (state: string, ids: readonly string[]): void => {
      for (const id of ids) states.set(id, [...(states.get(id) ?? []), state]);
    };
    // In one step: an acknowledgement may be on its way, and a job that moves between two looks would be seen in two states.
    const looks = redis.multi();
    for (const list of LISTS) looks.lrange(base + list, 0, -1);
    for (const set of SETS) looks.zrange(base + set, "0", "-1");
    const found = (await looks.exec()) ?? [];
    for (const [at, state] of [...LISTS, ...SETS].entries()) see(state, idsOf(found[at]));
    const hashes = await readHashes(redis, base);
    for (const id of states.keys()) if (!hashes.has(id)) hashes.set(id, {});
    return [...hashes].map(([id, hash]) => ({
      id,
      n: (JSON.parse(hash["data"] ?? "{}") as Partial<Work>).n ?? Number.NaN,
      states: states.get(id) ?? [],
      attemptsMade: Number(hash["atm"] ?? 0),
      result: hash["returnvalue"] === undefined ? undefined : (JSON.parse(hash["returnvalue"]) as Done),
      failedReason: hash["failedReason"],
    }));
  } finally {
    redis.disconnect();
  }
}

/** @throws what Redis said instead of ids */
function idsOf([error, ids]: readonly [Error | null, unknown] = [new Error("expected an answer for each state of the queue, got fewer"), undefined]): readonly string[] {
  if (error) throw error;
  return ids as string[];
}

/** Job hashes by id. */
async function readHashes(redis: Redis, base: string): Promise<Map<string, Record<string, string>>> {
  const hashes = new Map<string, Record<string, string>>();
  for await (const keys of redis.scanStream({ match: `${base}*`, count: 1000, type: "hash" })) {
    const ids = (keys as string[]).map((key) => key.slice(base.length)).filter((id) => id !== "meta" && !id.includes(":"));
    await Promise.all(ids.map(async (id) => hashes.set(id, await redis.hgetall(base + id))));
  }
  return hashes;
}
